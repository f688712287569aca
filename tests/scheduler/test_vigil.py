"""Which time counts (invariant I16): not that of a machine that slept, of a clock that was set, of an engine that
was away; and whoever finds out first, all heed it."""

from datetime import timedelta

import pytest

from orchestrator.scheduler.vigil import STALL, Vigil
from orchestrator.testing.manual_clock import ManualClock

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def vigil(clock: ManualClock) -> Vigil:
    """Of an engine that has told."""
    made = Vigil(clock)
    made.engine_listed(clock.monotonic())
    return made


def _listed(vigil: Vigil, clock: ManualClock) -> None:
    vigil.engine_listed(clock.monotonic())


def test_nothing_strikes_before_the_engine_has_told_once(clock: ManualClock) -> None:
    vigil, since = Vigil(clock), clock.now()
    clock.advance(10)
    assert not vigil.is_over(since, SECOND)
    _listed(vigil, clock)
    assert vigil.is_over(since, SECOND)


def test_as_long_as_everybody_is_awake_every_second_counts(vigil: Vigil, clock: ManualClock) -> None:
    since = clock.now()
    for _ in range(59):
        clock.advance(60)
        assert not vigil.is_over(since, HOUR)
    clock.advance(60)
    assert vigil.is_over(since, HOUR)


@pytest.mark.parametrize("sleep", ["advance", "jump"])
def test_an_hour_of_sleep_does_not_count(vigil: Vigil, clock: ManualClock, sleep: str) -> None:
    """Whether the monotonic clock went on or not."""
    since = clock.now()
    clock.advance(10)
    vigil.look()
    getattr(clock, sleep)(3600)
    assert not vigil.is_over(since, HOUR / 4)
    _listed(vigil, clock)
    clock.advance(60)
    assert not vigil.is_over(since, HOUR / 4)
    for _ in range(13):
        clock.advance(60)
        vigil.look()
    assert not vigil.is_over(since, HOUR / 4)
    clock.advance(60)
    assert vigil.is_over(since, HOUR / 4)


def test_after_it_a_minute_is_left_at_least_from_when_the_engine_has_told(vigil: Vigil, clock: ManualClock) -> None:
    since = clock.now()
    clock.advance(59)
    vigil.look()
    clock.advance(3600)
    vigil.look()
    clock.advance(40)  # until the engine answers
    assert not vigil.is_over(since, 60 * SECOND)
    _listed(vigil, clock)
    clock.advance(59)
    assert not vigil.is_over(since, 60 * SECOND)
    clock.advance(1)
    assert vigil.is_over(since, 60 * SECOND)


def test_what_began_after_the_sleep_has_its_own_time_and_no_more(vigil: Vigil, clock: ManualClock) -> None:
    clock.jump(3600)
    vigil.look()
    since = clock.now()
    _listed(vigil, clock)
    clock.advance(2)
    assert vigil.is_over(since, SECOND)


def test_a_clock_that_is_set_back_makes_nothing_strike_before_the_engine_has_told(
    vigil: Vigil, clock: ManualClock
) -> None:
    since = clock.now() - HOUR
    clock.jump(-600)
    assert not vigil.is_over(since, SECOND)
    _listed(vigil, clock)
    assert not vigil.is_over(since, SECOND)
    clock.advance(60)
    assert vigil.is_over(since, SECOND)


def test_small_steps_of_the_clock_are_nothing(vigil: Vigil, clock: ManualClock) -> None:
    since = clock.now()
    for step in (30, -30, 50):
        clock.jump(step)
        assert not vigil.look().held
    assert vigil.is_over(since, 50 * SECOND)


def test_a_list_that_was_asked_for_before_the_sleep_tells_nothing(vigil: Vigil, clock: ManualClock) -> None:
    began = clock.monotonic()
    clock.advance(3600)
    vigil.engine_listed(began)
    assert vigil.look().held
    _listed(vigil, clock)
    assert not vigil.look().held


def test_who_finds_out_has_the_engine_asked(clock: ManualClock) -> None:
    vigil, asked = Vigil(clock), []
    vigil.on_waking(lambda: asked.append(clock.now()))
    vigil.look()
    assert asked == []
    clock.jump(3600)
    vigil.look()
    vigil.look()
    assert asked == [clock.now()]


def test_an_outage_holds_everything_and_leaves_as_much_time_as_it_took(vigil: Vigil, clock: ManualClock) -> None:
    since = clock.now()
    vigil.engine_left()
    clock.advance(20)
    assert not vigil.is_over(since, SECOND)
    _listed(vigil, clock)
    clock.advance(19)
    assert not vigil.is_over(since, SECOND)
    clock.advance(1)
    assert vigil.is_over(since, SECOND)


def test_an_outage_does_not_count_for_what_could_not_be_started(vigil: Vigil, clock: ManualClock) -> None:
    since, limit = clock.now(), HOUR
    vigil.engine_left()
    for _ in range(30):
        clock.advance(60)
        vigil.look()
    vigil.engine_left()  # said again
    _listed(vigil, clock)
    sparing = vigil.look()
    assert sparing.due(since, limit, started=False) == since + limit + HOUR / 2
    assert sparing.due(since, limit) == since + limit


def test_what_an_earlier_process_did_not_start_has_a_minute_from_when_the_engine_has_told(
    clock: ManualClock,
) -> None:
    since = clock.now()
    clock.advance(3600)
    vigil = Vigil(clock)
    clock.advance(5)
    _listed(vigil, clock)
    sparing = vigil.look()
    assert sparing.due(since, SECOND, started=False) == clock.now() + STALL
    assert sparing.due(since, SECOND) == since + SECOND
    assert sparing.due(clock.now(), SECOND, started=False) == clock.now() + SECOND


def test_a_grace_that_ends_in_sleep_is_a_minute_longer(vigil: Vigil, clock: ManualClock) -> None:
    asked = clock.now()
    assert vigil.left_alone_until(asked) is None
    clock.advance(3600)
    assert vigil.left_alone_until(asked) is not None  # nobody knows yet
    _listed(vigil, clock)
    assert vigil.left_alone_until(asked) == clock.now() + STALL
    assert vigil.left_alone_until(clock.now()) is None
    clock.advance(60)
    assert vigil.left_alone_until(asked) is None


def test_an_outage_makes_no_grace_longer(vigil: Vigil, clock: ManualClock) -> None:
    asked = clock.now()
    vigil.engine_left()
    clock.advance(30)
    assert vigil.left_alone_until(asked) is None
    _listed(vigil, clock)
    assert vigil.left_alone_until(asked) is None


def test_what_is_remembered_is_bounded(vigil: Vigil, clock: ManualClock) -> None:
    for _ in range(1000):
        clock.advance(61)
        vigil.look()
        _listed(vigil, clock)
    assert len(vigil.look().lapses) <= 256
