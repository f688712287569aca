"""Clearing, marking, killing, holding, pools as a person does them: the command, a scheduler, real containers."""

from collections.abc import Iterator
from typing import Any

import pytest
from cli_project import CliProject

pytestmark = pytest.mark.engine

DAG_FILE = """
from datetime import UTC, datetime, timedelta

from orchestrator import DAG, BranchDockerOperator, DockerOperator, Mount

with DAG("chain", is_paused_upon_creation=False):
    good = Mount.dag("/state")
    DockerOperator(task_id="first", script="echo 1") >> DockerOperator(
        task_id="second", script="test -e /state/mended || exit 3", mounts=[good]
    ) >> DockerOperator(task_id="third", script="echo 3")

with DAG("slow", is_paused_upon_creation=False):
    create = DockerOperator(task_id="create", script="echo up")
    drop = DockerOperator(task_id="drop", script="echo down").as_teardown(setups=create)
    create >> DockerOperator(task_id="work", command=["sleep", "600"], stop_grace=1) >> drop

def with_a_database(**work):
    create = DockerOperator(task_id="create", script="echo up")
    drop = DockerOperator(task_id="drop", script="echo down").as_teardown(setups=create)
    create >> DockerOperator(task_id="work", command=["sleep", "600"], stop_grace=1, **work) >> drop
    return create, drop

with DAG("timed_out", is_paused_upon_creation=False):
    with_a_database(execution_timeout=timedelta(seconds=1))

with DAG("failing_fast", is_paused_upon_creation=False, fail_fast=True):
    create, drop = with_a_database()
    create >> DockerOperator(task_id="breaks", script="exit 3") >> drop

with DAG("choice", is_paused_upon_creation=False):
    pick = BranchDockerOperator(task_id="pick", script="echo left")
    pick >> [DockerOperator(task_id="left", script="true"), DockerOperator(task_id="right", script="true")]

with DAG("daily", schedule="@daily", start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    DockerOperator(task_id="day", script="echo {{ ds }}; test {{ ds }} != 2026-01-02")

with DAG("pooled", is_paused_upon_creation=False):
    DockerOperator(task_id="one", script="true", pool="narrow")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, base_image: str) -> Iterator[CliProject]:
    del base_image
    made = CliProject(tmp_path_factory.mktemp("by-hand"))
    made.write("d.py", DAG_FILE)
    made.ok("db", "upgrade")
    with made.start("scheduler"):
        made.wait_dags(["chain", "slow", "choice", "pooled", "timed_out", "failing_fast"])
        yield made


def states(project: CliProject, dag_id: str) -> dict[str, str]:
    shown = project.json("runs", "show", dag_id)
    return {task["task_id"]: task["state"] for task in shown["tasks"]}


def run_of(project: CliProject, dag_id: str) -> Any:
    return project.json("runs", "show", dag_id)


def test_a_failed_task_is_cleared_and_the_run_goes_on(project: CliProject) -> None:
    project.ok("dags", "trigger", "chain")
    project.wait_run("chain")
    assert states(project, "chain") == {"first": "success", "second": "failed", "third": "upstream_failed"}
    dry = project.json("tasks", "clear", "chain", "second", "--downstream", "--dry-run")
    assert [(row["task"], row["state"]) for row in dry] == [("second", "failed"), ("third", "upstream_failed")]
    assert states(project, "chain")["second"] == "failed"
    project.write("d.py", DAG_FILE.replace("test -e /state/mended || exit 3", "echo mended"))
    said = project.ok("tasks", "clear", "chain", "second", "--downstream", "--as-run", "--yes")
    assert said.stdout == "2 tasks will run again\n"
    project.wait_run("chain")
    assert states(project, "chain")["second"] == "failed"  # as it was: not the mended version
    done = project.json("runs", "clear", "chain", "--only-failed")
    assert [name.split(": ")[1] for name in done["tasks"]] == ["second", "third"]
    project.wait_run("chain")
    shown = run_of(project, "chain")
    assert shown["state"] == "success"
    assert {task["task_id"]: task["tries"] for task in shown["tasks"]} == {"first": 1, "second": 3, "third": 1}


def test_a_branch_runs_what_it_chose(project: CliProject) -> None:
    project.ok("dags", "trigger", "choice")
    project.wait_run("choice")
    assert states(project, "choice") == {"pick": "success", "left": "success", "right": "skipped"}


def test_a_cancelled_run_takes_down_what_it_set_up(project: CliProject) -> None:
    project.ok("dags", "trigger", "slow")
    wait_state(project, "slow", "work", "running")
    project.ok("runs", "cancel", "slow")
    project.wait_run("slow")
    assert states(project, "slow") == {"create": "success", "work": "failed", "drop": "success"}
    assert run_of(project, "slow")["state"] == "failed"
    assert "cancelled by" in run_of(project, "slow")["reason"]


@pytest.mark.parametrize(
    ("dag_id", "more", "why"),
    [
        ("timed_out", {}, "it ran longer than its execution_timeout"),
        ("failing_fast", {"breaks": "failed"}, "breaks failed, and the DAG says fail_fast"),
    ],
)
def test_what_was_set_up_is_taken_down_after(
    project: CliProject, dag_id: str, more: dict[str, str], why: str
) -> None:
    project.ok("dags", "trigger", dag_id)
    project.wait_run(dag_id)
    assert states(project, dag_id) == {"create": "success", "work": "failed", "drop": "success", **more}
    assert why in run_of(project, dag_id)["reason"]
    assert "down" in project.ok("tasks", "logs", dag_id, "drop").stdout


def test_a_run_that_is_marked_takes_down_what_it_set_up(project: CliProject) -> None:
    project.ok("dags", "trigger", "slow")
    wait_state(project, "slow", "work", "running")
    said = project.ok("runs", "mark", "slow", "--as", "skipped")
    assert "still taken down, by drop" in said.stderr
    project.wait_run("slow")
    assert states(project, "slow") == {"create": "success", "work": "skipped", "drop": "success"}


def test_a_killed_task_is_gone_and_what_was_set_up_is_taken_down(project: CliProject) -> None:
    project.ok("dags", "trigger", "slow")
    wait_state(project, "slow", "work", "running")
    project.ok("tasks", "kill", "slow", "work")
    project.wait_run("slow")
    assert states(project, "slow") == {"create": "success", "work": "failed", "drop": "success"}


def test_a_running_task_that_is_marked_success_is_stopped_and_the_run_succeeds(project: CliProject) -> None:
    project.ok("dags", "trigger", "slow")
    wait_state(project, "slow", "work", "running")
    project.ok("tasks", "mark", "slow", "work", "--as", "success")
    project.wait_run("slow")
    assert run_of(project, "slow")["state"] == "success"


def test_a_pool_that_is_not_there_is_named_and_can_be_made(project: CliProject) -> None:
    project.ok("dags", "trigger", "pooled")
    project.wait_run("pooled")
    assert "orchestrator pools set narrow" in run_of(project, "pooled")["reason"]
    project.ok("pools", "set", "narrow", "1")
    project.ok("runs", "clear", "pooled")
    project.wait_run("pooled")
    assert run_of(project, "pooled")["state"] == "success"
    rows = {row["name"]: row for row in project.json("pools", "list")}
    assert rows["narrow"] == {"name": "narrow", "slots": 1, "taken": 0, "used_by": ["pooled"]}
    refused = project.run("pools", "delete", "narrow")
    assert refused.code == 1
    assert "is used by pooled" in refused.stderr


def test_on_hold_nothing_starts_and_it_says_so(project: CliProject) -> None:
    project.ok("dags", "pause", "choice", "--hold")
    project.ok("dags", "trigger", "choice")
    wait_state(project, "choice", "pick", "queued")
    assert "on hold" in project.ok("tasks", "explain", "choice", "pick").stdout
    project.ok("dags", "unpause", "choice")
    project.wait_run("choice")
    assert run_of(project, "choice")["state"] == "success"


def test_a_backfill_does_what_its_dry_run_shows(project: CliProject) -> None:
    words = ("backfill", "create", "daily", "--from", "2026-01-01", "--to", "2026-01-03")
    plan = project.json(*words, "--dry-run")
    assert [step["does"] for step in plan] == ["make"] * 3
    (version,) = {step["version"] for step in plan}
    assert version
    begun = project.json(*words, "--max-active-runs", "2")
    assert (begun["runs"], begun["left"]) == (3, 0)
    project.wait_runs("daily", 3)
    shown = project.json("backfill", "show", str(begun["id"]))
    assert (shown["state"], shown["done"], shown["failed"], shown["total"]) == ("done", 3, 1, 3)
    again = project.json(*words, "--reprocess", "failed", "--dry-run")
    assert [(step["does"], step["version"]) for step in again] == [
        ("leave", None),
        ("clear", version),
        ("leave", None),
    ]
    refused = project.run(*words)
    assert refused.code == 1
    assert "nothing to do: 3 intervals" in refused.stderr
    logs = project.ok("tasks", "logs", "daily", "day", "2026-01-03").stdout
    assert "2026-01-03" in logs


def test_what_is_not_there_cannot_be_changed(project: CliProject) -> None:
    project.ok("dags", "trigger", "chain")
    project.wait_run("chain")
    for words, error in (
        (("tasks", "clear", "chain", "nothing"), "no task instance is meant"),
        (("tasks", "clear", "chain", "("), "is no regular expression"),
        (("tasks", "kill", "chain", "first"), "nothing that runs is meant"),
        (("runs", "clear", "nowhere"), "nowhere"),
    ):
        said = project.run(*words)
        assert said.code != 0, words
        assert error in said.stderr


def wait_state(project: CliProject, dag_id: str, task_id: str, state: str) -> None:
    """Until a task of the newest run is in a state; the scheduler's notices say when to look."""
    project.wait_task(dag_id, task_id, state)
