import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import TimetableError
from orchestrator.spec.dag import (
    ContinuousSchedule,
    CronSchedule,
    DagSpec,
    DeltaSchedule,
    ManualSchedule,
    OnceSchedule,
    Schedule,
)
from orchestrator.spec.interval import Interval
from orchestrator.timetables import (
    Past,
    Timetable,
    due_in_words,
    interval_in_words,
    read_date,
    timetable_for,
    zone_named,
)

DAILY = CronSchedule(expressions=("0 0 * * *",), preset="@daily")
SEEN = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


def day(year: int, month: int, number: int, hour: int = 0) -> datetime:
    return datetime(year, month, number, hour, tzinfo=UTC)


def daily(start: datetime) -> Interval:
    return Interval(start=start, end=start + timedelta(days=1))


def instants(first: str, last: str) -> st.SearchStrategy[datetime]:
    return st.datetimes(datetime.fromisoformat(first), datetime.fromisoformat(last), timezones=st.just(UTC))


def table(
    schedule: Schedule = DAILY, start: datetime | None = None, end: datetime | None = None, zone: str = "UTC"
) -> Timetable:
    return timetable_for(
        DagSpec(dag_id="d", file="d.py", schedule=schedule, start_date=start, end_date=end, timezone=zone)
    )


def past(last: Interval | None = None, *, catchup: bool = False) -> Past:
    return Past(last=last, since=SEEN, catchup=catchup)


def runs(timetable: Timetable, now: datetime, *, catchup: bool, last: Interval | None = None) -> list[Interval]:
    """Every scheduled run that is due by `now`."""
    found = []
    while (following := timetable.next(past(last, catchup=catchup), now)) and following.end <= now:
        found.append(following)
        last = following
    return found


