"""Schedules whose points are ticks: runs of an instant, or of a window before it."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.errors import TimetableError
from orchestrator.spec.dag import CronSchedule, DagSpec, DeltaSchedule, ManualSchedule, Schedule, ScheduleMode
from orchestrator.spec.interval import Interval
from orchestrator.timetables import Past, Timetable, interval_by_hand, take_over, timetable_for, zone_named

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
DAY, HOUR, WEEK = timedelta(days=1), timedelta(hours=1), timedelta(days=7)
UTC_ZONE = zone_named("UTC")


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def six(window: timedelta = timedelta(0), **more: str) -> CronSchedule:
    return CronSchedule(expressions=("0 6 * * *",), mode=ScheduleMode.TRIGGER, window=window, **more)


def table(schedule: Schedule, start: datetime | None = None, end: datetime | None = None) -> Timetable:
    return timetable_for(DagSpec(dag_id="d", file="d.py", schedule=schedule, start_date=start, end_date=end))


def following(timetable: Timetable, last: Interval | None = None, now: datetime = NOW) -> Interval | None:
    return timetable.next(Past(last=last, since=NOW, catchup=True), now)


def until(tick: datetime, window: timedelta = timedelta(0)) -> Interval:
    return Interval(start=tick - window, end=tick)


class TestTicks:
    def test_a_run_stands_for_its_tick_and_is_due_then(self) -> None:
        ticks = table(six(), start=at(18))
        assert following(ticks) == until(at(18, 6))
        assert following(ticks, until(at(19, 6))) == until(at(20, 6))
        assert ticks.due_at(Past(last=until(at(20, 6)), since=NOW, catchup=False)) == at(21, 6)

    def test_without_catching_up_only_the_newest_tick_runs(self) -> None:
        ticks = table(six(), start=at(1))
        assert ticks.next(Past(last=None, since=NOW, catchup=False), NOW) == until(at(20, 6))
        assert ticks.next(Past(last=until(at(9, 6)), since=NOW, catchup=False), NOW) == until(at(20, 6))

    def test_without_a_start_date_the_first_tick_is_the_next(self) -> None:
        assert following(table(six())) == until(at(21, 6))

    def test_ticks_at_start_and_end_date_are_inside(self) -> None:
        ticks = table(six(), start=at(18, 6), end=at(19, 6))
        assert following(ticks) == until(at(18, 6))
        assert following(ticks, until(at(18, 6))) == until(at(19, 6))
        assert following(ticks, until(at(19, 6))) is None
        assert ticks.next(Past(last=None, since=NOW, catchup=False), NOW) == until(at(19, 6))

    def test_a_start_date_that_was_put_off_is_waited_for(self) -> None:
        assert following(table(six(), start=at(25)), until(at(19, 6))) == until(at(25, 6))
        assert following(table(six(DAY), start=at(25)), until(at(19, 6), DAY)) == until(at(26, 6), DAY)

    def test_a_duration_ticks_from_the_start_date_on(self) -> None:
        ticks = table(DeltaSchedule(delta=7 * HOUR, mode=ScheduleMode.TRIGGER), start=at(18, 1))
        assert following(ticks) == until(at(18, 1))
        assert following(ticks, until(at(18, 1))) == until(at(18, 8))

    def test_a_schedule_may_go_by_another_zone_than_the_dag(self) -> None:
        assert following(table(six(timezone="Asia/Tokyo"), start=at(18))) == until(at(18, 21))

    def test_the_instant_at_which_an_interval_ended_has_had_its_run(self) -> None:
        midnights = CronSchedule(expressions=("0 0 * * *",), mode=ScheduleMode.TRIGGER)
        assert following(table(midnights, start=at(1)), Interval(start=at(19), end=at(20))) == until(at(21))

    def test_neighbours_of_a_tick_are_itself(self) -> None:
        around = table(six()).neighbours(until(at(20, 6)))
        assert around.previous == around.next == at(20, 6)

    def test_a_date_by_hand_is_itself_and_no_date_is_now(self) -> None:
        ticks = table(six())
        assert interval_by_hand(ticks, "2026-11-19", UTC_ZONE, NOW) == until(at(19))
        assert interval_by_hand(ticks, None, UTC_ZONE, NOW) == until(NOW)


class TestWindows:
    def test_a_run_stands_for_the_time_before_its_tick(self) -> None:
        weekly = table(six(WEEK), start=at(1))
        assert following(weekly) == until(at(8, 6), WEEK), "the first that begins at or after the start date"
        assert following(weekly, until(at(8, 6), WEEK)) == until(at(9, 6), WEEK), "windows may overlap"

    def test_the_end_date_bounds_the_beginning_of_the_window(self) -> None:
        weekly = table(six(DAY), start=at(1), end=at(17, 6))
        assert following(weekly, until(at(17, 6), DAY)) == until(at(18, 6), DAY)
        assert following(weekly, until(at(18, 6), DAY)) is None
        assert weekly.next(Past(last=None, since=NOW, catchup=False), NOW) == until(at(18, 6), DAY)

    def test_a_date_by_hand_names_the_last_window_that_begins_at_or_before_it(self) -> None:
        hours = table(six(HOUR))
        assert interval_by_hand(hours, "2026-11-19T05:00", UTC_ZONE, NOW) == until(at(19, 6), HOUR)
        assert interval_by_hand(hours, "2026-11-19T05:59", UTC_ZONE, NOW) == until(at(19, 6), HOUR)
        assert interval_by_hand(hours, "2026-11-19T04:59", UTC_ZONE, NOW) == until(at(18, 6), HOUR)
        assert interval_by_hand(hours, None, UTC_ZONE, NOW) == until(at(20, 6), HOUR)

    def test_neighbours_are_the_windows_before_and_after(self) -> None:
        around = table(six(HOUR)).neighbours(until(at(20, 6), HOUR))
        assert (around.previous, around.next) == (at(19, 5), at(21, 5))


class TestRanges:
    def test_the_logical_dates_of_a_range_are_those_of_the_schedule(self) -> None:
        daily = table(CronSchedule(expressions=("0 0 * * *",)), start=at(3), end=at(5, 12))
        assert [each.start for each in daily.starting_in(at(1), at(9))] == [at(3), at(4), at(5)]
        assert [each.start for each in daily.starting_in(at(4), at(4))] == [at(4)]
        assert list(daily.starting_in(at(6), at(9))) == []

    def test_of_ticks_and_windows_too(self) -> None:
        assert list(table(six()).starting_in(at(3), at(4, 6))) == [until(at(3, 6)), until(at(4, 6))]
        assert list(table(six(DAY)).starting_in(at(3), at(4, 6))) == [until(at(4, 6), DAY), until(at(5, 6), DAY)]

    def test_a_schedule_without_any_has_none(self) -> None:
        assert list(table(ManualSchedule()).starting_in(at(3), at(9))) == []


class TestBareSchedules:
    @pytest.mark.parametrize("bare", [CronSchedule(expressions=("0 6 * * *",)), DeltaSchedule(delta=DAY)])
    @pytest.mark.parametrize("mode", ScheduleMode)
    def test_the_site_says_what_they_mean(self, bare: Schedule, mode: ScheduleMode) -> None:
        told = take_over(DagSpec(dag_id="d", file="d.py", schedule=bare, start_date=at(18)), mode)
        run = following(timetable_for(told))
        assert run is not None
        assert (run.start == run.end) == (mode is ScheduleMode.TRIGGER)

    @pytest.mark.parametrize("schedule", [six(DAY), ManualSchedule()])
    def test_others_stay_as_they_are(self, schedule: Schedule) -> None:
        spec = DagSpec(dag_id="d", file="d.py", schedule=schedule)
        assert take_over(spec, ScheduleMode.INTERVAL) == spec


class TestBounds:
    @pytest.mark.parametrize("year", [1, 1899, 2901, 9999])
    def test_a_start_date_out_of_all_calendars_is_refused(self, year: int) -> None:
        with pytest.raises(TimetableError, match="start_date") as refused:
            table(six(), start=datetime(year, 6, 1, tzinfo=UTC))
        assert "from 1900 to 2900" in refused.value.fix

    def test_an_end_date_that_means_never_is_none(self) -> None:
        assert table(six(), start=at(1), end=datetime(9999, 12, 31, tzinfo=UTC)).end is None

    def test_an_end_date_before_all_calendars_is_refused(self) -> None:
        with pytest.raises(TimetableError, match="end_date"):
            table(six(), end=datetime(1, 1, 1, tzinfo=UTC))

    @pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31", "1899-12-31T23:59:59Z"])
    def test_a_date_by_hand_that_far_off_is_refused(self, text: str) -> None:
        with pytest.raises(TimetableError, match="cannot be counted with"):
            interval_by_hand(table(six()), text, UTC_ZONE, NOW)
