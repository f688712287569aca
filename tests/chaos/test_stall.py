"""A scheduler that stands still is ended and started anew (invariant I7): the container whose output it does not
read stands still no longer than that, in the same container, and no byte is lost."""

import itertools
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_record import CREATED, DIED, STARTED
from stage import Stage
from supervised import SupervisedProcess

from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address
from orchestrator.ids import ContainerId
from orchestrator.ports import Stream
from orchestrator.states import RunState

pytestmark = pytest.mark.engine

_BILLION = 1_000_000_000
_STANDS_STILL = "made no progress for"
_RUNS = "scheduler.running"


class Endless(Stage):
    """Its one task prints without end."""

    @property
    def supervisor(self) -> SupervisedProcess:
        assert isinstance(self.scheduler, SupervisedProcess)
        return self.scheduler

    def begin_printing(self) -> ContainerId:
        self.begin()
        container = self.record.wait(STARTED, "endless")
        self.wait_gate(container, 1)
        return container

    def freeze(self, number: int) -> float:
        """Stop the scheduler for the `number`th time until another one runs; the seconds until it was ended."""
        clock = SystemClock()
        began = clock.monotonic()
        self.supervisor.freeze_scheduler()
        self.supervisor.wait_said(_STANDS_STILL, number)
        took = clock.monotonic() - began
        self.supervisor.wait_said(_RUNS, number + 1)
        return took

    def end_printing(self, container: ContainerId) -> None:
        self.open_gate(container, 1)
        self.record.wait_for(DIED, container)

    def wait_whole_end(self, container: ContainerId) -> list[int]:
        """Have the task end, and see that nothing was lost or done twice; when each line was written, in ns."""
        if (container, 1) not in self._opened:
            self.open_gate(container, 1)
        view = self.wait_end()
        (attempt,) = view.tries
        assert view.run.state is RunState.SUCCESS
        assert (attempt.container_id, attempt.log_complete) == (container, True)
        assert (
            self.record.containers(CREATED, "endless") == self.record.containers(STARTED, "endless") == [container]
        )
        first, *lines, last = self.log(attempt.key)[Stream.STDOUT].decode().splitlines()
        assert (first, last) == ("gate 1", f"{len(lines)} lines")
        told = [line.split(" ", 2) for line in lines]
        assert [int(number) for _, number, _ in told] == list(range(len(lines)))
        assert {len(text) for _, _, text in told} == {8000}
        return [int(at) for at, _, _ in told]


def _stage(folder: Path, address: Address, image: str, stall_timeout: float) -> Endless:
    settings = {"ORCHESTRATOR__SCHEDULING__STALL_TIMEOUT": str(stall_timeout)}
    return Endless(
        folder,
        "endless",
        "endless.py",
        address,
        image,
        proxied=False,
        settings=settings,
        life=SupervisedProcess,
    )


@pytest.fixture
def hasty(tmp_path: Path, engine_address: Address, base_image: str) -> Iterator[Endless]:
    """One whose supervisor waits for 3 s."""
    with _stage(tmp_path, engine_address, base_image, 3) as stage:
        yield stage


@pytest.fixture
def usual(tmp_path: Path, engine_address: Address, base_image: str) -> Iterator[Endless]:
    """One whose supervisor waits as long as the settings say by themselves."""
    with _stage(tmp_path, engine_address, base_image, 10) as stage:
        yield stage


def _longest_pause(times: list[int]) -> float:
    """Seconds between two lines, at most."""
    return max(later - earlier for earlier, later in itertools.pairwise(times)) / _BILLION


def test_a_scheduler_that_was_stopped_is_ended_and_its_container_goes_on(hasty: Endless) -> None:
    container = hasty.begin_printing()
    stood_still = hasty.freeze(1)
    times = hasty.wait_whole_end(container)
    assert stood_still / 2 < _longest_pause(times) < stood_still + 5


def test_a_scheduler_that_waits_for_a_lock_for_longer_is_not_ended(hasty: Endless) -> None:
    container = hasty.begin_printing()
    other = sqlite3.connect(hasty.app.project.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    hasty.end_printing(container)
    hasty.supervisor.wait_said("database.away")  # that took 5 s
    other.execute("ROLLBACK")
    other.close()
    hasty.supervisor.wait_said("database.back")
    hasty.wait_whole_end(container)
    said = "".join(hasty.supervisor.lines)
    assert (said.count(_STANDS_STILL), said.count(_RUNS), said.count("database.away")) == (0, 1, 1)


@pytest.mark.long
def test_no_container_stands_still_for_more_than_15_s(usual: Endless) -> None:
    container = usual.begin_printing()
    stood_still = [usual.freeze(number) for number in range(1, 6)]
    pause = _longest_pause(usual.wait_whole_end(container))
    sys.stdout.write(
        f"ended after {max(stood_still):.1f} s at most; the container paused for {pause:.1f} s at most\n"
    )
    assert 5 < pause < 15
