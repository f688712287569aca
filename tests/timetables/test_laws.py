"""What holds for every timetable, on more than 10,000 cases: an instant asked about, an interval walked over, or a
date given by hand, each with a schedule, a zone and dates that were drawn. `-m long` tries many times as many."""

import calendar
import sys
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import assume
from hypothesis import strategies as st
from laws import Count, holds
from wall_clock import DAY, DAYS_OF_CHANGE, HOUR, MINUTE, Points, around, points, watched

from orchestrator.spec.dag import CronSchedule, DagSpec, DeltaSchedule, Schedule, ScheduleMode
from orchestrator.spec.interval import Interval
from orchestrator.timetables import Past, Timetable, interval_by_hand, timetable_for
from orchestrator.timetables.zones import TICK

ZONES = ("UTC", *dict.fromkeys(zone for zone, _ in DAYS_OF_CHANGE), "Asia/Kathmandu", "Europe/Dublin")
TRIGGER, INTERVAL = ScheduleMode.TRIGGER, ScheduleMode.INTERVAL
NOTHING = timedelta(0)


def instants(first: str, last: str) -> st.SearchStrategy[datetime]:
    return st.datetimes(datetime.fromisoformat(first), datetime.fromisoformat(last), timezones=st.just(UTC))


def cron(*named: Points, **more: Any) -> CronSchedule:
    return CronSchedule(expressions=tuple(map(str, named)), **more)


def table(
    schedule: Schedule, zone: str = "UTC", start: datetime | None = None, end: datetime | None = None
) -> Timetable:
    return timetable_for(
        DagSpec(dag_id="d", file="d.py", schedule=schedule, timezone=zone, start_date=start, end_date=end)
    )


def first_of(timetable: Timetable, start: datetime) -> Interval:
    found = timetable.next(Past(last=None, since=start, catchup=True), start)
    assert found is not None
    return found


def after(timetable: Timetable, last: Interval) -> Interval:
    found = timetable.next(Past(last=last, since=last.end, catchup=True), last.end)
    assert found is not None
    return found


# --- around changes of the clocks -----------------------------------------------------------------------


@holds(
    3000,
    20,
    place=st.sampled_from(DAYS_OF_CHANGE),
    named=st.lists(points(), min_size=1, max_size=2),
    asked=st.lists(st.integers(0, 6 * 24 * 60 * 60), min_size=20, max_size=20),
)
def test_around_a_change_of_the_clocks_every_instant_finds_its_interval(
    place: tuple[str, date], named: list[Points], asked: list[int], count: Count
) -> None:
    clock = watched(*place)
    strikes = sorted({each for one in named for each in clock.strikes(one)})
    timetable = table(cron(*named), place[0])
    for seconds in asked:
        instant = clock.first + timedelta(seconds=seconds)
        last, _ = around(strikes, instant)
        _, coming = around(strikes, instant + TICK)
        found = timetable.interval_for(instant)
        assert found.start == last if last else found.start < clock.first
        assert found.end == coming if coming else found.end > clock.last
    count(len(asked))


@holds(
    1000,
    10,
    place=st.sampled_from(DAYS_OF_CHANGE),
    named=points(),
    asked=st.lists(st.integers(0, 5 * 24 * 60 * 60), min_size=10, max_size=10),
    window=st.sampled_from([NOTHING, HOUR, DAY]),
)
def test_around_a_change_of_the_clocks_every_tick_is_a_strike(
    place: tuple[str, date], named: Points, asked: list[int], window: timedelta, count: Count
) -> None:
    clock = watched(*place)
    strikes = clock.strikes(named)
    timetable = table(cron(named, mode=TRIGGER, window=window), place[0])
    for seconds in asked:
        instant = clock.first + timedelta(seconds=seconds)
        _, coming = around(strikes, instant)
        found = first_of(timetable, instant)
        assert found.end == coming if coming else found.end > clock.last
        assert found.end - found.start == window
    count(len(asked))


@holds(
    600,
    6,
    place=st.sampled_from(DAYS_OF_CHANGE),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
)
def test_a_daily_job_runs_once_on_each_day_that_there_is(
    place: tuple[str, date], hour: int, minute: int, count: Count
) -> None:
    zone, day = place
    daily = table(cron(Points(minutes=frozenset({minute}), hours=frozenset({hour}))), zone)
    start = watched(zone, day).first
    interval, seen = first_of(daily, start), []
    for _ in range(6):
        seen.append(interval.start.astimezone(ZoneInfo(zone)).date())
        interval = after(daily, interval)
    count(len(seen))
    there = {each for each in _days_of(zone, day) if seen[0] <= each <= seen[-1]}
    assert sorted(there) == sorted(set(seen))
    skipped = (seen[-1] - seen[0]).days + 1 - len(there)
    assert len(seen) - len(set(seen)) <= skipped, "what a skipped day named falls on the day after it"


