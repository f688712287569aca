"""`dags test` broken off: by Ctrl-C, by TERM, by a reader that goes, by `kill -9`. Its containers never stay."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from cli_project import PATIENCE, REPOSITORY, CliProject, command

pytestmark = pytest.mark.engine

#: One container that ends when it is told to, one that does not hear, one that would come after.
PATIENT = """\
from orchestrator import DAG, DockerOperator

with DAG("patient", schedule=None):
    ready = DockerOperator(task_id="ready", script="trap 'exit 3' TERM; echo begun; while :; do sleep 0.1; done")
    after = DockerOperator(task_id="after", command="true")
    ready >> after

with DAG("deaf", schedule=None):
    DockerOperator(task_id="deaf", script="trap '' TERM; echo begun; while :; do sleep 0.1; done", stop_grace=60)

with DAG("simple", schedule=None):
    DockerOperator(task_id="simple", script="echo begun; sleep 600; echo never", stop_grace=300)

with DAG("talkative", schedule=None):
    DockerOperator(task_id="talk", script="while :; do echo word; sleep 0.05; done", stop_grace=1)
"""


@pytest.fixture
def project(base_image: str, tmp_path: Path) -> Iterator[CliProject]:
    """A project without a database; nothing of it may be left on the engine."""
    project = CliProject(tmp_path)
    project.write("patient.py", PATIENT)
    project.write("hello.py", (REPOSITORY / "dags" / "hello.py").read_text())
    yield project
    left = project.containers()
    client = docker.from_env()
    for name in left:
        client.containers.get(name).remove(force=True, v=True)
    client.close()
    assert left == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_its_containers_and_is_its_exit_code(number: signal.Signals, project: CliProject) -> None:
    with project.start("dags", "test", "patient") as test:
        test.wait_line("ready | begun")
        assert len(project.containers()) == 1
        test.send(number)
        test.wait_line("stopping its containers")
        assert test.end() == 130
        assert project.containers() == []
        assert not any("Traceback" in line for line in test.lines)
        assert any("ready failed  killed_by: cancelled by" in line for line in test.lines)


def test_a_script_that_knows_nothing_of_signals_ends_at_once(project: CliProject) -> None:
    with project.start("dags", "test", "simple") as test:
        test.wait_line("simple | begun")
        test.send(signal.SIGINT)
        assert test.end(limit=60) == 130  # its own patience would be 300


def test_a_second_ctrl_c_removes_at_once_what_does_not_hear(project: CliProject) -> None:
    with project.start("dags", "test", "deaf") as test:
        test.wait_line("deaf | begun")
        test.send(signal.SIGINT)
        test.wait_line("again to remove them at once")
        test.send(signal.SIGINT)
        test.wait_line("removing its containers")
        assert test.end(limit=30) == 130  # its own patience would be 60
        assert project.containers() == []
        assert not any("Traceback" in line for line in test.lines)


def test_a_reader_that_goes_ends_it_quietly(project: CliProject) -> None:
    line = " ".join(f"'{word}'" for word in command("dags", "test", "talkative"))
    done = subprocess.run(
        ["bash", "-c", f"{line} | head -2"], cwd=project.folder, env=project.environment, capture_output=True,
        text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.stdout == "talk | word\ntalk | word\n"
    assert "Traceback" not in done.stderr
    assert project.containers() == []


@pytest.mark.parametrize("sweeper", ["dags test hello", "doctor"])
def test_what_a_killed_one_leaves_the_next_one_removes(sweeper: str, project: CliProject) -> None:
    with project.start("dags", "test", "patient") as test:
        test.wait_line("ready | begun")
        os.kill(test.pid, signal.SIGKILL)
        assert test.end() == -signal.SIGKILL
    assert len(project.containers()) == 1
    project.run(*sweeper.split())
    assert project.containers() == []


def test_one_that_runs_is_left_alone_by_the_next(project: CliProject) -> None:
    with project.start("dags", "test", "patient") as test:
        test.wait_line("ready | begun")
        project.ok("dags", "test", "hello")
        assert len(project.containers()) == 1
        test.send(signal.SIGINT)
        test.end()


def test_its_outcome_as_json_stands_alone_on_stdout(project: CliProject) -> None:
    outcome = project.json("dags", "test", "hello")
    assert outcome["state"] == "success"
    assert outcome["results"] == {"name": "world", "greet": "Hello, world!", "count": "13"}
    assert [task["state"] for task in outcome["tasks"]] == ["success"] * 3
