"""What is explained where something is missing: the engine, the scheduler, a sound DAG file, an answer."""

from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cli_project import PATIENCE, REPOSITORY, CliProject, queued

from orchestrator import explanations
from orchestrator.app import App
from orchestrator.errors import NotFoundError
from orchestrator.explanations import Explanation
from orchestrator.ids import UNMAPPED, Epoch
from orchestrator.ports import Led
from orchestrator.scheduler.local_socket import Following, LocalSocket
from orchestrator.scheduler.notices import TaskChanged
from orchestrator.settings import open_project
from orchestrator.states import ReasonCode as Code
from orchestrator.store import SqlStore

NOWHERE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
BROKEN = "from orchestrator import DAG\nwith DAG('hello'\n"


class Told(NamedTuple):
    """What two commands printed while the scheduler ran."""

    explained: dict[str, Any]
    shown: dict[str, Any]


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> tuple[CliProject, Told]:
    """A project whose scheduler was there for a while, without an engine: a run waits, and its file broke."""
    project = CliProject(tmp_path_factory.mktemp("troubled"), NOWHERE)
    project.write("hello.py", (REPOSITORY / "dags" / "hello.py").read_text())
    project.ok("db", "upgrade")
    app = App(open_project(project.folder, project.environment))
    with project.start("scheduler") as scheduler:
        scheduler.wait_line('"dag_id": "hello"')
        with Following(app.socket) as following, queued(following) as told, app.actions() as actions:
            actions.trigger("hello")
            while not is_delayed(told.get(timeout=PATIENCE)):
                pass
        said = Told(project.json("tasks", "explain", "hello", "name"), project.json("runs", "show", "hello"))
        project.write("hello.py", BROKEN)
        scheduler.wait_line("dag_file.broken")
    return project, said


@pytest.fixture(scope="module")
def project(troubled: tuple[CliProject, Told]) -> CliProject:
    return troubled[0]


@pytest.fixture(scope="module")
def with_scheduler(troubled: tuple[CliProject, Told]) -> Told:
    return troubled[1]


def is_delayed(notice: object) -> bool:
    return isinstance(notice, TaskChanged) and notice.task.reason is not None


def explained(project: CliProject, *about: str) -> Explanation:
    app = App(open_project(project.folder, project.environment))
    with app.queries() as queries, app.explanations() as asked:
        if len(about) == 1:
            return asked.dag(*about)
        return asked.task(queries.run_key(about[0], None), about[1], UNMAPPED)


def test_a_task_that_waits_for_the_engine_says_so(with_scheduler: Told) -> None:
    assert with_scheduler.explained["reason"]["code"] == "engine_down"
    assert "unix:///nowhere/docker.sock" in with_scheduler.explained["text"]
    assert with_scheduler.explained["scheduler"]


def test_a_run_that_waits_is_shown_with_what_each_task_waits_for(with_scheduler: Told) -> None:
    assert with_scheduler.shown["reason"].startswith("name: ")
    codes = [task["reason"].partition(":")[0] for task in with_scheduler.shown["tasks"]]
    assert codes == ["engine_down", "upstream", "upstream"]


def test_where_no_scheduler_runs_that_comes_first_and_what_the_rows_tell_after_it(project: CliProject) -> None:
    told = project.json("tasks", "explain", "hello", "name")
    assert told["reason"]["code"] == "no_scheduler"
    assert told["text"].startswith("no scheduler runs here; besides, ")
    assert "unix:///nowhere/docker.sock" in told["text"]
    assert told["next_step"] == "start one: `orchestrator up`"
    assert not told["scheduler"]
    greet = explained(project, "hello", "greet")
    assert greet.behind is not None
    assert (greet.behind.task_id, greet.behind.reason.code) == ("name", Code.ENGINE_DOWN)
    assert greet.next_step == told["next_step"]


def test_a_dag_whose_file_is_broken_is_told_to_go_on_as_it_was(project: CliProject) -> None:
    broken, running = explained(project, "hello").notes
    assert broken.startswith(
        "its file is broken now, and its last good version counts: hello.py:2: error: syntax: "
    )
    assert running.startswith("running now: manual__")


def test_a_dag_that_nobody_knows_may_be_in_a_file_that_is_broken(project: CliProject) -> None:
    with pytest.raises(NotFoundError) as unknown:
        explained(project, "other")
    assert "hello.py" in unknown.value.fix
    assert "dags check" in unknown.value.fix


def test_a_scheduler_that_does_not_answer_is_told_of(project: CliProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanations, "ANSWER_SECONDS", 0.05)
    stuck = LocalSocket(project.home / "run" / "scheduler.sock")  # it listens and is never served
    told = explained(project, "hello", "name")
    stuck.close()
    assert told.reason is not None
    assert (told.reason.code, told.scheduler) == (Code.ENGINE_DOWN, False)
    assert told.notes == ("the scheduler gave no answer for 0.05 s; this is what the database tells",)


def test_a_scheduler_that_leads_elsewhere_is_told_of(project: CliProject, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = Led(owner="other (process 1)", epoch=Epoch(2), left=timedelta(seconds=5))
    monkeypatch.setattr(SqlStore, "led", lambda _store: elsewhere)
    told = explained(project, "hello", "name")
    assert told.reason is not None
    assert (told.reason.code, told.scheduler) == (Code.ENGINE_DOWN, False)
    (note,) = told.notes
    assert note == "other (process 1) leads, which cannot be asked from here; this is what the database tells"


def test_a_project_that_never_ran_explains_nothing_it_does_not_know(tmp_path: Path) -> None:
    project = CliProject(tmp_path, NOWHERE)
    project.ok("db", "upgrade")
    said = project.run("dags", "explain", "hello")
    assert (said.code, said.stdout) == (1, "")
    assert "no DAG 'hello'" in said.stderr
