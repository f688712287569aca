"""From what a DAG file said to its timetable."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from orchestrator.errors import TimetableError
from orchestrator.spec.dag import (
    ContinuousSchedule,
    CronSchedule,
    DagSpec,
    DeltaSchedule,
    ManualSchedule,
    OnceSchedule,
)
from orchestrator.timetables.grid import CronGrid, DeltaGrid, Grid, UnionGrid
from orchestrator.timetables.timetable import (
    ContinuousTimetable,
    GridTimetable,
    ManualTimetable,
    OnceTimetable,
    Timetable,
)
from orchestrator.timetables.zones import first_showing

#: Where a duration without a start date is anchored: a midnight in the DAG's zone.
_ORIGIN = datetime.fromisoformat("2000-01-01")


def timetable_for(spec: DagSpec) -> Timetable:
    """The timetable of a DAG. Raises `TimetableError` for a cron expression, duration or timezone that cannot
    be; the message names it, the fix says what to write."""
    zone = zone_named(spec.timezone)
    match spec.schedule:
        case CronSchedule(expressions=expressions):
            return GridTimetable(_cron_grid(expressions, zone), spec.start_date, spec.end_date)
        case DeltaSchedule(delta=delta):
            grid = DeltaGrid(spec.start_date or first_showing(zone, _ORIGIN), delta)
            return GridTimetable(grid, spec.start_date, spec.end_date)
        case OnceSchedule():
            return OnceTimetable(spec.start_date, spec.end_date)
        case ContinuousSchedule():
            return ContinuousTimetable(spec.start_date, spec.end_date)
        case ManualSchedule():
            return ManualTimetable(spec.start_date, spec.end_date)


def zone_named(name: str) -> ZoneInfo:
    """Raises `TimetableError` for a name that the time zone database does not know."""
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise TimetableError(
            f"there is no timezone {name!r}", fix="use a name such as 'UTC' or 'Europe/Berlin'"
        ) from error


def read_date(text: str, zone: ZoneInfo) -> datetime:
    """A date given by hand, as an instant in UTC: `2024-05-01` is that day's first moment in the zone, a time
    without an offset is one of the zone's clocks. Raises `TimetableError`."""
    try:
        given = datetime.fromisoformat(text)
        return given.astimezone(UTC) if given.tzinfo else first_showing(zone, given)
    except (ValueError, OverflowError) as error:
        raise TimetableError(
            f"{text!r} is no date", fix="write 2024-05-01, 2024-05-01T06:00 or 2024-05-01T06:00+02:00"
        ) from error


def _cron_grid(expressions: tuple[str, ...], zone: ZoneInfo) -> Grid:
    if not expressions:
        raise TimetableError("a schedule of no cron expression", fix="give one, or schedule=None for manual runs")
    grids = [CronGrid(expression, zone) for expression in expressions]
    return grids[0] if len(grids) == 1 else UnionGrid(grids)
