"""A scheduler that stands still is ended and started anew (invariant I7): the container whose output it does not
read stands still no longer than that, in the same container, and no byte is lost."""

import itertools
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from endless_stage import Endless, endless
from supervised import STANDS_STILL, SupervisedProcess

from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address

pytestmark = pytest.mark.engine

_BILLION = 1_000_000_000


def _supervised(folder: Path, address: Address, image: str, stall_timeout: float) -> Endless:
    settings = {"ORCHESTRATOR__SCHEDULING__STALL_TIMEOUT": str(stall_timeout)}
    return endless(folder, address, image, settings, life=SupervisedProcess)


@pytest.fixture
def hasty(tmp_path: Path, engine_address: Address, base_image: str) -> Iterator[Endless]:
    """One whose supervisor waits for 3 s."""
    with _supervised(tmp_path, engine_address, base_image, 3) as stage:
        yield stage


@pytest.fixture
def usual(tmp_path: Path, engine_address: Address, base_image: str) -> Iterator[Endless]:
    """One whose supervisor waits as long as the settings say by themselves."""
    with _supervised(tmp_path, engine_address, base_image, 10) as stage:
        yield stage


def _supervisor(stage: Endless) -> SupervisedProcess:
    assert isinstance(stage.scheduler, SupervisedProcess)
    return stage.scheduler


def _freeze(stage: Endless, number: int) -> float:
    """Stop the scheduler for the `number`th time until another one runs; the seconds until it was ended."""
    clock, supervisor = SystemClock(), _supervisor(stage)
    began = clock.monotonic()
    supervisor.freeze_scheduler()
    supervisor.wait_said(STANDS_STILL, number)
    took = clock.monotonic() - began
    supervisor.wait_said("scheduler.running", number + 1)
    return took


def _longest_pause(times: list[int]) -> float:
    """Seconds between two lines, at most."""
    return max(later - earlier for earlier, later in itertools.pairwise(times)) / _BILLION


def test_a_scheduler_that_was_stopped_is_ended_and_its_container_goes_on(hasty: Endless) -> None:
    container = hasty.begin_printing()
    stood_still = _freeze(hasty, 1)
    times = hasty.wait_whole_end(container)
    assert _longest_pause(times) < stood_still + 5


def test_a_scheduler_that_waits_for_a_lock_for_longer_is_not_ended(hasty: Endless) -> None:
    container = hasty.begin_printing()
    other = sqlite3.connect(hasty.app.project.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    hasty.end_printing(container)
    _supervisor(hasty).wait_said("database.away")  # that took 5 s
    other.execute("ROLLBACK")
    other.close()
    _supervisor(hasty).wait_said("database.back")
    hasty.wait_whole_end(container)
    said = "".join(_supervisor(hasty).lines)
    assert (said.count(STANDS_STILL), said.count("scheduler.running"), said.count("database.away")) == (0, 1, 1)


@pytest.mark.long
def test_no_container_stands_still_for_more_than_15_s(usual: Endless) -> None:
    container = usual.begin_printing()
    stood_still = [_freeze(usual, number) for number in range(1, 4)]
    pause = _longest_pause(usual.wait_whole_end(container))
    sys.stdout.write(
        f"ended after {max(stood_still):.1f} s at most; the container paused for {pause:.1f} s at most\n"
    )
    assert 5 < pause < 15
