"""`docker compose up`: green runs, restarts, an orderly end."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_project import CliProject
from deployment import PATIENCE, Deployment
from docker.models.containers import Container

pytestmark = pytest.mark.engine

#: How versions of compose tell that a network is not removed.
IN_USE = "has active endpoints|still in use"


def test_the_example_comes_to_the_same_bytes_as_tested_by_hand(deployed: Deployment, tmp_path: Path) -> None:
    deployed.compose("cp", "scheduler:/var/lib/orchestrator/data/flights", str(tmp_path / "deployed"))
    by_hand = CliProject.copied(tmp_path / "by hand")
    by_hand.ok("dags", "test", "nyc_flights", "2013-12-30", limit=PATIENCE)
    made = files(tmp_path / "deployed")
    assert len(made) == 9
    assert made == files(by_hand.home / "data" / "flights")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_restart_adopts_what_runs(deployed: Deployment) -> None:
    waiting = begin_gated(deployed)
    deployed.compose("restart", "scheduler")
    deployed.up()
    finish_gated(deployed, waiting)


#: Run as the scheduler's user in its container.
STOP = """
import os, pathlib, signal
names = pathlib.Path("/proc").glob("[0-9]*/cmdline")
(found,) = [each.parent.name for each in names if b"-m\\0orchestrator\\0scheduler" in each.read_bytes()]
os.kill(int(found), signal.SIGSTOP)
"""


@pytest.mark.long
@pytest.mark.timeout(900)  # a start of a scheduler, and perhaps the deployment's
def test_a_scheduler_that_stands_still_is_ended_and_its_container_goes_on_with_what_runs(
    deployed: Deployment,
) -> None:
    waiting = begin_gated(deployed)
    with deployed.starts_of_scheduler() as started:
        stopped = deployed.scheduler.exec_run(["python", "-c", STOP], user="10001")
        assert stopped.exit_code == 0, stopped.output
        assert next(started)
    assert b"made no progress for 10 s" in deployed.scheduler.logs()
    deployed.up()
    finish_gated(deployed, waiting)


@pytest.mark.timeout(600)  # three starts of a scheduler, and perhaps the deployment's
def test_when_its_container_is_killed_the_standby_goes_on_with_what_runs(deployed: Deployment) -> None:
    waiting = begin_gated(deployed)
    with deployed.standby() as standby, deployed.output(standby) as said:
        wait_said(said, "scheduler.standby")
        deployed.scheduler.kill()
        wait_said(said, "leader.taken")
        wait_said(said, "try.adopted")
        deployed.up()
        (stands_by,) = deployed.json("scheduler", "status")["standbys"]
        assert stands_by["owner"].startswith(str(deployed.scheduler.id)[:12])
        finish_gated(deployed, waiting)
    deployed.up()
    assert deployed.json("scheduler", "status")["standbys"] == []


def test_down_in_mid_run_leaves_the_task_to_the_next_up(deployed: Deployment) -> None:
    waiting = begin_gated(deployed)
    down = deployed.try_compose("down")
    assert re.search(rf"{deployed.network}.*({IN_USE})", down.stdout + down.stderr)
    assert sorted(deployed.left()) == sorted([str(waiting.name), deployed.network])
    waiting.reload()
    assert waiting.status == "running"
    deployed.up()
    finish_gated(deployed, waiting)


def test_down_with_no_run_active_leaves_volumes_only(deployed: Deployment) -> None:
    with deployed.imitation() as imitation:
        deployed.compose("down")
        assert deployed.left() == []
        volumes = ("database", "database-password", "home")
        assert sorted(deployed.volumes()) == [f"{deployed.name}_{name}" for name in volumes]
        deployed.up()
        imitation.reload()
        assert imitation.status == "running"
    (run,) = deployed.json("runs", "list", "nyc_flights")
    assert run["state"] == "success"


def test_a_stop_is_orderly(deployed: Deployment) -> None:
    scheduler = deployed.scheduler
    deployed.compose("stop", "--timeout", "5")
    scheduler.reload()
    state = scheduler.attrs["State"]
    deployed.up()
    assert (state["Status"], state["ExitCode"]) == ("exited", 0), "137 would be a kill after 5 s"


def wait_said(lines: Iterator[str], part: str) -> None:
    assert any(part in line for line in lines), f"it ended without saying {part!r}"


def begin_gated(deployed: Deployment) -> Container:
    """Start a run of `gated`; its container, once it waits at its gate."""
    (deployed.results / "gated").unlink(missing_ok=True)
    with deployed.starts("gated") as starts:
        deployed.orchestrator("dags", "trigger", "gated")
        waiting = next(starts)
    with deployed.output(waiting) as lines:
        assert next(lines) == "at the gate"
    return waiting


def finish_gated(deployed: Deployment, waiting: Container) -> None:
    """Let it through: that container, adopted, makes the run's outcome."""
    waiting.exec_run(["sh", "-c", "echo and through > /tmp/gate"])
    deployed.orchestrator("runs", "watch", "gated")
    assert (deployed.results / "gated").read_text() == "through\n"
    (attempt,) = deployed.json("tasks", "show", "gated", "wait")["tries"]
    assert (attempt["container_id"], attempt["adopted"], attempt["outcome"]) == (waiting.id, True, "success")
    assert deployed.orchestrator("tasks", "logs", "gated", "wait").splitlines() == [
        "at the gate",
        "and through",
        "through",
    ]
