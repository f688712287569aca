"""Dates and zones as a DAG file writes them."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from orchestrator.authoring.faults import Rule, fault


def read_date(name: str, written: object) -> datetime | None:
    """The instant in UTC; a date without a zone is an error, because it means another instant everywhere."""
    if written is None:
        return None
    if not isinstance(written, datetime):
        raise fault(
            f"{name} {written!r} is no datetime",
            rule=Rule.BAD_ARGUMENT,
            fix=f"write {name}=datetime(2024, 1, 1, tzinfo=UTC)",
        )
    if written.utcoffset() is None:
        raise fault(
            f"{name} {written.isoformat()} has no timezone",
            rule=Rule.NAIVE_DATE,
            fix=f'write datetime(..., tzinfo=UTC), or tzinfo=ZoneInfo("Europe/Berlin"); {name} is an instant',
        )
    moment = written.astimezone(UTC)
    return datetime.combine(moment.date(), moment.time(), UTC)


def read_zone(written: str | tzinfo | None, schedules: str | None, start: datetime | None) -> str:
    """The name of the DAG's zone: the one given, else that of its schedule, else that of the start date if it has
    a name, else UTC."""
    if written is not None:
        return zone_name(written)
    if schedules is not None:
        return schedules
    name = _name(start.tzinfo) if isinstance(start, datetime) else None
    return name if name is not None and _exists(name) else "UTC"


def zone_name(written: str | tzinfo) -> str:
    """The name of a zone that was given by name, or as zoneinfo, pendulum or pytz have it."""
    name = written if isinstance(written, str) else _name(written)
    if name is None or not _exists(name):
        raise fault(
            f"unknown timezone {written!r}", rule=Rule.BAD_ARGUMENT, fix='write a name like "Europe/Berlin"'
        )
    return name


def _name(zone: tzinfo | None) -> str | None:
    """Its name, which zoneinfo and pendulum call `key`, pytz `zone`; a fixed offset has neither."""
    if zone is UTC:
        return "UTC"
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    return name if isinstance(name, str) else None


def _exists(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
