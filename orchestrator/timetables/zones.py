"""What the clock on a wall shows, and when: the two questions that daylight saving makes hard.

`datetime` answers neither in arithmetic, so instants are aware UTC everywhere, walls are naive, and this module
is the only way between them.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from orchestrator.errors import TimetableError

#: Nothing happens between an instant and the next tick.
TICK = timedelta(microseconds=1)

#: Between these, every schedule can be counted: what cron looks back and ahead for stays within the calendar.
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2900, 1, 1, tzinfo=UTC)

#: No zone changes its offset twice within this time.
_PROBE = timedelta(days=7)


def zone_named(name: str) -> ZoneInfo:
    """Raises `TimetableError` for a name that the time zone database does not know."""
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise TimetableError(
            f"there is no timezone {name!r}", fix="use a name such as 'UTC' or 'Europe/Berlin'"
        ) from error


def utc_offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    """How far the zone's clocks are ahead of UTC at that instant."""
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def wall_at(zone: ZoneInfo, instant: datetime) -> datetime:
    """What the zone's clocks show at that instant, naive."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def first_showing(zone: ZoneInfo, wall: datetime) -> datetime:
    """The first instant at which the zone's clocks show `wall` or have jumped past it.

    So a wall time that comes twice falls at its first coming, and one that is skipped at the moment of the jump:
    the order of walls is the order of instants."""
    earlier = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    later = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return earlier if earlier <= later else _change_between(zone, later, earlier)


def furthest_wall(zone: ZoneInfo, instant: datetime) -> datetime:
    """A wall time at least as late as any that the zone's clocks have shown up to that instant: ahead of what
    they show now while an hour is being repeated."""
    local = instant.astimezone(zone)
    wall = local.replace(tzinfo=None, fold=0)
    if not local.fold:
        return wall
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return wall + (instant - first)


def first_change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime | None:
    """The first instant in `(start, end]` from which the zone's offset differs from that before."""
    while start < end:
        probe = min(start + _PROBE, end)
        if utc_offset(zone, probe) != utc_offset(zone, start):
            return _change_between(zone, start, probe)
        start = probe
    return None


def last_change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime | None:
    """The last instant in `(start, end]` from which the zone's offset differs from that before."""
    while start < end:
        probe = max(end - _PROBE, start)
        if utc_offset(zone, probe) != utc_offset(zone, end):
            return _change_between(zone, probe, end)
        end = probe
    return None


def _change_between(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Bisect to the second, on which offsets change."""
    low, high = int(before.timestamp() // 1), int(after.timestamp() // 1)
    offset = utc_offset(zone, after)
    while high - low > 1:
        middle = (low + high) // 2
        if utc_offset(zone, datetime.fromtimestamp(middle, UTC)) == offset:
            high = middle
        else:
            low = middle
    return datetime.fromtimestamp(high, UTC)
