"""From what a DAG file said to its timetable."""

from datetime import UTC, datetime
from typing import assert_never
from zoneinfo import ZoneInfo

import msgspec

from orchestrator.errors import TimetableError
from orchestrator.spec.dag import (
    AssetOrTimeSchedule,
    AssetSchedule,
    ContinuousSchedule,
    CronSchedule,
    DagSpec,
    DeltaSchedule,
    ManualSchedule,
    OnceSchedule,
    Schedule,
    ScheduleMode,
)
from orchestrator.timetables.grid import CronGrid, DeltaGrid, Grid, UnionGrid
from orchestrator.timetables.timetable import (
    ContinuousTimetable,
    GridTimetable,
    ManualTimetable,
    OnceTimetable,
    Timetable,
    TriggerTimetable,
)
from orchestrator.timetables.zones import EARLIEST, LATEST, first_showing, zone_named

#: Where a duration without a start date is anchored: a midnight in the DAG's zone.
_ORIGIN = datetime.fromisoformat("2000-01-01")


def timetable_for(spec: DagSpec) -> Timetable:
    """The timetable of a DAG; a bare schedule of which nobody has said what it means (`take_over`) means
    intervals. Raises `TimetableError` for a cron expression, duration, date or timezone that cannot be; the
    message names it, the fix says what to write."""
    start, end = _bounds(spec)
    match spec.schedule:
        case CronSchedule() | DeltaSchedule() as timed:
            return _timed(timed, _grid(timed, spec, start), start, end)
        case AssetOrTimeSchedule(time=timed):
            return _timed(timed, _grid(timed, spec, start), start, end)
        case OnceSchedule():
            return OnceTimetable(start, end)
        case ContinuousSchedule():
            return ContinuousTimetable(start, end)
        case ManualSchedule() | AssetSchedule():
            return ManualTimetable(start, end)
        case _:
            assert_never(spec.schedule)


def take_over(spec: DagSpec, bare: ScheduleMode) -> DagSpec:
    """The DAG with it said what a bare schedule means here, so that its versions never change their meaning."""
    return msgspec.structs.replace(spec, schedule=_told(spec.schedule, bare))


def _told(schedule: Schedule, bare: ScheduleMode) -> Schedule:
    match schedule:
        case CronSchedule(mode=None) | DeltaSchedule(mode=None):
            return msgspec.structs.replace(schedule, mode=bare)
        case AssetOrTimeSchedule(time=timed) if timed.mode is None:
            return msgspec.structs.replace(schedule, time=msgspec.structs.replace(timed, mode=bare))
        case _:
            return schedule


def _timed(
    schedule: CronSchedule | DeltaSchedule, grid: Grid, start: datetime | None, end: datetime | None
) -> Timetable:
    if schedule.mode is ScheduleMode.TRIGGER:
        return TriggerTimetable(grid, schedule.window, start, end)
    return GridTimetable(grid, start, end)


def _grid(schedule: CronSchedule | DeltaSchedule, spec: DagSpec, start: datetime | None) -> Grid:
    zone = zone_named(spec.timezone)
    if isinstance(schedule, DeltaSchedule):
        return DeltaGrid(start or first_showing(zone, _ORIGIN), schedule.delta)
    own = zone if schedule.timezone is None else zone_named(schedule.timezone)
    return _cron_grid(schedule.expressions, own)


def _cron_grid(expressions: tuple[str, ...], zone: ZoneInfo) -> Grid:
    if not expressions:
        raise TimetableError("a schedule of no cron expression", fix="give one, or schedule=None for manual runs")
    grids = [CronGrid(expression, zone) for expression in expressions]
    return grids[0] if len(grids) == 1 else UnionGrid(grids)


def _bounds(spec: DagSpec) -> tuple[datetime | None, datetime | None]:
    """Start and end date; an end later than all that can be counted is none."""
    zone_named(spec.timezone)
    start, end = (each and each.astimezone(UTC) for each in (spec.start_date, spec.end_date))
    for name, date in (("start_date", start), ("end_date", end)):
        if date is not None and (date < EARLIEST or (name == "start_date" and date > LATEST)):
            raise TimetableError(
                f"the {name} {date.isoformat()} cannot be counted with",
                fix=f"write a date from {EARLIEST.year} to {LATEST.year}, or leave it out",
            )
    return start, None if end is not None and end > LATEST else end
