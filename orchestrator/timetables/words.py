"""Intervals in words: "due 20 Nov 00:00, stands for 19 Nov"."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from orchestrator.spec.interval import Interval

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def due_in_words(interval: Interval, zone: ZoneInfo, now: datetime) -> str:
    """When a scheduled run of the interval is due and what it stands for, by the zone's clocks. A year is named
    where it is not the present one."""
    return f"due {_instant(interval.end, zone, now)}, stands for {interval_in_words(interval, zone, now)}"


def interval_in_words(interval: Interval, zone: ZoneInfo, now: datetime) -> str:
    """The interval itself: a day, some days, or from an instant to another."""
    start, end = interval.start.astimezone(zone), interval.end.astimezone(zone)
    if start == end:
        return _instant(start, zone, now)
    if start.timetz().replace(tzinfo=None) == end.timetz().replace(tzinfo=None) == time():
        last = end.date() - timedelta(days=1)
        this_year = now.astimezone(zone).year
        first_day, last_day = _day(start, this_year), _day(datetime.combine(last, time()), this_year)
        return first_day if first_day == last_day else f"{first_day} to {last_day}"
    if start.date() == end.date():
        return f"{_instant(start, zone, now)} to {end:%H:%M}"
    return f"{_instant(start, zone, now)} to {_instant(end, zone, now)}"


def _instant(instant: datetime, zone: ZoneInfo, now: datetime) -> str:
    local = instant.astimezone(zone)
    return f"{_day(local, now.astimezone(zone).year)} {local:%H:%M}"


def _day(day: datetime, this_year: int) -> str:
    year = "" if day.year == this_year else f" {day.year}"
    return f"{day.day} {_MONTHS[day.month - 1]}{year}"
