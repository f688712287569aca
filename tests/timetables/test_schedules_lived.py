"""A schedule as a scheduler lives with it: catching up or not, paused, changed, through sleeps and jumps of the
clock, in any order that is drawn."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from laws import Count, holds
from wall_clock import DAYS_OF_CHANGE, HOUR, Points, points

from orchestrator.spec.dag import CronSchedule, DagSpec, DeltaSchedule, Schedule, ScheduleMode
from orchestrator.spec.interval import Interval
from orchestrator.timetables import Past, Timetable, timetable_for

ZONES = ("UTC", *dict.fromkeys(zone for zone, _ in DAYS_OF_CHANGE))
NOTHING = timedelta(0)


def table(schedule: Schedule, zone: str, start: datetime | None, end: datetime | None) -> Timetable:
    return timetable_for(
        DagSpec(dag_id="d", file="d.py", schedule=schedule, timezone=zone, start_date=start, end_date=end)
    )


def cron(named: list[Points], mode: ScheduleMode) -> CronSchedule:
    return CronSchedule(expressions=tuple(map(str, named)), mode=mode)


class Life:
    """What is due is made at each look, as long as the DAG is not paused."""

    def __init__(self, timetable: Timetable, now: datetime, *, catchup: bool) -> None:
        self.timetable, self.now, self.since = timetable, now, now
        self.catchup, self.paused = catchup, False
        self.made: list[Interval] = []

    @property
    def last(self) -> Interval | None:
        return self.made[-1] if self.made else None

    def past(self) -> Past:
        return Past(last=self.last, since=self.since, catchup=self.catchup)

    def look(self) -> None:
        before = len(self.made)
        while not self.paused and len(self.made) < before + 200:
            following = self.timetable.next(self.past(), self.now)
            if following is None or following.end > self.now:
                break
            self._check(following)
            self.made.append(following)
        assert self.catchup or len(self.made) <= before + 1, "without catch-up one look makes one run"
        if not self.paused and len(self.made) < before + 200:
            self._check_settled()

    def _check(self, following: Interval) -> None:
        start, end, last = self.timetable.start, self.timetable.end, self.last
        assert following.end <= self.now, "never in the future"
        assert start is None or following.start >= start
        assert end is None or following.start <= end
        if last is not None:
            assert following.start >= last.end, "never twice, and no overlap"
            assert following != last
            earliest = self.timetable.next(Past(last=last, since=self.since, catchup=True), self.now)
            assert not self.catchup or following == earliest, "with catch-up none is left out"
            if isinstance(earliest, Interval) and earliest.start < earliest.end and (start or last.end) <= last.end:
                assert earliest.start == last.end, "the next one starts where the last ended"

    def _check_settled(self) -> None:
        due = self.timetable.due_at(self.past())
        assert due is None or due > self.now
        newest = self.timetable.interval_for(self.now)
        if self.made and self.timetable.end is None and newest.start < newest.end:
            assert self.made[-1].end >= newest.start, "the newest complete interval has its run"


steps = st.one_of(
    st.tuples(st.just("wait"), st.timedeltas(NOTHING, timedelta(days=3))),
    st.tuples(st.just("wait"), st.timedeltas(NOTHING, timedelta(days=90))),  # a long sleep
    st.tuples(st.just("wait"), st.timedeltas(timedelta(days=-9), NOTHING)),  # a clock that is set back
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("change"), st.integers(0, 3)),
    st.tuples(st.just("catch up"), st.booleans()),
)
modes = st.sampled_from(ScheduleMode)
lively = st.one_of(
    st.builds(cron, st.lists(points(), min_size=1, max_size=2), modes),
    st.builds(DeltaSchedule, delta=st.timedeltas(HOUR, timedelta(days=20)), mode=modes),
)


@holds(
    1800,
    12,
    kinds=st.lists(lively, min_size=4, max_size=4),
    zone=st.sampled_from(ZONES),
    begin=st.datetimes(
        datetime.fromisoformat("2011-06-01"), datetime.fromisoformat("2024-10-01"), timezones=st.just(UTC)
    ),
    start=st.none() | st.timedeltas(timedelta(days=-20), timedelta(days=20)),
    length=st.none() | st.timedeltas(NOTHING, timedelta(days=60)),
    catchup=st.booleans(),
    taken=st.lists(steps, min_size=12, max_size=12),
)
def test_no_life_of_a_schedule_runs_anything_twice_or_early_or_leaves_out_what_it_should_run(
    *,
    kinds: list[Schedule],
    zone: str,
    begin: datetime,
    start: timedelta | None,
    length: timedelta | None,
    catchup: bool,
    taken: list[tuple[str, Any]],
    count: Count,
) -> None:
    first = None if start is None else begin + start
    last = None if length is None else (first or begin) + length
    tables = [table(kind, zone, first, last) for kind in kinds]
    life = Life(tables[0], begin, catchup=catchup)
    life.look()
    for step, how in taken:
        match step:
            case "wait":
                life.now += how
            case "pause":
                life.paused = how
            case "change":
                life.timetable = tables[how]
            case "catch up":
                life.catchup = how
        life.look()
    count(len(taken))