class TestIntervals:
    def test_without_catchup_an_ended_schedule_runs_its_last_interval_once(self) -> None:
        ended = table(start=day(2013, 1, 1), end=day(2013, 12, 30))
        assert runs(ended, NOW, catchup=False) == [daily(day(2013, 12, 30))]

    def test_with_catchup_every_interval_since_the_start_runs(self) -> None:
        ended = table(start=day(2013, 1, 1), end=day(2013, 12, 30))
        every = runs(ended, NOW, catchup=True)
        assert every == [daily(day(2013, 1, 1) + timedelta(days=n)) for n in range(364)]

    def test_without_catchup_the_newest_complete_interval_runs_then_each_next_one(self) -> None:
        open_ended = table(start=day(2020, 1, 1))
        first = runs(open_ended, NOW, catchup=False)
        assert first == [daily(day(2026, 11, 19))]
        assert runs(open_ended, NOW + timedelta(days=1), catchup=False, last=first[0]) == [daily(day(2026, 11, 20))]

    def test_after_an_outage_only_the_newest_is_made_up_for(self) -> None:
        assert runs(table(start=day(2020, 1, 1)), NOW, catchup=False, last=daily(day(2026, 11, 9))) == [
            daily(day(2026, 11, 19))
        ]

    def test_the_first_interval_starts_at_the_first_point_from_the_start_date_on(self) -> None:
        timetable = table(start=day(2026, 11, 20, 1))
        assert timetable.due_at(past()) == day(2026, 11, 22)
        assert timetable.next(past(), NOW) == daily(day(2026, 11, 21))

    def test_without_a_start_date_the_first_run_is_of_the_interval_the_dag_appeared_in(self) -> None:
        assert table().next(past(), NOW) == daily(day(2026, 11, 20))
        assert runs(table(), day(2026, 11, 21), catchup=False) == [daily(day(2026, 11, 20))]

    def test_a_changed_schedule_goes_on_where_the_last_interval_ended(self) -> None:
        six = table(CronSchedule(expressions=("0 6 * * *",)), start=day(2020, 1, 1))
        last = daily(day(2026, 11, 19))
        joint = Interval(start=day(2026, 11, 20), end=day(2026, 11, 20, 6))
        assert six.due_at(past(last)) == joint.end
        assert runs(six, NOW, catchup=False, last=last) == [joint]

    def test_a_later_start_date_leaves_a_gap_rather_than_run_before_it(self) -> None:
        assert table(start=day(2026, 12, 1)).next(past(daily(day(2026, 11, 9))), NOW) == daily(day(2026, 12, 1))

    def test_a_start_date_put_to_where_the_last_interval_ended_changes_nothing(self) -> None:
        six = table(CronSchedule(expressions=("0 6 * * *",)), start=day(2026, 11, 20))
        assert six.next(past(daily(day(2026, 11, 19))), NOW) == Interval(
            start=day(2026, 11, 20), end=day(2026, 11, 20, 6)
        )

    def test_the_end_date_is_inclusive_for_the_logical_date(self) -> None:
        timetable = table(start=day(2026, 1, 1), end=day(2026, 1, 3, 5))
        assert [each.start.day for each in runs(timetable, NOW, catchup=True)] == [1, 2, 3]
        assert timetable.due_at(past(daily(day(2026, 1, 3)))) is None

    @settings(max_examples=40, deadline=None)
    @given(
        schedule=st.sampled_from(
            [
                CronSchedule(expressions=("30 2 * * *",)),
                CronSchedule(expressions=("0 */6 * * *", "15 3 * * *")),
                CronSchedule(expressions=("*/30 * * * *",)),
                DeltaSchedule(delta=timedelta(hours=7)),
            ]
        ),
        zone=st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]),
        start=instants("2011-12-01", "2012-04-01"),
        looks=st.lists(st.integers(0, 40 * 24 * 60), min_size=1, max_size=6),
        catchup=st.booleans(),
        length=st.none() | st.integers(0, 20),
    )
    def test_runs_tile_never_lie_in_the_future_and_never_repeat(
        self,
        schedule: Schedule,
        zone: str,
        start: datetime,
        looks: list[int],
        *,
        catchup: bool,
        length: int | None,
    ) -> None:
        end = None if length is None else start + timedelta(days=length)
        timetable = table(schedule, start=start, end=end, zone=zone)
        made: list[Interval] = []
        for minutes in sorted(looks):
            now = start + timedelta(minutes=minutes)
            fresh = runs(timetable, now, catchup=catchup, last=made[-1] if made else None)
            assert all(each.start < each.end <= now for each in fresh)
            assert len(fresh) <= 1 or catchup
            made += fresh
        for one, other in itertools.pairwise(made):
            assert one.end == other.start if catchup else one.end <= other.start
        assert all(each.start >= start and (end is None or each.start <= end) for each in made)
        due = timetable.due_at(past(made[-1] if made else None, catchup=catchup))
        assert due is None or due > start + timedelta(minutes=max(looks))

    @given(instant=instants("1970-01-01", "2090-01-01"))
    def test_a_date_by_hand_names_the_interval_that_contains_it(self, instant: datetime) -> None:
        timetable = table(CronSchedule(expressions=("30 2 * * *",)), zone="America/New_York")
        found = timetable.interval_for(instant)
        assert found.start <= instant < found.end
        assert timetable.interval_for(found.start) == found
        around = timetable.neighbours(found)
        assert around.next == found.end
        assert timetable.interval_for(around.previous).end == found.start

    def test_no_date_names_the_newest_complete_interval_of_the_schedule(self) -> None:
        assert table().newest(NOW) == daily(day(2026, 11, 19))
        assert table().newest(day(2026, 11, 20)) == daily(day(2026, 11, 19))
        ended = table(start=day(2013, 1, 1), end=day(2013, 12, 30))
        assert ended.newest(NOW) == daily(day(2013, 12, 30))
        assert ended.newest(day(2013, 5, 2, 4)) == daily(day(2013, 5, 1))

    def test_dates_outside_start_and_end_are_warned_about(self) -> None:
        ended = table(start=day(2013, 1, 1), end=day(2013, 12, 30))
        assert ended.doubts(daily(day(2013, 12, 30)), NOW) == ()
        (late,) = ended.doubts(daily(day(2013, 12, 31)), NOW)
        (early,) = ended.doubts(daily(day(2012, 12, 31)), NOW)
        assert "end_date" in late
        assert "start_date" in early

    def test_what_is_not_over_yet_is_warned_about(self) -> None:
        (running,) = table().doubts(daily(day(2026, 11, 20)), NOW)
        (coming,) = table().doubts(daily(day(2026, 11, 21)), NOW)
        assert running == "the interval from 2026-11-20T00:00:00+00:00 ends only at 2026-11-21T00:00:00+00:00"
        assert coming == "2026-11-21T00:00:00+00:00 lies in the future"