@cache
def _days_of(zone: str, day: date) -> set[date]:
    clock = watched(zone, day)
    return {instant.astimezone(clock.zone).date() for instant in clock.strikes(Points(minutes=frozenset({0, 59})))}


# --- anywhere -------------------------------------------------------------------------------------------

schedules = st.one_of(
    st.lists(points(sparse=True), min_size=1, max_size=3).map(lambda named: cron(*named)),
    st.sampled_from(["0 0 * * *", "0 * * * *", "0 0 * * 0", "0 0 1 * *", "0 0 1 */3 *", "0 0 1 1 *"]).map(
        lambda text: CronSchedule(expressions=(text,))
    ),
    st.timedeltas(MINUTE, timedelta(days=40)).map(lambda delta: DeltaSchedule(delta=delta)),
)


@holds(2400, 16, schedule=schedules, zone=st.sampled_from(ZONES), start=instants("1950-01-01", "2090-01-01"))
def test_intervals_tile_from_the_first_point_on(
    schedule: Schedule, zone: str, start: datetime, count: Count
) -> None:
    """Monotone, without gap or overlap, aligned: from the first point at or after the start date."""
    timetable = table(schedule, zone, start)
    free = table(schedule, zone)
    interval = first_of(timetable, start)
    assert interval.start >= start
    if isinstance(schedule, CronSchedule):
        assert interval.start == start or free.interval_for(start).end == interval.start
    else:
        assert interval.start == start, "a duration is anchored there"
    for _ in range(16):
        assert interval.start < interval.end
        assert timetable.interval_for(interval.start) == interval
        assert timetable.interval_for(interval.start + (interval.end - interval.start) / 2) == interval
        assert timetable.interval_for(interval.end - TICK) == interval
        follows = after(timetable, interval)
        assert follows.start == interval.end
        assert timetable.neighbours(interval).next == timetable.neighbours(follows).previous + (
            interval.end - interval.start
        )
        if isinstance(schedule, DeltaSchedule):
            assert interval.end - interval.start == schedule.delta
            assert (interval.start - start) % schedule.delta == NOTHING
        interval = follows
    count(16)


@holds(
    800,
    10,
    schedule=schedules,
    zone=st.sampled_from(ZONES),
    start=instants("1990-01-01", "2060-01-01"),
    length=st.integers(0, 9),
    off=st.sampled_from([-TICK, NOTHING, TICK]),
)
def test_the_end_date_is_inclusive_for_the_logical_date(
    schedule: Schedule, zone: str, start: datetime, length: int, off: timedelta, count: Count
) -> None:
    every = [first_of(table(schedule, zone, start), start)]
    while len(every) < 10:
        every.append(after(table(schedule, zone, start), every[-1]))
    end = every[length].start + off
    assume(end >= start)
    ended = table(schedule, zone, start, end)
    expected = [each for each in every if each.start <= end]
    made, last = [], None
    while following := ended.next(Past(last=last, since=start, catchup=True), every[-1].end):
        made.append(following)
        last = following
    assert made == expected == list(ended.starting_in(start, every[-1].end))
    newest = ended.next(Past(last=None, since=start, catchup=False), every[-1].end)
    assert newest == (expected[-1] if expected else None), "without catch-up the last one, though it is past"
    count(10)


# --- months and years -----------------------------------------------------------------------------------

FIRST_YEAR, LAST_YEAR = 1996, 2108  # with 2000, which has a leap day, and 2100, which has none


def _last_weekday(day: date) -> bool:
    return day.weekday() == calendar.FRIDAY and (day + timedelta(days=7)).month != day.month


CALENDAR = {
    "0 0 L * *": lambda day: (day + DAY).month != day.month,
    "0 0 29 2 *": lambda day: (day.month, day.day) == (2, 29),
    "0 0 31 * *": lambda day: day.day == 31,
    "0 0 30 * *": lambda day: day.day == 30,
    "0 0 1 * *": lambda day: day.day == 1,
    "0 0 1 */3 *": lambda day: day.day == 1 and day.month in (1, 4, 7, 10),
    "0 0 1 1 *": lambda day: (day.month, day.day) == (1, 1),
    "0 0 * * FRI#2": lambda day: day.weekday() == calendar.FRIDAY and 8 <= day.day <= 14,
    "0 0 * * L5": _last_weekday,
    "0 0 28-31 FEB MON": lambda day: day.month == 2 and (day.day >= 28 or day.weekday() == calendar.MONDAY),
}


