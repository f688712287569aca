"""Schedules, dates and zones as a DAG file writes them. What a cron expression means is the timetables' part."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from orchestrator.authoring.faults import Rule, fault, nearest
from orchestrator.authoring.forms import plain
from orchestrator.spec.dag import (
    ContinuousSchedule,
    CronSchedule,
    DeltaSchedule,
    ManualSchedule,
    OnceSchedule,
    Schedule,
)

_CRON_PRESETS: Mapping[str, str] = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_OTHER_PRESETS: Mapping[str, Schedule] = {"@once": OnceSchedule(), "@continuous": ContinuousSchedule()}


def read_schedule(written: object) -> Schedule:
    """The schedule that a cron expression, a list of them, a preset, a timedelta or None means."""
    if written is None:
        return ManualSchedule()
    if isinstance(written, timedelta):
        return DeltaSchedule(delta=_elapsed(written))
    if isinstance(written, str):
        return _OTHER_PRESETS.get(written) or _cron([written])
    if isinstance(written, Sequence) and written and all(isinstance(each, str) for each in written):
        return _cron(written)
    raise fault(
        f"schedule {written!r} is none",
        rule=Rule.BAD_SCHEDULE,
        fix="write a cron expression, a list of them, a preset like '@daily', a timedelta, or None",
    )


def _cron(written: Sequence[str]) -> CronSchedule:
    for text in written:
        if text.startswith("@") and text not in _CRON_PRESETS:
            known = (*_CRON_PRESETS, *_OTHER_PRESETS)
            raise fault(
                f"unknown preset {text!r}{nearest(text, known)}",
                rule=Rule.BAD_SCHEDULE,
                fix=f"the presets are {', '.join(known)}",
            )
    return CronSchedule(
        expressions=tuple(_CRON_PRESETS.get(text, text) for text in written),
        preset=written[0] if len(written) == 1 and written[0] in _CRON_PRESETS else None,
    )


def _elapsed(delta: timedelta) -> timedelta:
    """A plain timedelta; pendulum's durations may also hold months, which are no fixed time."""
    if getattr(delta, "months", 0) or getattr(delta, "years", 0):
        raise fault(
            f"schedule {delta!r}: months and years are not equally long",
            rule=Rule.BAD_SCHEDULE,
            fix="write a cron expression or a preset like '@monthly'",
        )
    elapsed = plain(delta)
    if elapsed <= timedelta(0):
        raise fault(f"schedule {delta!r} does not go on", rule=Rule.BAD_SCHEDULE, fix="write a time above 0")
    return elapsed


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


def read_zone(written: str | tzinfo | None, start: datetime | None) -> str:
    """The name of the DAG's zone: the one given, else that of the start date if it has a name, else UTC."""
    if written is not None:
        name = written if isinstance(written, str) else _zone_name(written)
        if name is None or not _exists(name):
            raise fault(
                f"unknown timezone {written!r}", rule=Rule.BAD_ARGUMENT, fix='write a name like "Europe/Berlin"'
            )
        return name
    name = _zone_name(start.tzinfo) if isinstance(start, datetime) else None
    return name if name is not None and _exists(name) else "UTC"


def _zone_name(zone: tzinfo | None) -> str | None:
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
