"""What is looked at without a container."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.bootstrap.machine import LocalMachine, install_packages
from orchestrator.bootstrap.machine_steps import (
    clock_finding,
    disk_finding,
    disk_step,
    engine_time,
    folders_step,
    room_step,
    task_images_step,
)
from orchestrator.bootstrap.steps import Say, Status, run_steps
from orchestrator.errors import RepairError
from orchestrator.images.catalog import Catalog
from orchestrator.settings import EngineSettings, Project, Settings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
GIB = 1 << 30


def project(root: Path) -> Project:
    return Project(root=root, home=root / "home", settings=Settings(), sources={}, engine_environment={})


def test_missing_folders_are_made(tmp_path: Path) -> None:
    step = folders_step(project(tmp_path))
    (before,) = run_steps([step], lambda _: None)
    assert before.status is Status.WARN
    said: list[str] = []
    (after,) = run_steps([step], said.append, lambda _: True)
    assert after.status is Status.OK
    assert (tmp_path / "home/run").is_dir()
    assert said[0] == f"creating {tmp_path}/home"


def test_a_home_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    (check,) = run_steps([folders_step(project(tmp_path))], lambda _: None, lambda _: True)
    assert (check.status, check.fix) == (Status.FAIL, "set ORCHESTRATOR_HOME")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (EngineSettings(), ("all its cores and all its memory", "for 0 cores", "for 0 MiB")),
        (
            EngineSettings(cpus=1.5, memory=512, assume_cpus=0.25, assume_memory=64),
            ("1.5 cores and 512 MiB memory", "for 0.25 cores", "for 64 MiB"),
        ),
    ],
)
def test_how_tasks_are_counted_is_told(settings: EngineSettings, words: tuple[str, ...]) -> None:
    (check,) = run_steps([room_step(settings)], lambda _: None)
    assert check.status is Status.OK
    assert all(each in check.text for each in words)


@pytest.mark.parametrize(("free", "status"), [(9, Status.OK), (2, Status.WARN), (0.5, Status.FAIL)])
def test_little_room_is_told_before_there_is_none(free: float, status: Status) -> None:
    assert disk_finding(int(free * GIB), Path("/x")).status is status


def test_room_is_measured_where_the_home_will_be(tmp_path: Path) -> None:
    (check,) = run_steps([disk_step(project(tmp_path))], lambda _: None)
    assert str(tmp_path / "home") in check.text


@pytest.mark.parametrize(("drift", "status"), [(0, Status.OK), (4, Status.OK), (-4, Status.OK), (60, Status.WARN)])
def test_clocks_may_differ_by_seconds(drift: int, status: Status) -> None:
    theirs = NOON + timedelta(seconds=drift)
    assert clock_finding(NOON, theirs, NOON + timedelta(seconds=1)).status is status


def test_the_engine_writes_instants_with_nanoseconds() -> None:
    assert engine_time("2026-01-01T13:00:00.123456789+01:00") == NOON.replace(microsecond=123456)


def test_broken_task_images_are_told_with_their_fix(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good/Dockerfile").write_text("FROM a:1\n")
    (check,) = run_steps([task_images_step(Catalog(tmp_path))], lambda _: None)
    assert check.status is Status.OK
    (tmp_path / "good/Dockerfile").write_text("FROM good\n")
    (check,) = run_steps([task_images_step(Catalog(tmp_path))], lambda _: None)
    assert check.status is Status.FAIL
    assert "good -> good" in check.text
    assert check.fix


# --- the machine itself -------------------------------------------------------------------------------


def test_a_program_is_heard_and_its_failure_has_its_last_lines() -> None:
    said: list[str] = []
    LocalMachine().run(("sh", "-c", "echo one; echo two >&2"), said.append)
    assert said == ["one", "two"]
    with pytest.raises(RepairError, match=r"ended with 3:\n    the end"):
        LocalMachine().run(("sh", "-c", "echo the end; exit 3"), said.append)
    with pytest.raises(RepairError, match="cannot be run"):
        LocalMachine().run(("no-such-program",), said.append)


def test_what_an_installer_says_everywhere_is_no_news() -> None:
    said: list[str] = []
    noise = "debconf: delaying package configuration, since apt-utils is not installed"
    LocalMachine().run(("sh", "-c", f"echo '{noise}'; echo done"), said.append)
    assert said == ["done"]


def test_one_broken_package_source_does_not_stop_an_installation() -> None:
    class Halting(LocalMachine):
        def __init__(self) -> None:
            self.ran: list[str] = []

        def run(self, command: Sequence[str], say: Say) -> None:
            self.ran.append(command[1])
            if command[1] == "update":
                raise RepairError("a source does not answer")

    machine, said = Halting(), list[str]()
    install_packages(machine, ("x",), said.append)
    assert machine.ran == ["update", "install"]
    assert said == ["a source does not answer"]