@cache
def days_named(expression: str) -> list[datetime]:
    first = date(FIRST_YEAR, 1, 1)
    days = (first + DAY * n for n in range((date(LAST_YEAR + 1, 1, 1) - first).days))
    return [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in days if CALENDAR[expression](day)]


@holds(
    1500,
    25,
    expression=st.sampled_from(sorted(CALENDAR)),
    asked=st.lists(instants("1997-01-01", "2100-01-01"), min_size=13, max_size=13),
    near=st.lists(st.integers(5, 25), min_size=12, max_size=12),
)
def test_month_ends_leap_days_and_named_weekdays_are_those_of_the_calendar(
    expression: str, asked: list[datetime], near: list[int], count: Count
) -> None:
    named = days_named(expression)
    timetable = table(CronSchedule(expressions=(expression,)))
    edges = [named[place] + DAY - TICK for place in near]
    for instant in (*asked, *edges):
        last, _ = around(named, instant)
        _, coming = around(named, instant + TICK)
        assert timetable.interval_for(instant) == Interval(start=last, end=coming)
    count(len(asked) + len(edges))


# --- by hand --------------------------------------------------------------------------------------------


@holds(
    1200,
    12,
    zone=st.sampled_from(ZONES),
    asked=st.lists(st.dates(date(1975, 1, 1), date(2085, 1, 1)), min_size=4, max_size=4),
    minute=st.integers(0, 24 * 60 - 1),
    offset=st.sampled_from(["Z", "+05:45", "-03:30"]),
)
def test_a_date_by_hand_names_the_interval_that_starts_at_or_contains_it(
    zone: str, asked: list[date], minute: int, offset: str, count: Count
) -> None:
    local, now = ZoneInfo(zone), datetime(2090, 1, 1, tzinfo=UTC)
    daily, hourly = (table(CronSchedule(expressions=(text,)), zone) for text in ("0 0 * * *", "0 * * * *"))
    ticks = table(CronSchedule(expressions=("0 0 * * *",), mode=TRIGGER), zone)
    for day in asked:
        if (zone, day) == ("Pacific/Apia", date(2011, 12, 30)):
            continue  # a day that never was
        whole = interval_by_hand(daily, day.isoformat(), local, now)
        assert whole.start.astimezone(local).date() == day
        assert (whole.start - TICK).astimezone(local).date() < day
        assert whole.end.astimezone(local).date() > day
        clock = f"{minute // 60:02}:{minute % 60:02}"
        given = datetime.fromisoformat(f"{day}T{clock}{offset.replace('Z', '+00:00')}").astimezone(UTC)
        exact = interval_by_hand(hourly, f"{day}T{clock}{offset}", local, now)
        assert exact.start <= given < exact.end
        assert interval_by_hand(hourly, exact.start.isoformat(), local, now) == exact
        tick = interval_by_hand(ticks, f"{day}T{clock}{offset}", local, now)
        assert tick == Interval(start=given, end=given), "without intervals it is the date itself"
    count(3 * len(asked))


@holds(
    600,
    3,
    schedule=schedules,
    zone=st.sampled_from(ZONES),
    start=instants("1990-01-01", "2060-01-01"),
    passed=st.timedeltas(NOTHING, timedelta(days=900)),
    length=st.none() | st.timedeltas(NOTHING, timedelta(days=300)),
)
def test_no_date_names_the_newest_complete_interval_and_says_where_it_lies_outside(
    schedule: Schedule,
    zone: str,
    start: datetime,
    passed: timedelta,
    length: timedelta | None,
    count: Count,
) -> None:
    end = None if length is None else start + length
    timetable, now = table(schedule, zone, start, end), start + passed
    newest = interval_by_hand(timetable, None, ZoneInfo(zone), now)
    following = table(schedule, zone, start).interval_for(newest.end)
    assert newest.end <= now
    assert following.end > now or (end is not None and following.start > end)
    assert bool(timetable.doubts(newest, now)) == (newest.start < start)
    current = timetable.interval_for(now)
    assert timetable.doubts(current, now)[-1].startswith("the interval from")
    assert timetable.doubts(after(table(schedule, zone, start), current), now)[-1].endswith("lies in the future")
    count(3)


def test_the_laws_are_tried_on_more_than_ten_thousand_cases() -> None:
    tests = vars(sys.modules[__name__]).values()
    assert sum(getattr(test, "cases", 0) for test in tests) > 10_000
