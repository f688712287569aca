"""`orchestrator up`: from a fresh copy of the project to a green run by itself, and how it ends and comes back."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from cli_project import REPOSITORY, CliProject, Started
from example_project import RunningProject
from reference_container import ReferenceContainer

pytestmark = pytest.mark.engine

#: A container that runs until it is told that the test is done with it.
PATIENT = """\
from orchestrator import DAG, DockerOperator, Mount

with DAG("patient", schedule=None, is_paused_upon_creation=False):
    DockerOperator(
        task_id="wait",
        script="echo begun; until [ -e /gate/open ]; do sleep 0.05; done; echo ended",
        mounts=[Mount.root("gate", "/gate")],
    )
"""


@pytest.fixture
def small(base_image: str, tmp_path: Path) -> Iterator[CliProject]:
    """A project with `hello` and a DAG whose container waits; nothing of it may be left on the engine."""
    project = CliProject(tmp_path / "project")
    project.write("hello.py", (REPOSITORY / "dags" / "hello.py").read_text())
    project.write("patient.py", PATIENT)
    yield project
    left = project.containers()
    client = docker.from_env()
    for name in left:
        client.containers.get(name).remove(force=True, v=True)
    client.close()
    assert left == []


def test_a_fresh_project_reaches_a_green_scheduled_run_by_itself(
    running: RunningProject, expected: ReferenceContainer
) -> None:
    shown = running.project.json("runs", "show", "nyc_flights", "scheduled__2013-12-30T00:00:00+00:00")
    assert (shown["state"], shown["run_type"]) == ("success", "scheduled")
    files = running.project.files()
    assert files["report/2013-12-30.json"] == expected("2013-12-30").report
    assert files["carriers/2013-12-30.csv"] == expected("2013-12-30").carriers
    assert [task["tries"] for task in shown["tasks"]] == [1] * 8


def test_only_the_newest_day_runs_by_itself(running: RunningProject) -> None:
    runs = running.project.json("runs", "list", "nyc_flights")
    assert [run["logical_date"] for run in runs if run["run_type"] == "scheduled"] == ["2013-12-30T00:00:00Z"]
    assert running.project.json("runs", "list", "hello") == []


def test_up_says_how_to_watch(running: RunningProject) -> None:
    assert any("orchestrator runs watch DAG_ID" in line for line in running.up.lines)


def test_a_second_up_of_one_home_is_refused_and_names_the_process(small: CliProject) -> None:
    with small.start("up") as up:
        up.wait_line("scheduler.running")
        second = small.run("up")
        assert second.code != 0
        assert f"a scheduler (process {scheduler_of(up)}) runs for {small.home} already" in second.stderr
        small.ok("dags", "trigger", "hello")  # the first goes on
        small.wait_run("hello")


def test_a_scheduler_that_is_killed_is_started_again(small: CliProject) -> None:
    with small.start("up") as up:
        up.wait_line("scheduler.running")
        killed = scheduler_of(up)
        os.kill(killed, signal.SIGKILL)
        up.wait_line("the scheduler ended with signal 9")
        up.wait_line("scheduler.running")
        assert scheduler_of(up) != killed
        small.ok("dags", "trigger", "hello")
        small.wait_run("hello")


def test_term_ends_everything_of_ours_but_the_container_which_the_next_up_adopts(small: CliProject) -> None:
    with small.start("up") as up:
        up.wait_line("scheduler.running")
        small.ok("dags", "trigger", "patient")
        with small.start("tasks", "logs", "patient", "wait", "--follow") as log:
            log.wait_line("begun")
        up.send(signal.SIGTERM)
        assert up.end(limit=5) == 0
        assert up.session() == []
    (name,) = small.containers()
    assert state_of(name) == "running"
    with small.start("up") as up:
        up.wait_line("try.adopted")  # it has to be found running
        gate = small.home / "data" / "gate" / "open"
        gate.touch()
        assert small.run("runs", "watch", "patient").code == 0
        assert small.ok("tasks", "logs", "patient", "wait").stdout == "begun\nended\n"
        small.wait_run("patient")
        (task,) = small.json("runs", "show", "patient")["tasks"]
        (attempt,) = task["attempts"]
        assert (attempt["container"], attempt["adopted"]) == (name, True)


def test_ctrl_c_ends_it_too(small: CliProject) -> None:
    with small.start("up") as up:
        up.wait_line("scheduler.running")
        os.killpg(up.pid, signal.SIGINT)  # as a terminal does it: to every process in front
        assert up.end(limit=5) == 0
        assert not any("Traceback" in line for line in up.lines)


def test_the_parent_that_keeps_the_scheduler_alive_is_small(small: CliProject) -> None:
    with small.start("up") as up:
        up.wait_line("scheduler.running")
        assert resident(up.pid) * 3 < resident(scheduler_of(up))


def scheduler_of(up: Started) -> int:
    """The process that the parent keeps alive."""
    (child,) = Path(f"/proc/{up.pid}/task/{up.pid}/children").read_text().split()
    return int(child)


def resident(pid: int) -> int:
    """KiB of memory that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def state_of(container: str) -> str:
    client = docker.from_env()
    try:
        return str(client.containers.get(container).status)
    finally:
        client.close()


def test_what_it_logs_into_a_pipe_is_json_but_for_its_lines_for_people(running: RunningProject) -> None:
    events = [json.loads(line) for line in running.up.lines if line.startswith("{")]
    assert {"scheduler.running", "engine.connected"} <= {event["event"] for event in events}
