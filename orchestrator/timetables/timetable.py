"""Timetables: pure rules from a schedule to data intervals and the instants at which runs become due."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

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

    def doubts(self, interval: Interval, now: datetime) -> tuple[str, ...]:
        """Warnings about a run by hand: its interval lies outside start and end date, or is not over yet."""
        found = []
        if self.start is not None and interval.start < self.start:
            found.append(f"{interval.start.isoformat()} is before the DAG's start_date, {self.start.isoformat()}")
        if self.end is not None and interval.start > self.end:
            found.append(f"{interval.start.isoformat()} is after the DAG's end_date, {self.end.isoformat()}")
        if interval.start > now:
            found.append(f"{interval.start.isoformat()} lies in the future")
        elif interval.end > now:
            found.append(f"the interval from {interval.start.isoformat()} ends only at {interval.end.isoformat()}")
        return tuple(found)

    def starting_in(self, first: datetime, last: datetime) -> Iterator[Interval]:
        """The intervals with a logical date from `first` to `last`, both included, as far as start and end date
        go: what a schedule with `catchup` has a run for. None where a schedule has no intervals and no ticks."""
        first = first if self.start is None else max(first, self.start)
        last = last if self.end is None else min(last, self.end)
        return self._starting_in(first, last)

    def _following(self, past: Past) -> Interval | None:
        """What comes after `past.last`, whatever the time and the end date."""
        raise NotImplementedError

    def _latest(self, following: Interval, past: Past, now: datetime) -> Interval:
        """Of what is due, what gets the run."""
        raise NotImplementedError

    def _starting_in(self, _first: datetime, _last: datetime) -> Iterator[Interval]:
        return iter(())


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

    def _starting_in(self, first: datetime, last: datetime) -> Iterator[Interval]:
        start = self._grid.at_or_after(first)
        while start <= last:
            interval = self._from(start)
            yield interval
            start = interval.end

    def _from(self, start: datetime) -> Interval:
        return Interval(start=start, end=after(self._grid, start))


class TriggerTimetable(Timetable):
    """Runs at the points of a grid, each of the time `window` before its point: without one, of the point itself.
    Start and end date bound the logical date, which is the beginning of that time."""

    def __init__(self, grid: Grid, window: timedelta, start: datetime | None, end: datetime | None) -> None:
        super().__init__(start, end)
        self._grid = grid
        self._window = window

    def interval_for(self, instant: datetime) -> Interval:
        """Without a window the instant itself; else what is the last to begin at or before it."""
        if not self._window:
            return super().interval_for(instant)
        return self._until(self._grid.at_or_before(instant + self._window))

    def newest(self, now: datetime) -> Interval:
        return self._newest(now) if self._window else super().newest(now)

    def neighbours(self, interval: Interval) -> Neighbours:
        if not self._window:
            return super().neighbours(interval)
        earlier = before(self._grid, interval.start + self._window)
        later = after(self._grid, interval.start + self._window)
        return Neighbours(previous=self._until(earlier).start, next=self._until(later).start)

    def _following(self, past: Past) -> Interval:
        """A point at which an interval ended has had its run."""
        tick = past.since if self.start is None else self.start + self._window
        if past.last is not None:
            tick = past.last.end + TICK if self.start is None else max(past.last.end + TICK, tick)
        return self._until(self._grid.at_or_after(tick))

    def _latest(self, following: Interval, past: Past, now: datetime) -> Interval:
        if past.catchup:
            return following
        newest = self._newest(now)
        return newest if newest.start > following.start else following

    def _newest(self, now: datetime) -> Interval:
        tick = now if self.end is None else min(now, self.end + self._window)
        return self._until(self._grid.at_or_before(tick))

    def _starting_in(self, first: datetime, last: datetime) -> Iterator[Interval]:
        tick = self._grid.at_or_after(first + self._window)
        while tick <= last + self._window:
            yield self._until(tick)
            tick = after(self._grid, tick)

    def _until(self, tick: datetime) -> Interval:
        return Interval(start=tick - self._window, end=tick)


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
