"""Two schedulers over one database, on the real engine, of which the one that leads is killed, stopped and woken,
or told to go, while a crowd of containers runs: the other one goes on with all of it, within seconds; no try starts
twice; who wakes up later writes and starts nothing (invariants I1, I3, I4, I7).

Starts are counted from the engine's own events; what is written is read from the database and the log files.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from crowd_record import check_crowd, check_nothing_left, end_long_ones
from engine_record import CREATED, DIED, STARTED
from postgres_server import PostgresServer
from rivals import Rivals
from scheduler_process import SchedulerProcess
from stage import Stage

from orchestrator.engines.docker.address import Address
from orchestrator.scheduler.leadership import LASTS

pytestmark = pytest.mark.engine

#: Seconds within which another one leads.
_TAKEN_OVER = 10.0
#: The same where the lead is given up; it would not have expired by then.
_AT_ONCE = 4.0
#: What a process says that has let go of everything and begins anew as a standby.
_GAVE_WAY = "stands by from now on"


class Ground:
    """Where the tests play: an engine, an image, a database server."""

    def __init__(self, folder: Path, address: Address, image: str, server: PostgresServer) -> None:
        self._folder = folder
        self._address = address
        self._image = image
        self._server = server

    @contextmanager
    def play(self, *, short: int, long: int) -> Iterator[tuple[Stage, Rivals]]:
        """A crowd of so many, and two schedulers, one of which leads; at the end all must have come to its end."""
        given = {"crowd.json": msgspec.json.encode({"short": short, "long": long}).decode()}
        database = self._server.url(self._server.make_database())
        settings = {"ORCHESTRATOR__DATABASE__URL": database.render_as_string(hide_password=False)}
        place = (self._folder, "crowd", "crowd.py", self._address, self._image)
        with Stage(*place, proxied=False, given=given, settings=settings) as stage, Rivals.over(stage) as rivals:
            rivals.add()
            rivals.add()
            yield stage, rivals
            _come_to_an_end(stage, rivals, short, long)


@pytest.fixture
def ground(tmp_path: Path, engine_address: Address, base_image: str, postgres_server: PostgresServer) -> Ground:
    return Ground(tmp_path, engine_address, base_image, postgres_server)


def test_when_the_leader_is_killed_or_told_to_go_the_standby_goes_on(ground: Ground) -> None:
    _kill_again_and_again(ground, rounds=2, short=20, long=2)


@pytest.mark.long
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("part", range(5))
def test_the_leader_is_killed_ten_times_among_a_hundred_containers(ground: Ground, part: int) -> None:
    """Fifty in all."""
    del part
    _kill_again_and_again(ground, rounds=10, short=100, long=3)


def test_a_leader_that_stands_still_and_wakes_up_writes_and_starts_nothing(ground: Ground) -> None:
    with ground.play(short=12, long=2) as (stage, rivals):
        leader, _ = rivals.settled()
        _wait_for_starts(stage, 12, 4)
        _freeze_and_wake(stage, rivals, leader)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_leader_that_stands_still_for_a_minute_writes_and_starts_nothing(ground: Ground) -> None:
    with ground.play(short=200, long=3) as (stage, rivals):
        for _ in range(3):
            leader, _ = rivals.settled()
            _wait_for_starts(stage, 200, 10)
            _freeze_and_wake(stage, rivals, leader, seconds=60)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_that_believe_fifty_times_to_lead_at_one_time_start_nothing_twice(ground: Ground) -> None:
    with ground.play(short=200, long=3) as (stage, rivals):
        rivals.settled()
        for _ in range(50):
            _wait_for_starts(stage, 200, 2)
            _fight(rivals)


def test_while_the_database_is_away_nobody_leads_and_whoever_comes_back_first_goes_on(
    tmp_path: Path, engine_address: Address, base_image: str
) -> None:
    server = PostgresServer()
    try:
        server.start()
        with Ground(tmp_path, engine_address, base_image, server).play(short=12, long=2) as (stage, rivals):
            rivals.settled()
            _wait_for_starts(stage, 12, 4)
            server.stop()
            rivals.let_pass(LASTS.total_seconds() + 2)
            server.start()
            _wait_for_starts(stage, 12, 4)
    finally:
        server.remove()


# --- the play -------------------------------------------------------------------------------------------


def _kill_again_and_again(ground: Ground, *, rounds: int, short: int, long: int) -> None:
    with ground.play(short=short, long=long) as (stage, rivals):
        for number in range(rounds):
            leader, _ = rivals.settled()
            _wait_for_starts(stage, short, number % 3 * 4 + 1)
            assert rivals.takes_over(lambda: rivals.kill(leader)) < _TAKEN_OVER  # noqa: B023 - called at once
            rivals.add()
        _fight(rivals)
        leader, _ = rivals.settled()
        assert rivals.takes_over(lambda: rivals.end(leader)) < _AT_ONCE
        rivals.add()


def _fight(rivals: Rivals) -> None:
    """The lead is taken from who has it, and is free: that one goes on until it is told; another one begins."""
    before = rivals.epoch
    rivals.free_the_lead()
    rivals.until(lambda: rivals.epoch > before + 1)


def _freeze_and_wake(stage: Stage, rivals: Rivals, leader: SchedulerProcess, *, seconds: float = 0) -> None:
    """It stands still until another one leads and has taken over a log that it had open, and at least so long; then
    it is woken while the other one stands still, so that whatever happens is its own doing. A log that was not
    taken over yet may get what it has of the container's output; no other one does."""
    epoch = rivals.epoch
    gave_way = sum(_GAVE_WAY in line for line in leader.lines)
    assert rivals.takes_over(lambda: rivals.freeze(leader)) < _TAKEN_OVER
    its = rivals.logs().keys()
    successor, _ = rivals.settled()
    rivals.until(lambda: bool(its - rivals.logs().keys()))
    rivals.let_pass(seconds)
    rivals.freeze(successor)

    def kept() -> tuple[object, ...]:
        logs = {inode: data for inode, data in rivals.logs().items() if inode not in its}
        return rivals.written(), logs, _made(stage, epoch)

    before = kept()
    rivals.wake(leader)
    leader.wait_said(_GAVE_WAY, gave_way + 1)
    assert kept() == before
    rivals.wake(successor)
    rivals.settled()


def _made(stage: Stage, epoch: int) -> tuple[int, int]:
    """How many containers a leadership made and started."""
    return stage.record.count_of(CREATED, epoch), stage.record.count_of(STARTED, epoch)


def _wait_for_starts(stage: Stage, short: int, number: int) -> None:
    """Until so many more have started, or all short ones have ended, after which there are none."""
    wanted = stage.record.count(STARTED) + number
    stage.record.wait_until(
        lambda: stage.record.count(STARTED) >= wanted or stage.record.count(DIED) >= short, f"{number} more starts"
    )


def _come_to_an_end(stage: Stage, rivals: Rivals, short: int, long: int) -> None:
    leader, standbys = rivals.settled()
    stage.record.wait_until(lambda: stage.record.count(DIED) >= short, "the ends of all short ones")
    end_long_ones(stage, long)
    ended = stage.wait_end()
    check_crowd(stage, ended, short + long)
    for process in (*standbys, leader):
        assert process.stop() == 0
    check_nothing_left(stage, ended)
