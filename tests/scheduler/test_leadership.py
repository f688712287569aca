"""Standing by, taking the lead, renewing it, and what one knows of it: over a database of the test's own clock."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast

import pytest

from orchestrator.errors import FencedError, SchedulerRunningError, StoreUnavailableError
from orchestrator.ids import Epoch
from orchestrator.ports import Leading, Led, Store
from orchestrator.scheduler.leadership import LASTS, Leadership
from orchestrator.testing.manual_clock import ManualClock

SOON = 20.0
RENEWAL = LASTS.total_seconds() / 4


class Row:
    """The leader's row, and a database that can be away."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.number = 0
        self.owner = ""
        self.until: float | None = 0.0
        self.standbys: list[str] = []
        self.away = False
        self.locked = False
        self.calls: list[str] = []
        self.called = threading.Condition()

    def _call(self, verb: str) -> None:
        with self.called:
            self.calls.append(verb)
            self.called.notify_all()
        if self.away:
            raise StoreUnavailableError("the database is away")

    def wait_call(self, verb: str, times: int = 1) -> None:
        with self.called:
            assert self.called.wait_for(lambda: self.calls.count(verb) >= times, SOON), self.calls

    @property
    def left(self) -> timedelta | None:
        return None if self.until is None else timedelta(seconds=self.until - self.clock.monotonic())

    def led(self) -> Led | None:
        self._call("led")
        left = self.left
        free = left is None or left <= timedelta(0)
        return None if free or left is None else Led(owner=self.owner, epoch=Epoch(self.number), left=left)

    def bid(self, owner: str, at: datetime, lasts: timedelta) -> Epoch | Led:
        self._call("bid")
        del at
        if self.locked:
            raise SchedulerRunningError("a scheduler runs already")
        self.number, self.owner = self.number + 1, owner
        self.until = self.clock.monotonic() + lasts.total_seconds()
        return Epoch(self.number)

    def renew(self, epoch: Epoch, lasts: timedelta) -> None:
        self._call("renew")
        if epoch != self.number:
            raise FencedError("another one leads")
        self.until = self.clock.monotonic() + lasts.total_seconds()

    def give_up(self, epoch: Epoch) -> None:
        self._call("give_up")
        if epoch == self.number:
            self.until = 0.0

    def stand_by(self, owner: str, since: datetime) -> None:
        self._call("stand_by")
        del since
        self.standbys.append(owner)

    def stand_down(self, owner: str) -> None:
        self._call("stand_down")
        self.standbys.remove(owner)

    def leading(self) -> Leading:
        return Leading(epoch=Epoch(self.number), owner=self.owner, taken_at=None, left=self.left)

    def epoch(self) -> Epoch:
        self._call("epoch")
        return Epoch(self.number)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def row(clock: ManualClock) -> Row:
    return Row(clock)


def made(row: Row, owner: str = "one") -> Leadership:
    return Leadership(cast("Store", row), row.clock, owner)


def led(row: Row, fenced: Callable[[], None] = lambda: None) -> Leadership:
    """One that leads and renews."""
    lead = made(row)
    assert lead.wait(threading.Event()) == row.number
    lead.keep(fenced)
    return lead


class Standing:
    """A standby on a thread of its own."""

    def __init__(self, row: Row) -> None:
        self.lead = made(row, "two")
        self.stop = threading.Event()
        self.warmed = 0
        self.found: list[Epoch | None] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def result(self) -> Epoch | None:
        self._thread.join(SOON)
        assert not self._thread.is_alive()
        return self.found[0]

    def _run(self) -> None:
        self.found.append(self.lead.wait(self.stop, self._warm))

    def _warm(self) -> None:
        self.warmed += 1


def test_a_lead_that_is_free_is_taken_at_once(row: Row) -> None:
    lead = led(row)
    assert lead.holds()
    assert row.owner == "one"
    assert row.standbys == []
    lead.close()


def test_a_standby_waits_for_the_expiry_and_leads_then(row: Row, clock: ManualClock) -> None:
    row.bid("one", clock.now(), timedelta(seconds=2.5))
    standing = Standing(row)
    clock.let_pass(1.0)
    clock.let_pass(1.0)
    assert not standing.found
    clock.let_pass(0.5)
    assert standing.result() == 2
    assert standing.warmed == 1
    assert row.standbys == ["two"]
    assert row.calls.count("bid") == 2