class TestWithoutIntervals:
    def test_once_runs_once_at_its_start_date(self) -> None:
        once = table(OnceSchedule(), start=day(2030, 1, 1))
        assert once.due_at(past()) == day(2030, 1, 1)
        assert runs(once, day(2031, 1, 1), catchup=True) == [Interval(start=day(2030, 1, 1), end=day(2030, 1, 1))]

    def test_once_without_a_start_date_runs_as_soon_as_it_is_seen(self) -> None:
        assert runs(table(OnceSchedule()), NOW, catchup=False) == [Interval(start=SEEN, end=SEEN)]

    def test_once_after_its_end_date_never_runs(self) -> None:
        assert table(OnceSchedule(), start=day(2030, 1, 2), end=day(2030, 1, 1)).due_at(past()) is None

    def test_continuous_runs_stand_for_the_time_since_the_last_one(self) -> None:
        on = table(ContinuousSchedule(), start=day(2026, 1, 1))
        first = on.next(past(), NOW)
        assert first == Interval(start=day(2026, 1, 1), end=NOW)
        assert on.next(past(first), NOW + timedelta(hours=1)) == Interval(start=NOW, end=NOW + timedelta(hours=1))
        assert on.one_at_a_time

    def test_manual_dags_have_no_scheduled_runs(self) -> None:
        manual = table(ManualSchedule())
        assert manual.next(past(), NOW) is None
        assert manual.due_at(past()) is None

    @pytest.mark.parametrize("schedule", [ManualSchedule(), OnceSchedule(), ContinuousSchedule()])
    def test_a_date_by_hand_is_its_own_interval(self, schedule: Schedule) -> None:
        moment = Interval(start=NOW, end=NOW)
        timetable = table(schedule)
        assert timetable.interval_for(NOW) == timetable.newest(NOW) == moment
        assert timetable.neighbours(moment).next == timetable.neighbours(moment).previous == NOW


class TestWhatCannotBe:
    def test_an_unknown_timezone_is_named(self) -> None:
        with pytest.raises(TimetableError, match="Mars/Olympus"):
            table(zone="Mars/Olympus")

    def test_a_schedule_that_never_moves_on_is_refused(self) -> None:
        with pytest.raises(TimetableError, match="never moves on"):
            table(DeltaSchedule(delta=timedelta(0)))

    def test_a_schedule_of_no_expression_is_refused(self) -> None:
        with pytest.raises(TimetableError, match="no cron expression"):
            table(CronSchedule(expressions=()))


class TestDatesByHand:
    def test_a_plain_date_is_local_midnight(self) -> None:
        assert read_date("2024-05-01", zone_named("Europe/Berlin")) == day(2024, 4, 30, 22)

    def test_a_plain_date_without_a_midnight_is_its_first_moment(self) -> None:
        found = read_date("2018-11-04", zone_named("America/Sao_Paulo"))
        assert found.astimezone(ZoneInfo("America/Sao_Paulo")).isoformat() == "2018-11-04T01:00:00-02:00"

    def test_a_time_with_an_offset_is_taken_as_it_is(self) -> None:
        berlin = zone_named("Europe/Berlin")
        assert read_date("2024-05-01T06:00Z", berlin) == day(2024, 5, 1, 6)
        assert read_date("2024-05-01T06:00", berlin) == day(2024, 5, 1, 4)

    @pytest.mark.parametrize("wrong", ["yesterday", "2024-13-01", ""])
    def test_anything_else_is_refused_with_its_fix(self, wrong: str) -> None:
        with pytest.raises(TimetableError) as raised:
            read_date(wrong, zone_named("UTC"))
        assert "2024-05-01" in raised.value.fix


class TestWords:
    def test_a_day_is_named_by_its_date(self) -> None:
        assert due_in_words(daily(day(2026, 11, 19)), ZoneInfo("UTC"), NOW) == "due 20 Nov 00:00, stands for 19 Nov"

    def test_another_year_is_named(self) -> None:
        assert (
            due_in_words(daily(day(2013, 12, 31)), ZoneInfo("UTC"), NOW)
            == "due 1 Jan 2014 00:00, stands for 31 Dec 2013"
        )

    def test_other_intervals_are_told_from_end_to_end(self) -> None:
        utc = ZoneInfo("UTC")
        of = interval_in_words
        assert of(Interval(start=day(2026, 11, 1), end=day(2026, 12, 1)), utc, NOW) == "1 Nov to 30 Nov"
        assert of(Interval(start=day(2026, 11, 1, 5), end=day(2026, 11, 1, 6)), utc, NOW) == "1 Nov 05:00 to 06:00"
        assert of(Interval(start=day(2026, 11, 1, 5), end=day(2026, 11, 2, 5)), utc, NOW) == (
            "1 Nov 05:00 to 2 Nov 05:00"
        )
        assert of(Interval(start=NOW, end=NOW), utc, NOW) == "20 Nov 12:30"
