"""Runs that have to do with each other and with people, through a running scheduler and real containers: one makes
another's run, one waits for it, one waits for its own past, one waits for somebody to approve it."""

from collections.abc import Iterator
from typing import Any

import pytest
from cli_project import LONG, CliProject

from orchestrator.app import App
from orchestrator.explanations import Explanation
from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.awaits import ApprovalWait
from orchestrator.ports import Page
from orchestrator.queries import RunView
from orchestrator.scheduler.local_socket import Following
from orchestrator.settings import open_project
from orchestrator.states import TaskState

pytestmark = pytest.mark.engine

DAY = "2024-05-01"
FILE = """
from datetime import UTC, datetime
from orchestrator import DAG, ApprovalOperator, DockerOperator, ExternalTaskSensor, Param, TriggerDagRunOperator

common = {"start_date": datetime(2024, 5, 1, tzinfo=UTC), "end_date": datetime(2024, 5, 2, tzinfo=UTC)}

with DAG("load", schedule="@daily", params={"n": Param(0, type="integer"), "text": ""}, **common):
    DockerOperator(task_id="fetch", command=["python3", "-c", "import sys; print(sys.argv[1:])",
                                             "{{ params.n }}", "{{ params.text }}"])

with DAG("start", schedule="@daily", **common):
    count = DockerOperator(task_id="count", script="echo 41 > $ORCHESTRATOR_RESULT")
    TriggerDagRunOperator(
        task_id="make", trigger_dag_id="load", logical_date="{{ ds }}", wait_for_completion=True,
        conf={"n": count.output, "text": "{{ dag_run.conf.text }}"},
    )

with DAG("report", schedule="@daily", **common):
    wait = ExternalTaskSensor(task_id="wait", external_dag_id="load", external_task_id="fetch", timeout=600)
    ask = ApprovalOperator(task_id="ask", prompt="Ship {{ ds }}?", params={"to": "here"})
    ship = DockerOperator(task_id="ship", command=["echo", "{{ result('ask').to }}"])
    wait >> ask >> ship

with DAG("steps", schedule="@daily", catchup=True, **common):
    DockerOperator(task_id="step", depends_on_past=True, command=["echo", "{{ ds }}"])

with DAG("many", schedule="@daily", **common):
    given = DockerOperator(
        task_id="given", environment={"RUNS": "{{ dag_run.conf.runs | tojson }}"},
        script='printf %s "$RUNS" > "$ORCHESTRATOR_RESULT"',
    )
    handed = TriggerDagRunOperator.partial(
        task_id="handed", trigger_dag_id="load", wait_for_completion=True
    ).expand(conf=given.output)
    TriggerDagRunOperator.partial(task_id="written", trigger_dag_id="load").expand_kwargs(
        [{"conf": {"n": 3, "text": "{{ ds }}"}, "run_id": "{{ ds }}-extra"}]
    )
    DockerOperator(task_id="count", command=["echo", "{{ result('handed') | length }}"]) << handed
    DockerOperator(task_id="gone", end_date=datetime(2024, 4, 30, tzinfo=UTC), command=["false"])

with DAG("sure", schedule="@daily", **common):
    ApprovalOperator.partial(task_id="ask").expand(prompt=["All of {{ ds }}?", "Now?"])

with DAG("all", schedule="@daily", **common):
    make = TriggerDagRunOperator(task_id="make", trigger_dag_id="load", conf={"n": 1})
    wait = ExternalTaskSensor(task_id="wait", external_dag_id="load")
    make >> wait >> ApprovalOperator(task_id="ask", prompt="Go?")
"""
#: A value that a template, or a shell, would read otherwise.
NASTY = "{{ ds }} $(id) 'x'"