def test_a_lead_that_is_given_up_is_taken_within_a_second(row: Row, clock: ManualClock) -> None:
    first = led(row)
    standing = Standing(row)
    row.wait_call("stand_by")
    first.close()
    clock.let_pass(1.0)
    assert standing.result() == 2
    assert not first.holds()


def test_a_standby_that_is_told_to_go_leaves_no_trace(row: Row, clock: ManualClock) -> None:
    row.bid("one", clock.now(), LASTS)
    standing = Standing(row)
    row.wait_call("stand_by")
    standing.stop.set()
    assert standing.result() is None
    assert row.standbys == []
    standing.lead.close()
    assert row.number == 1


def test_while_the_database_is_away_nobody_leads_and_the_standby_stays(row: Row, clock: ManualClock) -> None:
    row.away = True
    standing = Standing(row)
    for delay in (0.2, 0.4, 0.8):
        clock.let_pass(delay)
    row.away = False
    clock.let_pass(1.0)
    assert standing.result() == 1


def test_a_home_s_lock_leaves_nothing_to_wait_for(row: Row) -> None:
    row.locked = True
    with pytest.raises(SchedulerRunningError):
        made(row).wait(threading.Event())


def test_a_leader_renews_as_long_as_it_lives(row: Row, clock: ManualClock) -> None:
    lead = led(row)
    for _ in range(20):
        clock.let_pass(RENEWAL)
    row.wait_call("renew", 20)
    assert row.left is not None
    assert row.left > LASTS / 2
    assert lead.holds()
    lead.close()
    assert row.led() is None


def test_a_leader_that_another_one_followed_is_told_once_and_gives_nothing_up(row: Row, clock: ManualClock) -> None:
    told = threading.Event()
    lead = led(row, told.set)
    row.bid("two", clock.now(), LASTS)
    clock.let_pass(RENEWAL)
    assert told.wait(SOON)
    assert not lead.holds()
    lead.close()
    assert "give_up" not in row.calls


def test_as_long_as_nobody_can_have_taken_it_the_database_is_not_asked(row: Row, clock: ManualClock) -> None:
    lead = led(row)
    clock.let_pass(RENEWAL)
    row.wait_call("renew")
    assert lead.holds()
    assert "epoch" not in row.calls
    lead.close()


@pytest.mark.parametrize("sleep", ["stopped", "asleep"])
def test_whoever_stood_still_asks_the_database_first(row: Row, clock: ManualClock, sleep: str) -> None:
    """Stopped, the monotonic clock went on; asleep with the machine, only that on the wall did."""
    lead = made(row)
    lead.wait(threading.Event())
    assert lead.holds()
    (clock.advance if sleep == "stopped" else clock.jump)(60)
    assert lead.holds()
    assert row.calls.count("epoch") == 1
    row.bid("two", clock.now(), LASTS)
    assert not lead.holds()


def test_while_the_database_is_away_a_leader_is_sure_for_as_long_as_the_lead_lasts(
    row: Row, clock: ManualClock
) -> None:
    lead = led(row)
    row.away = True
    for number in range(1, 4):
        clock.let_pass(RENEWAL)
        row.wait_call("renew", number)
        assert lead.holds()
    clock.let_pass(RENEWAL)
    row.wait_call("renew", 4)
    assert not lead.holds()
    row.away = False
    clock.let_pass(RENEWAL)
    row.wait_call("renew", 5)
    assert lead.holds()
    lead.close()


def test_a_database_that_breaks_in_an_unknown_way_ends_no_renewing(row: Row, clock: ManualClock) -> None:
    lead = led(row)
    real = row.renew

    def broken(epoch: Epoch, lasts: timedelta) -> None:
        real(epoch, lasts)
        raise ZeroDivisionError

    row.renew = broken  # type: ignore[method-assign] - a fault of the test's own
    clock.let_pass(RENEWAL)
    row.wait_call("renew")
    row.renew = real  # type: ignore[method-assign] - healed
    clock.let_pass(RENEWAL)
    row.wait_call("renew", 2)
    lead.close()


def test_under_a_lock_there_is_nothing_to_renew_nor_to_ask(row: Row, clock: ManualClock) -> None:
    real = row.bid

    def bid(owner: str, at: datetime, lasts: timedelta) -> Epoch | Led:
        found = real(owner, at, lasts)
        row.until = None
        return found

    row.bid = bid  # type: ignore[method-assign] - as SQLite's does
    lead = led(row)
    clock.advance(3600)
    assert lead.holds()
    assert "renew" not in row.calls
    assert "epoch" not in row.calls
    lead.close()
