"""Intervals and schedules in words: "due 20 Nov 00:00, stands for 19 Nov"."""

from datetime import datetime, time, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

from orchestrator.spec.assets import in_words
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
from orchestrator.spec.interval import Interval

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def due_in_words(interval: Interval, zone: ZoneInfo, now: datetime) -> str:
    """When a scheduled run of the interval is due and what it stands for, by the zone's clocks. A year is named
    where it is not the present one."""
    due = f"due {_instant(interval.end, zone, now)}"
    return due if interval.start == interval.end else f"{due}, stands for {interval_in_words(interval, zone, now)}"


def interval_in_words(interval: Interval, zone: ZoneInfo, now: datetime) -> str:
    """The interval itself: a day, some days, or from an instant to another."""
    start, end = interval.start.astimezone(zone), interval.end.astimezone(zone)
    if interval.start == interval.end:  # the walls of one zone may be equal an hour apart
        return _instant(start, zone, now)
    if start.timetz().replace(tzinfo=None) == end.timetz().replace(tzinfo=None) == time():
        last = end.date() - timedelta(days=1)
        this_year = now.astimezone(zone).year
        first_day, last_day = _day(start, this_year), _day(datetime.combine(last, time()), this_year)
        return first_day if first_day == last_day else f"{first_day} to {last_day}"
    if start.date() == end.date():
        return f"{_instant(start, zone, now)} to {_time(end)}"
    return f"{_instant(start, zone, now)} to {_instant(end, zone, now)}"


def schedule_in_words(schedule: Schedule) -> str:
    """A schedule in a few characters."""
    match schedule:
        case CronSchedule():
            points = schedule.preset or " | ".join(schedule.expressions)
            return _with_mode(schedule, f"{points} {schedule.timezone}" if schedule.timezone else points)
        case DeltaSchedule():
            return _with_mode(schedule, f"every {_duration(schedule.delta)}")
        case OnceSchedule():
            return "@once"
        case ContinuousSchedule():
            return "@continuous"
        case ManualSchedule():
            return "manual"
        case AssetSchedule():
            return f"assets {in_words(schedule.when)}"
        case AssetOrTimeSchedule():
            return f"{schedule_in_words(schedule.time)}, or assets {in_words(schedule.when)}"
        case _:
            assert_never(schedule)


def _with_mode(schedule: CronSchedule | DeltaSchedule, points: str) -> str:
    if schedule.mode is not ScheduleMode.TRIGGER:
        return points
    return f"tick {points}, for {_duration(schedule.window)} before" if schedule.window else f"tick {points}"


def _duration(delta: timedelta) -> str:
    return str(delta).removesuffix(", 0:00:00")


def _instant(instant: datetime, zone: ZoneInfo, now: datetime) -> str:
    local = instant.astimezone(zone)
    return f"{_day(local, now.astimezone(zone).year)} {_time(local)}"


def _time(local: datetime) -> str:
    """With its offset where the clocks show this time twice."""
    seconds = f":{local:%S}" if local.second else ""
    twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    return f"{local:%H:%M}{seconds}{local:%z}" if twice else f"{local:%H:%M}{seconds}"


def _day(day: datetime, this_year: int) -> str:
    year = "" if day.year == this_year else f" {day.year}"
    return f"{day.day} {_MONTHS[day.month - 1]}{year}"
