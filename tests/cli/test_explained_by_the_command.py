"""Situations on a real engine, each explained by the command as a person asks: the first reason, in a sentence, and
what to do next."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import docker
import msgspec
import pytest
from cli_project import PATIENCE, CliProject, Started, queued

from orchestrator.app import App
from orchestrator.errors import NotFoundError
from orchestrator.explanations import Explanation
from orchestrator.ids import UNMAPPED, RunKey
from orchestrator.scheduler.local_socket import Following
from orchestrator.scheduler.notices import RunChanged, TaskChanged, TryChanged
from orchestrator.settings import open_project
from orchestrator.states import ReasonCode as Code
from orchestrator.states import TaskState

pytestmark = pytest.mark.engine

DAGS = """\
from datetime import UTC, datetime, timedelta

from orchestrator import DAG, DockerOperator

HUNGRY = "import time; held = []; [(held.append(b'x' * 2**21), time.sleep(0.1)) for _ in range(99)]"
FAILING = "echo begun; printf '\\033[31mKeyError: x\\033[0m\\n' >&2; echo done; exit 3"


def by_hand(dag_id, **about):
    return DAG(dag_id, schedule=None, is_paused_upon_creation=False, **about)


def task(task_id="a", script="sleep 600", **about):
    return DockerOperator(task_id=task_id, command=["sh", "-c", script], stop_grace=1, **about)


with by_hand("fails"):
    task(script=FAILING) >> task("b") >> task("c")
with by_hand("skips"):
    task(script="exit 99", skip_on_exit_code=99) >> task("b")
with by_hand("hungry"):
    DockerOperator(task_id="a", command=["python", "-c", HUNGRY], mem_limit="48m", memswap_limit="48m")
with by_hand("absent"):
    task(image="nowhere/none:1", pull="never")
with by_hand("unbuildable"):
    task(image="unbuildable")
with by_hand("unrendered"):
    task(script="echo {{ dag_run.conf['x'] }}")
with by_hand("slow"):
    task(script="echo still here; exec sleep 600", execution_timeout=timedelta(seconds=1))
with by_hand("silent"):
    task(script="echo last words; exec sleep 600", idle_timeout=timedelta(seconds=1))
with by_hand("stopped"):
    task()
with by_hand("cancelled"):
    task() >> task("b")
with by_hand("later"):
    task(script="exit 1", retries=1, retry_delay=timedelta(hours=1))
with by_hand("poolless"):
    task(pool="nowhere")
with by_hand("narrow", max_active_tasks=1, max_active_runs=1):
    task("a", priority_weight=9)
    task("b") >> task("c")
