"""Timetables: pure rules from a schedule to data intervals and the instants at which runs become due."""

from datetime import UTC, datetime

from orchestrator.spec.interval import Interval
from orchestrator.spec.value import Value
from orchestrator.timetables.grid import Grid, after, before
from orchestrator.timetables.zones import TICK


class Past(Value, frozen=True, kw_only=True):
    """What a schedule goes on from: `last` is the newest interval that got a scheduled run, None before the
    first; `since` counts where there is no start date (the instant the DAG version was made); with `catchup`
    no interval is left out."""

    last: Interval | None
    since: datetime
    catchup: bool


class Neighbours(Value, frozen=True, kw_only=True):
    """Logical dates of the intervals before and after one."""

    previous: datetime
    next: datetime


class Timetable:
    """What all schedules have in common, and what those without intervals do: a run stands for one instant."""

    #: Whether a next scheduled run waits until none of the DAG is open.
    one_at_a_time = False

    def __init__(self, start: datetime | None, end: datetime | None) -> None:
        self.start = start and start.astimezone(UTC)
        self.end = end and end.astimezone(UTC)

    def next(self, past: Past, now: datetime) -> Interval | None:
        """The interval of the next scheduled run, None if there will be none. It is due once its end has come;
        which interval that is may change with `now` where none need be caught up with."""
        following = self._following(past)
        if following is None or (self.end is not None and following.start > self.end):
            return None
        return following if following.end > now else self._latest(following, past, now)

    def due_at(self, past: Past) -> datetime | None:
        """The earliest instant at which `next` can be due."""
        earliest = self.next(past, datetime.min.replace(tzinfo=UTC))
        return None if earliest is None else earliest.end

    def interval_for(self, instant: datetime) -> Interval:
        """What a date given by hand names: the interval that starts at or contains it."""
        return _moment(instant)

    def newest(self, now: datetime) -> Interval:
        """What no date at all names: the newest complete interval, of those that the schedule has."""
        return _moment(now)

    def neighbours(self, interval: Interval) -> Neighbours:
        """The logical dates around an interval; equal to its own where a schedule has no intervals."""
        return Neighbours(previous=interval.start, next=interval.start)

    def outside(self, interval: Interval) -> str | None:
        """A warning where the interval lies outside start and end date."""
        if self.start is not None and interval.start < self.start:
            return f"{interval.start.isoformat()} is before the DAG's start_date, {self.start.isoformat()}"
        if self.end is not None and interval.start > self.end:
            return f"{interval.start.isoformat()} is after the DAG's end_date, {self.end.isoformat()}"
        return None

    def _following(self, past: Past) -> Interval | None:
        """What comes after `past.last`, whatever the time and the end date."""
        raise NotImplementedError

    def _latest(self, following: Interval, past: Past, now: datetime) -> Interval:
        """Of what is due, what gets the run."""
        raise NotImplementedError


class GridTimetable(Timetable):
    """Intervals tile the time between the points of a grid. The first starts at the first point at or after the
    start date; each next one starts where the last ended, also when the schedule has changed since."""

    def __init__(self, grid: Grid, start: datetime | None, end: datetime | None) -> None:
        super().__init__(start, end)
        self._grid = grid

    def interval_for(self, instant: datetime) -> Interval:
        return self._from(self._grid.at_or_before(instant))

    def newest(self, now: datetime) -> Interval:
        start = before(self._grid, self._grid.at_or_before(now))
        if self.end is not None and start > self.end:
            start = self._grid.at_or_before(self.end)
        return self._from(start)

    def neighbours(self, interval: Interval) -> Neighbours:
        return Neighbours(previous=before(self._grid, interval.start), next=interval.end)

    def _following(self, past: Past) -> Interval:
        if self.start is None:
            return self._from(past.last.end if past.last else self._grid.at_or_before(past.since))
        if past.last and past.last.end >= self.start:
            return self._from(past.last.end)
        return self._from(self._grid.at_or_after(self.start))

    def _latest(self, following: Interval, past: Past, now: datetime) -> Interval:
        if past.catchup:
            return following
        newest = self.newest(now)
        return newest if newest.start > following.start else following

    def _from(self, start: datetime) -> Interval:
        return Interval(start=start, end=after(self._grid, start))


class OnceTimetable(Timetable):
    """One run, of the instant of the start date."""

    def _following(self, past: Past) -> Interval | None:
        return None if past.last else _moment(self.start or past.since)

    def _latest(self, following: Interval, _past: Past, _now: datetime) -> Interval:
        return following


class ContinuousTimetable(Timetable):
    """The next run as soon as no run is open; it stands for the time since the last one's interval ended."""

    one_at_a_time = True

    def _following(self, past: Past) -> Interval:
        start = past.last.end if past.last else self.start or past.since
        return Interval(start=start, end=start + TICK)

    def _latest(self, following: Interval, _past: Past, now: datetime) -> Interval:
        return Interval(start=following.start, end=now)


class ManualTimetable(Timetable):
    """No scheduled runs."""

    def _following(self, _past: Past) -> None:
        return None


def _moment(instant: datetime) -> Interval:
    instant = instant.astimezone(UTC)
    return Interval(start=instant, end=instant)
