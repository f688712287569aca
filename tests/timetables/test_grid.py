"""Cron grids against a clock that is watched minute by minute."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import TimetableError
from orchestrator.timetables.grid import CronGrid, DeltaGrid, UnionGrid, after, before

#: A zone and a day near which its offset changes.
CHANGES = [
    ("America/New_York", datetime(2024, 3, 10, tzinfo=UTC)),
    ("America/New_York", datetime(2024, 11, 3, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2024, 3, 31, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2024, 10, 27, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2024, 4, 6, tzinfo=UTC)),  # half an hour
    ("Australia/Lord_Howe", datetime(2024, 10, 5, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, tzinfo=UTC)),  # skips a midnight
    ("America/Sao_Paulo", datetime(2018, 2, 18, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, tzinfo=UTC)),  # skips a day
    ("Asia/Kathmandu", datetime(2024, 5, 1, tzinfo=UTC)),  # no change at all
]
MINUTE = timedelta(minutes=1)

minutes = st.sets(st.sampled_from([0, 1, 15, 30, 59]), min_size=1, max_size=3)
hours = st.none() | st.sets(st.integers(0, 23), min_size=1, max_size=6)


def instants(first: str, last: str) -> st.SearchStrategy[datetime]:
    return st.datetimes(datetime.fromisoformat(first), datetime.fromisoformat(last), timezones=st.just(UTC))


def expression(at: set[int], of: set[int] | None) -> str:
    hour = "*" if of is None else ",".join(map(str, sorted(of)))
    return f"{','.join(map(str, sorted(at)))} {hour} * * *"


def watched(at: set[int], of: set[int] | None, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """What someone sees who looks at the wall clock each minute: a named hour's time strikes when the clock first
    shows it or has jumped past it; with every hour named, whenever the clock shows it."""

    def named(wall: datetime) -> bool:
        return wall.minute in at and (of is None or wall.hour in of)

    struck = []
    latest = start.astimezone(zone).replace(tzinfo=None) - MINUTE
    instant = start
    while instant <= end:
        wall = instant.astimezone(zone).replace(tzinfo=None)
        if of is None:
            strikes = named(wall)
        else:
            passed = [latest + MINUTE * n for n in range(1, int((wall - latest) / MINUTE) + 1)]
            strikes = any(named(each) for each in passed)
        if strikes:
            struck.append(instant)
        latest = max(latest, wall)
        instant += MINUTE
    return struck


@settings(max_examples=60, deadline=None)
@given(place=st.sampled_from(CHANGES), at=minutes, of=hours)
def test_cron_points_are_what_a_watched_clock_strikes(
    place: tuple[str, datetime], at: set[int], of: set[int] | None
) -> None:
    zone = ZoneInfo(place[0])
    start, end = place[1] - timedelta(days=1, hours=2), place[1] + timedelta(days=2)
    expected = watched(at, of, zone, start, end)
    grid = CronGrid(expression(at, of), zone)
    first = start + timedelta(days=1)  # the watcher has seen a day, so knows what was shown before
    forwards = []
    point = grid.at_or_after(first)
    while point <= end:
        forwards.append(point)
        point = after(grid, point)
    backwards = []
    point = grid.at_or_before(end)
    while point >= first:
        backwards.append(point)
        point = before(grid, point)
    seen = [each for each in expected if each >= first]
    assert forwards == seen
    assert backwards[::-1] == seen


@pytest.mark.parametrize(("name", "day"), CHANGES)
@pytest.mark.parametrize("of", [{0, 1, 2, 3}, None])
def test_any_instant_finds_the_strikes_around_it(name: str, day: datetime, of: set[int] | None) -> None:
    zone, at = ZoneInfo(name), {0, 15, 59}
    struck = watched(at, of, zone, day - timedelta(days=2), day + timedelta(days=3))
    grid = CronGrid(expression(at, of), zone)
    for minute in range(0, 24 * 60, 5):
        instant = day + MINUTE * minute
        assert grid.at_or_before(instant) == max(each for each in struck if each <= instant)
        assert grid.at_or_after(instant) == min(each for each in struck if each >= instant)


@pytest.mark.parametrize(("zone", "day"), CHANGES[:4])
def test_a_daily_job_in_the_changed_hour_runs_once_a_day(zone: str, day: datetime) -> None:
    grid = CronGrid("30 2 * * *", ZoneInfo(zone))
    point, days = grid.at_or_after(day - timedelta(days=5)), []
    for _ in range(10):
        days.append(point.astimezone(ZoneInfo(zone)).date())
        point = after(grid, point)
    assert days == [days[0] + timedelta(days=n) for n in range(10)]


def test_an_hourly_job_runs_in_every_elapsed_hour_of_a_change() -> None:
    grid = CronGrid("0 * * * *", ZoneInfo("Europe/Berlin"))
    for day in (datetime(2024, 3, 31, tzinfo=UTC), datetime(2024, 10, 27, tzinfo=UTC)):
        point = grid.at_or_after(day)
        for hour in range(24):
            assert point == day + timedelta(hours=hour)
            point = after(grid, point)


def test_sparse_expressions_find_their_day_across_changes() -> None:
    grid = CronGrid("0 * 1 1 *", ZoneInfo("America/New_York"))
    assert grid.at_or_after(datetime(2024, 5, 1, tzinfo=UTC)) == datetime(2025, 1, 1, 5, tzinfo=UTC)
    assert grid.at_or_before(datetime(2024, 5, 1, tzinfo=UTC)) == datetime(2024, 1, 2, 4, tzinfo=UTC)
    leap = CronGrid("0 0 29 2 *", ZoneInfo("America/New_York"))
    assert leap.at_or_after(datetime(2025, 1, 1, tzinfo=UTC)) == datetime(2028, 2, 29, 5, tzinfo=UTC)


def test_last_days_and_nth_weekdays_are_known() -> None:
    utc = ZoneInfo("UTC")
    assert CronGrid("0 0 L * *", utc).at_or_after(datetime(2024, 2, 1, tzinfo=UTC)).day == 29
    assert CronGrid("0 0 * * FRI#2", utc).at_or_after(datetime(2024, 3, 1, tzinfo=UTC)).day == 8


@given(
    instant=instants("1950-01-01", "2100-01-01"),
    delta=st.timedeltas(timedelta(microseconds=1), timedelta(days=400)),
)
def test_durations_count_elapsed_time_from_their_anchor(instant: datetime, delta: timedelta) -> None:
    anchor = datetime(2013, 1, 1, tzinfo=UTC)
    grid = DeltaGrid(anchor, delta)
    low, high = grid.at_or_before(instant), grid.at_or_after(instant)
    assert low <= instant <= high
    assert high - low == (timedelta(0) if low == instant else delta)
    assert (low - anchor) % delta == timedelta(0)


@given(instant=instants("1960-01-01", "2090-01-01"))
def test_several_crons_are_one_grid_of_all_their_points(instant: datetime) -> None:
    utc = ZoneInfo("UTC")
    grids = [CronGrid("0 6 * * *", utc), CronGrid("30 18 * * 1-5", utc)]
    union = UnionGrid(grids)
    assert union.at_or_after(instant) == min(grid.at_or_after(instant) for grid in grids)
    assert union.at_or_before(instant) <= instant < after(union, union.at_or_before(instant))


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "* * * *",
        "0 0 1 * * *",
        "61 * * * *",
        "nonsense a b c d",
        "0 0 30 2 *",
        "R 0 * * *",
        "H 0 * * *",
        "@daily",
    ],
)
def test_an_expression_that_cannot_be_is_named_with_its_fix(wrong: str) -> None:
    with pytest.raises(TimetableError) as raised:
        CronGrid(wrong, ZoneInfo("UTC"))
    assert repr(wrong) in str(raised.value)
    assert "minute hour" in raised.value.fix
