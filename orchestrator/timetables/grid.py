"""Grids: endless, ordered instants between which intervals lie.

A cron expression names wall times. One that names every hour of the day follows elapsed time: it falls whenever
the clocks show a named time, twice in a repeated hour and never in a skipped one. Any other follows the clock:
each named time falls exactly once (`zones.first_showing`), so a daily 02:30 job runs once on both change days.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Protocol
from zoneinfo import ZoneInfo

from croniter import CroniterError, croniter

from orchestrator.errors import TimetableError
from orchestrator.timetables.zones import (
    TICK,
    first_change,
    first_showing,
    furthest_wall,
    last_change,
    utc_offset,
    wall_at,
)

_FIELDS = 5
_HOUR = 1
#: croniter's own `R` asks for chance.
_RANDOM = re.compile(r"(^|[\s,])r([\s,/(]|$)", re.IGNORECASE)
_SECOND = timedelta(seconds=1)
_ORIGIN = datetime.fromisoformat("2000-01-01")


class Grid(Protocol):
    """Ordered instants, without end in either direction."""

    def at_or_after(self, instant: datetime) -> datetime: ...
    def at_or_before(self, instant: datetime) -> datetime: ...


def after(grid: Grid, instant: datetime) -> datetime:
    """The first point later than `instant`."""
    return grid.at_or_after(instant + TICK)


def before(grid: Grid, instant: datetime) -> datetime:
    """The last point earlier than `instant`."""
    return grid.at_or_before(instant - TICK)


class DeltaGrid:
    """Points a fixed elapsed time apart."""

    def __init__(self, anchor: datetime, delta: timedelta) -> None:
        if delta <= timedelta(0):
            raise TimetableError(
                f"a schedule of {delta} never moves on", fix="give a positive timedelta, or None for manual runs"
            )
        self._anchor = anchor.astimezone(UTC)
        self._delta = delta

    def at_or_after(self, instant: datetime) -> datetime:
        return self._anchor - (self._anchor - instant) // self._delta * self._delta

    def at_or_before(self, instant: datetime) -> datetime:
        return self._anchor + (instant - self._anchor) // self._delta * self._delta


class CronGrid:
    """The points of one cron expression in a zone."""

    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        self._walls = _Walls(expression)
        self._zone = zone

    def at_or_after(self, instant: datetime) -> datetime:
        if self._walls.every_hour:
            return self._elapsing_after(instant.astimezone(UTC))
        wall = self._walls.at_or_after(wall_at(self._zone, instant - TICK))
        while (point := first_showing(self._zone, wall)) < instant:
            wall = self._walls.at_or_after(wall + TICK)
        return point

    def at_or_before(self, instant: datetime) -> datetime:
        if self._walls.every_hour:
            return self._elapsing_before(instant.astimezone(UTC))
        wall = self._walls.at_or_before(furthest_wall(self._zone, instant))
        while (point := first_showing(self._zone, wall)) > instant:
            wall = self._walls.at_or_before(wall - TICK)
        return point

    def _elapsing_after(self, instant: datetime) -> datetime:
        """Stretch by stretch of constant offset."""
        while True:
            offset = utc_offset(self._zone, instant)
            point = self._walls.at_or_after(_naive(instant) + offset).replace(tzinfo=UTC) - offset
            change = first_change(self._zone, instant, point)
            if change is None:
                return point
            instant = change

    def _elapsing_before(self, instant: datetime) -> datetime:
        while True:
            offset = utc_offset(self._zone, instant)
            point = self._walls.at_or_before(_naive(instant) + offset).replace(tzinfo=UTC) - offset
            change = last_change(self._zone, point, instant)
            if change is None:
                return point
            instant = change - TICK


class UnionGrid:
    """All points of several grids."""

    def __init__(self, grids: Sequence[Grid]) -> None:
        self._grids = tuple(grids)

    def at_or_after(self, instant: datetime) -> datetime:
        return min(grid.at_or_after(instant) for grid in self._grids)

    def at_or_before(self, instant: datetime) -> datetime:
        return max(grid.at_or_before(instant) for grid in self._grids)


class _Walls:
    """The wall times that a cron expression names; from any thread."""

    def __init__(self, expression: str) -> None:
        self._cron = _parsed(expression)
        self._lock = Lock()  # croniter keeps its place
        self.every_hour = self._cron.expanded[_HOUR] == ["*"]

    def at_or_after(self, wall: datetime) -> datetime:
        whole = wall.replace(microsecond=0)
        start = whole if whole < wall else whole - _SECOND
        with self._lock:
            found: datetime = self._cron.get_next(datetime, start_time=start)
        return found

    def at_or_before(self, wall: datetime) -> datetime:
        with self._lock:
            found: datetime = self._cron.get_prev(datetime, start_time=wall.replace(microsecond=0) + _SECOND)
        return found


def _parsed(expression: str) -> croniter:
    """Raises `TimetableError` where the expression is malformed or names no day that ever comes."""
    if len(expression.split()) != _FIELDS or _RANDOM.search(expression):
        raise TimetableError(
            f"{expression!r} is no cron expression of five fields",
            fix="write: minute hour day-of-month month day-of-week, e.g. '30 6 * * 1-5'",
        )
    try:
        cron = croniter(expression, _ORIGIN)
        cron.get_next(datetime)
    except CroniterError as error:
        raise TimetableError(
            f"the cron expression {expression!r} does not work: {error}",
            fix="write: minute hour day-of-month month day-of-week, e.g. '30 6 * * 1-5'",
        ) from error
    return cron


def _naive(instant: datetime) -> datetime:
    return instant.replace(tzinfo=None)