@pytest.fixture(scope="module")
def project(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> CliProject:
    folder = tmp_path_factory.mktemp("waiting") / "project"
    made = CliProject(folder, {"ORCHESTRATOR__TASKS__DEFAULT_IMAGE": base_image})
    made.write("waiting.py", FILE)
    return made


@pytest.fixture(scope="module")
def app(project: CliProject) -> Iterator[App]:
    """Of a project whose scheduler runs."""
    with project.start("up") as up:
        up.wait_line("scheduler.running")
        project.wait_dags(["load", "start", "report", "steps", "all", "many", "sure"])
        yield App(open_project(project.folder, project.environment))


def trigger(app: App, dag_id: str, conf: dict[str, Any] | None = None) -> RunKey:
    with app.actions() as actions:
        answer = actions.trigger(dag_id, logical_date=DAY, conf=conf).answer
    assert answer is not None
    return RunKey(dag_id, answer.data["run_id"])


def shown(app: App, key: RunKey) -> RunView:
    with app.queries() as queries:
        return queries.run(key)


def why(app: App, key: RunKey, task_id: str) -> Explanation:
    with app.explanations() as explanations:
        return explanations.task(key, task_id, -1)


def states(view: RunView) -> dict[str, str]:
    """Of tasks; of a mapped one all that its instances have."""
    found: dict[str, set[str]] = {}
    for task in view.tasks:
        if task.state is not TaskState.REMOVED:
            found.setdefault(task.key.task_id, set()).add(str(task.state))
    return {task_id: " and ".join(sorted(each)) for task_id, each in found.items()}


def wait_until(app: App, key: RunKey, **wanted: str) -> RunView:
    """Until tasks are in these states; the scheduler's notices say when to look."""
    with Following(app.socket) as following:
        notices = following.notices()
        while not wanted.items() <= states(view := shown(app, key)).items():
            assert not view.run.state.final, view
            assert next(notices, None) is not None, "the scheduler went away"
    return view


def test_a_run_makes_another_and_a_third_waits_for_that_and_for_a_person(project: CliProject, app: App) -> None:
    report = trigger(app, "report")
    wait_until(app, report, wait="up_for_reschedule")
    told = why(app, report, "wait")
    assert told.reason is not None
    assert told.reason.code == "external"
    assert told.text.startswith("it waits for fetch of load for 2024-05-01T00:00:00+00:00; no open run")

    start = trigger(app, "start", {"text": NASTY})
    first = wait_until(app, start, count="success", make="success")
    load = shown(app, RunKey(**first.results["make"]))
    assert load.run.triggered_by == TaskKey("start", start.run_id, "make")
    assert (load.run.state, load.run.actor) == ("success", "start.make")
    assert load.run.interval.start.date().isoformat() == DAY
    assert load.run.conf == {"n": 41, "text": NASTY}
    assert load.results["fetch"] == str(["41", NASTY])

    wait_until(app, report, wait="success", ask="up_for_reschedule")
    assert why(app, report, "ask").text.endswith(f"Ship {DAY}?")
    command = f"tasks approve report ask {report.run_id}"
    assert f"ask waits for approval: orchestrator {command}" in project.ok("tasks", "list", "report").stderr
    project.ok("tasks", "approve", "report", "ask", "--note", "looks well", "--param", "to=there")
    last = wait_until(app, report, ask="success", ship="success")
    assert last.results["ship"] == "there"
    (asked,) = (task.awaits for task in last.tasks if task.key.task_id == "ask")
    assert isinstance(asked, ApprovalWait)
    assert asked.decision is not None
    assert (asked.decision.approved, asked.decision.note) == (True, "looks well")


def test_a_mapped_task_makes_a_run_for_each_conf_and_one_of_other_dates_is_skipped(app: App) -> None:
    key = trigger(app, "many", {"runs": [{"n": 1, "text": NASTY}, {"n": 2}]})
    view = wait_until(app, key, count="success", written="success", gone="skipped")
    assert view.results["count"] == "2"
    made = [shown(app, RunKey(**result)) for result in view.results["handed"]]
    assert [each.run.conf for each in made] == [{"n": 1, "text": NASTY}, {"n": 2}]
    assert [each.run.state for each in made] == ["success", "success"]
    assert made[0].results["fetch"] == str(["1", NASTY])
    extra = shown(app, RunKey("load", f"{DAY}-extra")).run
    assert (extra.conf, extra.triggered_by) == (
        {"n": 3, "text": DAY},
        TaskKey("many", key.run_id, "written", 0),
    )
    told = why(app, key, "gone")
    assert told.reason is not None
    assert told.reason.code == "outside_dates"
    assert told.text.endswith("is after its end_date 2024-04-30T00:00:00+00:00")


def test_each_instance_of_a_mapped_approval_is_decided_by_itself(project: CliProject, app: App) -> None:
    key = trigger(app, "sure")
    wait_until(app, key, ask="up_for_reschedule")
    asking = project.ok("tasks", "list", "sure").stderr
    assert f"ask[0] waits for approval: orchestrator tasks approve sure 'ask[0]' {key.run_id}" in asking
    project.ok("tasks", "approve", "sure", "ask[1]", "--reject")
    decided = {task.key.map_index: str(task.state) for task in shown(app, key).tasks}
    assert (decided[0], decided[1]) == ("up_for_reschedule", "skipped"), decided


def test_a_run_waits_for_the_one_before(project: CliProject, app: App) -> None:
    with app.actions() as actions:
        actions.unpause("steps")
    project.wait_run("steps", LONG)
    with app.queries() as queries:
        second, first = (queries.run(run.key) for run in queries.runs("steps", Page()))
    assert (first.run.state, second.run.state) == ("success", "success")
    ended, queued = first.tasks[0].ended_at, second.tasks[0].queued_at
    assert ended is not None
    assert queued is not None
    assert ended <= queued


def test_a_test_says_what_it_would_have_done_elsewhere(project: CliProject) -> None:
    unasked = project.run("dags", "test", "all", DAY)
    assert unasked.code == 1
    assert "nobody can be asked here: Go?" in unasked.stdout + unasked.stderr
    assert 'note on make: a test triggers nothing; else load {"n":1}' in unasked.stderr
    assert "note on wait: a test waits for no other DAG; else for load for 2024-05-01" in unasked.stderr
    assert "`orchestrator dags test --approve all`" in unasked.stderr
    assert project.run("dags", "test", "all", DAY, "--approve").code == 0
