"""Dates given by hand: on the command line, in a request, in a form."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from orchestrator.errors import TimetableError
from orchestrator.spec.interval import Interval
from orchestrator.timetables.timetable import Timetable
from orchestrator.timetables.zones import EARLIEST, LATEST, first_showing


def interval_by_hand(timetable: Timetable, text: str | None, zone: ZoneInfo, now: datetime) -> Interval:
    """The interval that starts at or contains the date; without a date the newest complete one. Raises
    `TimetableError` for a text that is no date."""
    return timetable.newest(now) if text is None else timetable.interval_for(read_date(text, zone))


def read_date(text: str, zone: ZoneInfo) -> datetime:
    """A date given by hand, as an instant in UTC: `2024-05-01` is that day's first moment in the zone, a time
    without an offset is one of the zone's clocks. Raises `TimetableError`."""
    try:
        given = datetime.fromisoformat(text)
        instant = given.astimezone(UTC) if given.tzinfo else first_showing(zone, given)
    except (ValueError, OverflowError) as error:
        raise TimetableError(
            f"{text!r} is no date", fix="write 2024-05-01, 2024-05-01T06:00 or 2024-05-01T06:00+02:00"
        ) from error
    if not EARLIEST <= instant <= LATEST:
        raise TimetableError(
            f"{text} cannot be counted with", fix=f"write a date from {EARLIEST.year} to {LATEST.year}"
        )
    return instant
