"""A disk that is full and a database server that is away, for real (invariant I5): the container runs on, the
scheduler waits and says so, and once there is room, or a server, the run goes on where it stood."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from endless_stage import Endless, endless
from postgres_server import PostgresServer

from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address
from orchestrator.ports import Page
from orchestrator.states import ReasonCode

pytestmark = pytest.mark.engine

_MIB = 1 << 20


class Disk:
    """A disk of the test's own, in memory, with the home on it."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._filler = place / "filler"
        place.mkdir()

    def __enter__(self) -> Self:
        if os.getuid() != 0:
            pytest.skip("needs root, to mount a small disk")
        command = ["mount", "-t", "tmpfs", "-o", f"size={300 * _MIB}", "tmpfs", str(self._place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"needs to mount a small disk: {done.stderr.strip()}")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", str(self._place)], check=True)

    def fill(self) -> None:
        with self._filler.open("wb", buffering=0) as filler, contextlib.suppress(OSError):  # ENOSPC
            for size in (_MIB, 1):
                with contextlib.suppress(OSError):
                    while filler.write(b"x" * size):
                        pass

    def make_room(self) -> None:
        self._filler.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with Disk(tmp_path / ".orchestrator") as made:
        yield made


@pytest.fixture
def full(disk: Disk, tmp_path: Path, engine_address: Address, base_image: str) -> Iterator[Endless]:
    """Its home is on `disk`."""
    assert disk
    with endless(tmp_path, engine_address, base_image) as stage:
        yield stage


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One that this test may stop."""
    made = PostgresServer()
    try:
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture
def served(server: PostgresServer, tmp_path: Path, engine_address: Address, base_image: str) -> Iterator[Endless]:
    """Its database is on `server`."""
    url = server.url(server.make_database()).render_as_string(hide_password=False)
    with endless(tmp_path, engine_address, base_image, {"ORCHESTRATOR__DATABASE__URL": url}) as stage:
        yield stage


def _said(stage: Endless, words: str) -> int:
    return sum(words in line for line in stage.scheduler.lines)


def test_a_full_disk_is_told_and_waited_for_and_costs_nothing(full: Endless, disk: Disk) -> None:
    container = full.begin_printing()
    disk.fill()
    full.end_printing(container)
    full.scheduler.wait_said("database.away")
    (said,) = [line for line in full.scheduler.lines if "database.away" in line]
    assert "full" in said
    assert "free some space" in said
    with full.app.queries() as queries, full.app.explanations() as explanations:
        (run,) = queries.runs(None, Page(limit=1))
        explained = explanations.run(run.key)
    assert explained.reason is not None
    assert explained.reason.code is ReasonCode.DATABASE_DOWN
    disk.make_room()
    full.scheduler.wait_said("database.back")
    full.wait_whole_end(container)
    assert (_said(full, "scheduler.running"), _said(full, "database.away")) == (1, 1)
    assert len(full.scheduler.lines) < 60


def test_one_that_is_started_on_a_full_disk_waits_for_room(full: Endless, disk: Disk) -> None:
    container = full.begin_printing()
    assert full.scheduler.stop() == 0
    disk.fill()
    full.spawn()
    full.scheduler.wait_said("waits_for_database")
    disk.make_room()
    full.scheduler.wait_running()
    full.wait_whole_end(container)


def _play_without_server(stage: Endless, server: PostgresServer, seconds: float) -> None:
    container = stage.begin_printing()
    server.stop()
    stage.end_printing(container)
    stage.scheduler.wait_said("database.away")
    SystemClock().wait(threading.Event(), seconds)
    server.start()
    stage.scheduler.wait_said("database.back")
    stage.wait_whole_end(container)
    assert (_said(stage, "scheduler.running"), _said(stage, "database.away")) == (1, 1)


def test_a_database_server_that_is_stopped_and_started_costs_nothing(
    served: Endless, server: PostgresServer
) -> None:
    _play_without_server(served, server, 0)


@pytest.fixture
def alone(tmp_path: Path, engine_address: Address, base_image: str) -> Iterator[Endless]:
    """Nothing of it is anywhere else."""
    with endless(tmp_path, engine_address, base_image) as stage:
        yield stage


@pytest.mark.long
def test_a_minute_without_a_scheduler_costs_nothing(alone: Endless) -> None:
    container = alone.begin_printing()
    alone.scheduler.kill()
    SystemClock().wait(threading.Event(), 30)
    alone.end_printing(container)
    SystemClock().wait(threading.Event(), 30)
    alone.begin()
    alone.wait_whole_end(container)
    sys.stdout.write("no scheduler for 60 s, and the end in between: one container, no retry, no byte lost\n")


@pytest.mark.long
@pytest.mark.parametrize("seconds", [30, 60])
def test_a_database_server_that_is_away_for_long_costs_nothing(
    served: Endless, server: PostgresServer, seconds: int
) -> None:
    _play_without_server(served, server, seconds)
    sys.stdout.write(f"a server away for {seconds} s: one container, no retry, no byte lost\n")
