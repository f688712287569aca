"""A second, naive account of time for tests of timetables: a clock on a wall that is looked at each minute, days
that are counted one by one, and cron expressions that are read off as sets of numbers."""

import calendar
import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

#: Six zones, each on a day on which its clocks go forward, and on one on which they go back.
CHANGES = (
    ("America/New_York", date(2024, 3, 10), date(2024, 11, 3)),
    ("Europe/Berlin", date(2024, 3, 31), date(2024, 10, 27)),
    ("Australia/Lord_Howe", date(2024, 10, 6), date(2024, 4, 7)),  # half an hour
    ("America/Sao_Paulo", date(2018, 11, 4), date(2018, 2, 18)),  # at midnight, which is skipped or comes twice
    ("Pacific/Apia", date(2011, 12, 30), date(2012, 4, 1)),  # forward by a whole day
    ("Asia/Tehran", date(2022, 3, 22), date(2022, 9, 22)),  # at midnight, with an odd offset
)
DAYS_OF_CHANGE = tuple((zone, day) for zone, *days in CHANGES for day in days)
#: How far around such a day the clock is looked at: before, and behind.
BEFORE, BEHIND = 3 * DAY, 4 * DAY


@dataclass(frozen=True)
class Points:
    """What a cron expression names: None is every one. Where days of the month and of the week are both named,
    either will do."""

    minutes: frozenset[int]
    hours: frozenset[int] | None = None
    days: frozenset[int] | None = None
    months: frozenset[int] | None = None
    weekdays: frozenset[int] | None = None  #: 0 is Sunday

    def __str__(self) -> str:
        fields = (self.minutes, self.hours, self.days, self.months, self.weekdays)
        return " ".join("*" if each is None else ",".join(map(str, sorted(each))) for each in fields)

    def names(self, wall: datetime) -> bool:
        return (
            wall.minute in self.minutes
            and (self.hours is None or wall.hour in self.hours)
            and (self.months is None or wall.month in self.months)
            and self._names_day(wall)
        )

    def _names_day(self, wall: datetime) -> bool:
        of_month = self.days is not None and wall.day in self.days
        of_week = self.weekdays is not None and wall.isoweekday() % 7 in self.weekdays
        if self.days is None or self.weekdays is None:
            return (self.days is None or of_month) and (self.weekdays is None or of_week)
        return of_month or of_week


def some(numbers: range, most: int) -> st.SearchStrategy[frozenset[int]]:
    return st.frozensets(st.sampled_from(numbers), min_size=1, max_size=most)


def points(*, sparse: bool = False) -> st.SearchStrategy[Points]:
    """Cron expressions; those that are not `sparse` have a point every few days."""
    return st.builds(
        Points,
        minutes=st.frozensets(st.sampled_from([0, 1, 15, 29, 30, 31, 59]), min_size=1, max_size=3),
        hours=st.none() | some(range(24), 6),
        days=st.none() | (some(range(1, 32), 4) if sparse else st.just(frozenset(range(1, 32, 2)))),
        months=st.none() | some(range(1, 13), 4) if sparse else st.none(),
        weekdays=st.none() | some(range(7), 4),
    ).filter(_comes)


def _comes(named: Points) -> bool:
    """Not the 30th of February alone."""
    if named.days is None or named.months is None or named.weekdays is not None:
        return True
    longest = {month: calendar.monthrange(2024, month)[1] for month in named.months}
    return min(named.days) <= max(longest.values())


class Watched:
    """What somebody sees who looks at a zone's clock each minute around a day. A named time strikes when the clock
    first shows it or has jumped past it; where every hour is named, whenever the clock shows it."""

    def __init__(self, zone: str, day: date) -> None:
        self.zone = ZoneInfo(zone)
        middle = datetime.combine(day, datetime.min.time(), UTC)
        self.first, self.last = middle - BEFORE + DAY, middle + BEHIND
        self._shown: list[tuple[datetime, datetime]] = []
        self._passed: list[tuple[datetime, datetime]] = []
        latest: datetime | None = None
        for instant in _minutes(middle - BEFORE, self.last):
            wall = instant.astimezone(self.zone).replace(tzinfo=None, fold=0)
            self._shown.append((wall, instant))
            new = [wall] if latest is None else _minutes(latest + MINUTE, wall)
            self._passed += [(each, instant) for each in new]
            latest = wall if latest is None else max(latest, wall)

    def strikes(self, named: Points) -> list[datetime]:
        seen = self._shown if named.hours is None else self._passed
        return sorted({instant for wall, instant in seen if named.names(wall)})


def _minutes(first: datetime, last: datetime) -> Iterator[datetime]:
    return itertools.takewhile(lambda each: each <= last, (first + MINUTE * n for n in itertools.count()))


@cache
def watched(zone: str, day: date) -> Watched:
    return Watched(zone, day)


def around(strikes: list[datetime], instant: datetime) -> tuple[datetime | None, datetime | None]:
    """The last strike up to the instant and the first from it on, as far as they were seen."""
    at = bisect_right(strikes, instant)
    after = bisect_left(strikes, instant)
    return strikes[at - 1] if at else None, strikes[after] if after < len(strikes) else None