with DAG("held", schedule="@daily", start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    task()
with DAG("over", schedule="@daily", start_date=datetime(2013, 1, 1, tzinfo=UTC),
         end_date=datetime(2013, 1, 2, tzinfo=UTC), catchup=False, is_paused_upon_creation=False):
    task(script="true")
"""
#: What ends by itself, or by what this test does to it.
ENDING = {
    "fails", "skips", "hungry", "absent", "unbuildable", "unrendered", "slow", "silent", "stopped", "cancelled",
    "poolless", "over",
}  # fmt: skip


class Stage(NamedTuple):
    """A project whose scheduler has brought about every situation."""

    project: CliProject
    app: App
    scheduler: Started
    narrow: tuple[str, str]  #: the runs of `narrow`


@pytest.fixture(scope="module")
def stage(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    project = CliProject(tmp_path_factory.mktemp("explained"), {"ORCHESTRATOR__TASKS__DEFAULT_IMAGE": base_image})
    project.write("situations.py", DAGS)
    broken = project.folder / "task-images" / "unbuildable" / "Dockerfile"
    broken.parent.mkdir(parents=True)
    broken.write_text(f"FROM {base_image}\nRUN echo the disk is flat && exit 7\n")
    project.ok("db", "upgrade")
    app = App(open_project(project.folder, project.environment))
    with project.start("scheduler") as scheduler:
        scheduler.wait_line("scheduler.running")
        scheduler.wait_line('"dag_id": "over"')
        with Following(app.socket) as following, queued(following) as told, app.actions() as actions:
            by_hand = (ENDING - {"over"}) | {"later", "narrow"}
            keys = {dag_id: triggered(actions.trigger(dag_id)) for dag_id in sorted(by_hand)}
            second = triggered(actions.trigger("narrow"))
            bring_about(told, keys, actions)
        yield Stage(project, app, scheduler, (keys["narrow"].run_id, second.run_id))
        with Following(app.socket) as following, queued(following) as told, app.actions() as actions:
            for key in (second, keys["later"], keys["narrow"]):
                actions.cancel(key.dag_id, key.run_id)
            while not is_collected(told.get(timeout=PATIENCE), keys["narrow"]):
                pass
    assert project.containers() == []


def is_collected(notice: Any, run: RunKey) -> bool:
    assert notice is not None, "the scheduler went away"
    return isinstance(notice, TryChanged) and notice.attempt.key.task.run == run and bool(notice.attempt.removed_at)


def triggered(outcome: Any) -> RunKey:
    return RunKey(outcome.answer.data["dag_id"], outcome.answer.data["run_id"])


def bring_about(told: Any, keys: dict[str, RunKey], actions: Any) -> None:
    """Wait until everything has come to where it stays."""
    ended: set[str] = set()
    waits = {("later", TaskState.UP_FOR_RETRY), ("narrow", TaskState.RUNNING)}
    while not ended >= ENDING or waits:
        match told.get(timeout=PATIENCE):
            case RunChanged(run=run) if run.state.final:
                ended.add(run.key.dag_id)
            case TaskChanged(task=task) if task.state is TaskState.RUNNING and task.key.dag_id == "cancelled":
                actions.cancel("cancelled", keys["cancelled"].run_id)
            case TaskChanged(task=task) if task.state is TaskState.RUNNING and task.key.dag_id == "stopped":
                stop_from_outside(keys["stopped"])
            case TaskChanged(task=task):
                waits.discard((task.key.dag_id, task.state))
            case None:
                raise AssertionError("the scheduler went away")
            case _:
                pass


def stop_from_outside(key: RunKey) -> None:
    client = docker.from_env()
    (container,) = client.containers.list(filters={"label": f"orchestrator.run_id={key.run_id}"})
    container.stop(timeout=0)
    client.close()


def asked(stage: Stage, *about: str) -> dict[str, Any]:
    """What the command prints as JSON."""
    noun = "dags" if len(about) == 1 else "tasks"
    told: dict[str, Any] = stage.project.json(noun, "explain", *about)
    return told


def explained(stage: Stage, dag_id: str, *about: str) -> Explanation:
    """The same without its face: of a DAG, or of a task in a run."""
    with stage.app.queries() as queries, stage.app.explanations() as explanations:
        if not about:
            return explanations.dag(dag_id)
        task_id, *run = about
        return explanations.task(queries.run_key(dag_id, run[0] if run else None), task_id, UNMAPPED)


@pytest.mark.parametrize(
    ("dag_id", "task_id", "code", "text"),
    [
        ("fails", "a", "exit_code", "it exited with 3; last line: KeyError: x"),
        ("absent", "a", "image_missing", "nowhere/none:1"),
        ("unbuildable", "a", "image_build_failed", "the disk is flat"),
        ("slow", "a", "timeout", "it ran longer than its execution_timeout of 0:00:01; last line: still here"),
        ("silent", "a", "idle_timeout", "it said nothing for its idle_timeout of 0:00:01; last line: last words"),
        ("stopped", "a", "stopped_externally", "something other than the orchestrator stopped its container"),
        ("cancelled", "b", "killed_by", "cancelled by cli:"),
        ("later", "a", "retry_delay", "the last try: it exited with 1"),
        ("narrow", "a", "max_active_runs", "1 of max_active_runs=1 are running: "),
    ],
)
def test_a_task_is_explained_by_its_first_reason(
    stage: Stage, dag_id: str, task_id: str, code: str, text: str
) -> None:
    told = asked(stage, dag_id, task_id)
    assert told["reason"]["code"] == code
    assert text in told["text"]
    assert told["next_step"]
    assert told["scheduler"]


def test_one_that_ran_out_of_memory_is_told_its_limit_and_its_highest_sample(stage: Stage) -> None:
    text = asked(stage, "hungry", "a")["text"]
    told, _, sample = text.partition(", the highest sample of its memory ")
    assert told == "it ran out of memory; its mem_limit is 48 MiB"
    assert 5 < float(sample.partition(" MiB")[0]) <= 48


@pytest.mark.parametrize(
    ("dag_id", "code", "text"),
    [
        ("skips", Code.SKIP_EXIT_CODE, "it exited with 99, which means skip"),
        ("unrendered", Code.RENDER_ERROR, "the mapping has no 'x'"),
        ("poolless", Code.POOL_MISSING, "there is no pool 'nowhere'"),
    ],
)
def test_other_faces_get_the_same(stage: Stage, dag_id: str, code: Code, text: str) -> None:
    told = explained(stage, dag_id, "a")
    assert told.reason is not None
    assert (told.reason.code, told.text) == (code, told.reason.text)
    assert text in told.text


@pytest.mark.parametrize(("dag_id", "task_id"), [("fails", "c"), ("skips", "b")])
def test_what_follows_from_another_task_names_that_and_leads_to_it(stage: Stage, dag_id: str, task_id: str) -> None:
    told, alone = explained(stage, dag_id, task_id), explained(stage, dag_id, "a")
    assert told.reason is not None
    assert told.reason.code is Code.UPSTREAM
    assert told.behind is not None
    assert (told.behind.task_id, told.behind.reason) == ("a", alone.reason)
    assert told.next_step == alone.next_step


def test_a_limit_that_only_the_scheduler_knows_of_is_told_by_it(stage: Stage) -> None:
    first, _ = stage.narrow
    told = asked(stage, "narrow", "b", first)
    assert told["reason"] == {"code": "max_active_tasks", "text": "max_active_tasks narrow: 1 of 1 taken"}
    assert explained(stage, "narrow", "a", first).text == "it runs"
    behind = explained(stage, "narrow", "c", first).behind
    assert behind is not None
    assert behind.reason.code is Code.MAX_ACTIVE_TASKS


def test_a_run_is_explained_task_by_task(stage: Stage) -> None:
    first, second = stage.narrow
    with stage.app.explanations() as explanations:
        run, waiting = (explanations.run(RunKey("narrow", run_id)) for run_id in (first, second))
    assert (run.state, run.text) == ("running", "it runs: a")
    assert [(each.task_id, each.reason.code) for each in run.tasks] == [
        ("b", Code.MAX_ACTIVE_TASKS), ("c", Code.UPSTREAM),
    ]  # fmt: skip
    assert waiting.reason is not None
    assert (waiting.state, waiting.reason.code) == ("queued", Code.MAX_ACTIVE_RUNS)
    assert first in waiting.text
    ended = stage.project.json("runs", "explain", "fails")
    assert ended["next_step"] == explained(stage, "fails", "a").next_step
    assert [each["task_id"] for each in ended["tasks"]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("dag_id", "state", "code", "text"),
    [
        ("held", "paused", Code.PAUSED, "the DAG is paused"),
        ("over", "active", Code.OUTSIDE_SCHEDULE, "its end_date is 2013-01-02"),
        ("fails", "active", Code.UNSCHEDULED, "it has no schedule"),
    ],
)
def test_a_dag_is_explained_by_its_first_reason(
    stage: Stage, dag_id: str, state: str, code: Code, text: str
) -> None:
    told = explained(stage, dag_id)
    assert told.reason is not None
    assert (told.state, told.reason.code) == (state, code)
    assert text in told.text
    assert dag_id in told.next_step


def test_beside_what_hinders_a_dag_its_runs_are_told_of(stage: Stage) -> None:
    assert "its last run failed: a: it exited with 3" in explained(stage, "fails").notes[0]
    assert asked(stage, "narrow")["notes"] == [f"running now: {stage.narrow[0]}"]


def test_for_people_it_is_a_few_lines(stage: Stage) -> None:
    lines = stage.project.ok("tasks", "explain", "fails", "c").stdout.splitlines()
    told = dict(line.strip().partition("  ")[::2] for line in lines)
    assert told["reason"] == "upstream"
    assert told["behind it"] == "a: exit_code: it exited with 3; last line: KeyError: x"
    assert told["next"].startswith("read what it wrote: `orchestrator tasks logs fails a manual__")


def test_a_wrong_name_is_named(stage: Stage) -> None:
    said = stage.project.run("dags", "explain", "fail")
    assert (said.code, said.stdout) == (1, "")
    assert "no DAG 'fail'; did you mean 'fails'?" in said.stderr
    for about in (("fails", "z"), ("narrow", "z", stage.narrow[1])):
        with pytest.raises(NotFoundError, match="no task 'z'"):
            explained(stage, *about)


def test_the_scheduler_has_told_its_own_log_of_each_end(stage: Stage) -> None:
    told = [msgspec.json.decode(line) for line in stage.scheduler.lines if line.startswith("{")]
    ended = {entry["dag_id"]: entry for entry in told if entry["event"] == "run.ended"}
    assert ended.keys() >= ENDING
    assert ended["cancelled"]["reason"] == "killed_by"
    failed = next(entry for entry in told if entry["event"] == "task.failed" and entry["dag_id"] == "fails")
    assert (failed["task_id"], failed["why"]) == ("a", "it exited with 3; last line: KeyError: x")
