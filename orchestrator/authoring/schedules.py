"""Schedules as a DAG file writes them. What a cron expression means is the timetables' part.

A bare cron expression, preset or timedelta means what the site says (setting `scheduling.bare_schedule`);
`Interval` and `CronTrigger` say it themselves, and so do Airflow's names for them.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta, tzinfo
from typing import Never

from msgspec.structs import replace

from orchestrator.authoring.assets import AssetExpression, read_condition
from orchestrator.authoring.dates import zone_name
from orchestrator.authoring.faults import Rule, fault, nearest
from orchestrator.authoring.forms import plain
from orchestrator.errors import AuthoringError
from orchestrator.spec.dag import (
    AssetOrTimeSchedule,
    AssetSchedule,
    ContinuousSchedule,
    CronSchedule,
    DeltaSchedule,
    ManualSchedule,
    OnceSchedule,
    Schedule,
    ScheduleMode,
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
_NO_TIME = timedelta(0)
_FIXES = {
    "run_immediately": "leave it out: with a start_date that has passed the newest run is made at once, without "
    "one the first is the next",
}


class TimeSchedule:
    """Points in time and what they mean. Constructed by the classes below, given to `schedule=`."""

    __slots__ = ("spec",)

    def __init__(self, spec: CronSchedule | DeltaSchedule) -> None:
        self.spec = spec

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec})"


class Interval(TimeSchedule):
    """A run stands for the time between two points and is due at the later one. The points are those of one or
    several cron expressions or presets, by the clocks of `timezone` (the DAG's), or a timedelta apart."""

    __slots__ = ()

    def __init__(self, *points: str | timedelta, timezone: str | tzinfo | None = None, **unknown: Never) -> None:
        _refuse(self, ("timezone",), unknown)
        super().__init__(replace(_points(points, timezone), mode=ScheduleMode.INTERVAL))


class CronTrigger(TimeSchedule):
    """A run at each point of one or several cron expressions or presets, by the clocks of `timezone` (the DAG's).
    It stands for that instant, or with `interval` for so long a time before it."""

    __slots__ = ()

    def __init__(
        self,
        *expressions: str,
        timezone: str | tzinfo | None = None,
        interval: timedelta = _NO_TIME,
        **unknown: Never,
    ) -> None:
        _refuse(self, ("timezone", "interval"), unknown)
        points = _points(expressions, timezone)
        if isinstance(points, DeltaSchedule):
            raise _none(expressions[0])
        super().__init__(_trigger(points, interval))


class CronDataIntervalTimetable(Interval):
    """Airflow's name for `Interval` of a cron expression."""

    __slots__ = ()

    def __init__(self, cron: str, timezone: str | tzinfo | None = None, **unknown: Never) -> None:
        super().__init__(cron, timezone=timezone, **unknown)


class DeltaDataIntervalTimetable(Interval):
    """Airflow's name for `Interval` of a timedelta."""

    __slots__ = ()

    def __init__(self, delta: timedelta, **unknown: Never) -> None:
        _refuse(self, ("delta",), unknown)
        super().__init__(delta)


class CronTriggerTimetable(CronTrigger):
    """Airflow's name for `CronTrigger` of one expression."""

    __slots__ = ()

    def __init__(
        self,
        cron: str,
        *,
        timezone: str | tzinfo | None = None,
        interval: timedelta = _NO_TIME,
        **unknown: Never,
    ) -> None:
        super().__init__(cron, timezone=timezone, interval=interval, **unknown)


class DeltaTriggerTimetable(TimeSchedule):
    """A run each time a timedelta has passed since the start date; `interval` as of a `CronTrigger`."""

    __slots__ = ()

    def __init__(self, delta: timedelta, *, interval: timedelta = _NO_TIME, **unknown: Never) -> None:
        _refuse(self, ("delta", "interval"), unknown)
        super().__init__(_trigger(_points((delta,), None), interval))


class AssetOrTime:
    """The runs of both: of points in time (`schedule`: whatever may stand for them alone), and of updated assets
    (`assets`: one, a list for all of them, or `a & b`, `a | b`)."""

    __slots__ = ("spec",)

    def __init__(
        self,
        *,
        schedule: str | Sequence[str] | timedelta | TimeSchedule,
        assets: AssetExpression | Sequence[AssetExpression],
        **unknown: Never,
    ) -> None:
        _refuse(self, ("schedule", "assets"), unknown)
        time, when = read_schedule(schedule), read_condition(assets)
        if not isinstance(time, CronSchedule | DeltaSchedule):
            raise fault(
                f"AssetOrTime: schedule {schedule!r} names no points in time",
                rule=Rule.BAD_SCHEDULE,
                fix="write a cron expression, a preset like '@daily', a timedelta, CronTrigger(...), Interval(...)",
            )
        if when is None:
            raise fault(
                f"AssetOrTime: assets {assets!r} are none",
                rule=Rule.BAD_SCHEDULE,
                fix='write Asset("name"), a list of them, or a & b, a | b',
            )
        self.spec = AssetOrTimeSchedule(time=time, when=when)


def read_schedule(written: object) -> Schedule:
    """What a cron expression, a list of them, a preset, a timedelta, a `TimeSchedule`, assets, or None means."""
    if written is None:
        return ManualSchedule()
    if (when := read_condition(written)) is not None:
        return AssetSchedule(when=when)
    if isinstance(written, AssetOrTime):
        return written.spec
    if isinstance(written, TimeSchedule):
        return written.spec
    if isinstance(written, timedelta):
        return DeltaSchedule(delta=_elapsed(written))
    if isinstance(written, str):
        return _OTHER_PRESETS.get(written) or _cron([written])
    if isinstance(written, Sequence) and written and all(isinstance(each, str) for each in written):
        return _cron(written)
    raise _none(written)


def own_zone(schedule: Schedule | None) -> str | None:
    """The zone that a schedule names for itself, if it does."""
    time = schedule.time if isinstance(schedule, AssetOrTimeSchedule) else schedule
    return time.timezone if isinstance(time, CronSchedule) else None


def _refuse(schedule: object, known: Sequence[str], unknown: Mapping[str, object]) -> None:
    for name in unknown:
        raise fault(
            f"{type(schedule).__name__} takes no argument {name!r}{nearest(name, known)}",
            rule=Rule.UNKNOWN_ARGUMENT,
            fix=_FIXES.get(name, "correct the name, or leave it out"),
        )


def _points(written: Sequence[object], timezone: str | tzinfo | None) -> CronSchedule | DeltaSchedule:
    """Of the points alone, not yet what they mean."""
    zone = None if timezone is None else zone_name(timezone)
    texts = [each for each in written if isinstance(each, str)]
    if texts and len(texts) == len(written):
        return replace(_cron(texts), timezone=zone)
    if len(written) == 1 and isinstance(written[0], timedelta) and zone is None:
        return DeltaSchedule(delta=_elapsed(written[0]))
    raise _none(written[0] if len(written) == 1 else tuple(written))


def _trigger(points: CronSchedule | DeltaSchedule, interval: timedelta) -> CronSchedule | DeltaSchedule:
    if not isinstance(interval, timedelta):
        raise fault(f"interval {interval!r} is no timedelta", rule=Rule.BAD_SCHEDULE, fix="write timedelta(days=1)")
    window = _elapsed(interval, "interval") if interval else _NO_TIME
    return replace(points, mode=ScheduleMode.TRIGGER, window=window)


def _cron(written: Sequence[str]) -> CronSchedule:
    for text in written:
        if text.startswith("@") and text not in _CRON_PRESETS:
            known = (*_CRON_PRESETS, *_OTHER_PRESETS)
            raise fault(
                f"{text} stands alone"
                if text in _OTHER_PRESETS
                else f"unknown preset {text!r}{nearest(text, known)}",
                rule=Rule.BAD_SCHEDULE,
                fix=f"the presets are {', '.join(known)}",
            )
    return CronSchedule(
        expressions=tuple(_CRON_PRESETS.get(text, text) for text in written),
        preset=written[0] if len(written) == 1 and written[0] in _CRON_PRESETS else None,
    )


def _elapsed(delta: timedelta, what: str = "schedule") -> timedelta:
    """A plain timedelta; pendulum's durations may also hold months, which are no fixed time."""
    if getattr(delta, "months", 0) or getattr(delta, "years", 0):
        raise fault(
            f"{what} {delta!r}: months and years are not equally long",
            rule=Rule.BAD_SCHEDULE,
            fix="write a cron expression or a preset like '@monthly'",
        )
    elapsed = plain(delta)
    if elapsed <= timedelta(0):
        raise fault(f"{what} {delta!r} does not go on", rule=Rule.BAD_SCHEDULE, fix="write a time above 0")
    return elapsed


def _none(written: object) -> AuthoringError:
    return fault(
        f"schedule {written!r} is none",
        rule=Rule.BAD_SCHEDULE,
        fix="write a cron expression, a list of them, a preset like '@daily', a timedelta, CronTrigger(...), "
        "Interval(...), assets, AssetOrTime(...), or None",
    )
