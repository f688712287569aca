"""`runs watch` and `tasks logs --follow` are woken by the scheduler: while nothing concerns them, they ask nothing
of the database."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_project import REPOSITORY, CliProject, Started

pytestmark = pytest.mark.engine

PATIENT = """\
from orchestrator import DAG, DockerOperator, Mount

with DAG("patient", schedule=None, is_paused_upon_creation=False):
    DockerOperator(
        task_id="wait",
        script="echo begun; until [ -e /gate/open ]; do sleep 0.05; done; printf 'no newline' >&2; echo ended",
        mounts=[Mount.root("gate", "/gate")],
    )
"""
#: The command line, with a line on stderr for each statement that it sends to the database.
COUNTED = """
import sys
from sqlalchemy import Engine, event
from orchestrator.cli import main

@event.listens_for(Engine, "before_cursor_execute")
def told(connection, cursor, statement, *rest):
    sys.stderr.write("QUERY\\n")

main()
"""


@pytest.fixture
def project(base_image: str, tmp_path: Path) -> Iterator[CliProject]:
    """A project with a scheduler."""
    project = CliProject(tmp_path)
    project.write("patient.py", PATIENT)
    project.write("hello.py", (REPOSITORY / "dags" / "hello.py").read_text())
    project.ok("db", "upgrade")
    with project.start("scheduler") as scheduler:
        scheduler.wait_line("scheduler.running")
        yield project
        project.wait_run("patient")


def counted(project: CliProject, *arguments: str) -> Started:
    return Started([sys.executable, "-c", COUNTED, *arguments], project.folder, project.environment)


def test_watching_and_following_ask_the_database_nothing_while_nothing_happens(project: CliProject) -> None:
    project.ok("dags", "trigger", "patient")
    with (
        counted(project, "tasks", "logs", "patient", "wait", "--follow") as follow,
        counted(project, "runs", "watch", "patient") as watch,
    ):
        follow.wait_line("begun")
        watch.wait_line("wait running")
        before = follow.lines.count("QUERY\n"), watch.lines.count("QUERY\n")
        project.ok("dags", "trigger", "hello")
        project.ok("runs", "watch", "hello")  # meanwhile the scheduler has told of much else
        assert (follow.lines.count("QUERY\n"), watch.lines.count("QUERY\n")) == before
        assert min(before) > 0
        (project.home / "data" / "gate" / "open").touch()
        assert (follow.end(), watch.end()) == (0, 0)
    said = "".join(line for line in follow.lines if line != "QUERY\n")
    assert said.index("begun") < said.index("ended")
    assert "no newline" in said


def test_a_log_is_byte_for_byte_what_the_task_wrote_on_each_stream(project: CliProject) -> None:
    project.ok("dags", "trigger", "patient")
    (project.home / "data" / "gate").mkdir(parents=True, exist_ok=True)
    (project.home / "data" / "gate" / "open").touch()
    project.wait_run("patient")
    said = project.ok("tasks", "logs", "patient", "wait")
    assert (said.stdout, said.stderr) == ("begun\nended\n", "no newline")


def test_a_dag_without_a_run_is_watched_from_its_first_on(project: CliProject) -> None:
    (project.home / "data" / "gate").mkdir(parents=True, exist_ok=True)
    (project.home / "data" / "gate" / "open").touch()
    with project.start("runs", "watch", "patient") as watch:
        watch.wait_line("patient has no run yet: waiting for its first")
        project.ok("dags", "trigger", "patient")
        assert watch.end() == 0
        assert any("wait success" in line for line in watch.lines)
    begun = next(place for place, line in enumerate(watch.lines) if line.startswith("patient  manual__"))
    assert "  for 2" in watch.lines[begun]
    assert any(line.split()[:3] == ["wait", "success", "1"] for line in watch.lines[begun:])
    assert any(line.startswith("patient  ") and ": success after " in line for line in watch.lines[begun + 1 :])
