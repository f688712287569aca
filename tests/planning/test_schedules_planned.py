"""What the planner makes of schedules over time: settings, versions, pauses, restarts, and clocks that jump."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_sim import NOW, SETTINGS, Leader, container, dag, empty

from orchestrator.planning.rows import RequestKind, Run
from orchestrator.spec.dag import CronSchedule, DagSpec, DeltaSchedule, Schedule, ScheduleMode
from orchestrator.spec.interval import Interval
from orchestrator.states import RunType

TRIGGERS = msgspec.structs.replace(SETTINGS, bare_schedule=ScheduleMode.TRIGGER)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def daily(mode: ScheduleMode | None = None) -> CronSchedule:
    return CronSchedule(expressions=("0 0 * * *",), preset="@daily", mode=mode)


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def planned(schedule: Schedule, **arguments: Any) -> DagSpec:
    return dag(empty("a"), schedule=schedule, **({"catchup": False} | arguments))


def scheduled(leader: Leader) -> list[Run]:
    return [run for run in leader.rows["runs"].values() if run.run_type is RunType.SCHEDULED]


def intervals(leader: Leader) -> list[Interval]:
    return [run.interval for run in scheduled(leader)]


class TestBareSchedules:
    def test_a_site_may_have_them_mean_ticks(self) -> None:
        leader = Leader(TRIGGERS)
        leader.parse(planned(daily(), start_date=at(1)))
        assert intervals(leader) == [Interval(start=at(20), end=at(20))]
        leader.wait(12 * 3600)
        assert intervals(leader)[1:] == [Interval(start=at(21), end=at(21))]

    def test_what_a_file_says_of_its_points_wins(self) -> None:
        leader = Leader(TRIGGERS)
        leader.parse(planned(daily(ScheduleMode.INTERVAL), start_date=at(1)))
        assert intervals(leader) == [Interval(start=at(19), end=at(20))]

    def test_a_version_says_what_was_meant_when_it_was_made(self) -> None:
        leader = Leader(TRIGGERS)
        leader.parse(planned(daily(), start_date=at(1)))
        (version,) = leader.rows["versions"].values()
        assert version.spec.schedule == daily(ScheduleMode.TRIGGER)
        leader.settings = SETTINGS
        leader.restart()
        assert leader.world.next_due() == at(21), "the setting counts from the next parse on"
        leader.parse(planned(daily(), start_date=at(1)))
        assert [version.spec.schedule.mode for version in leader.rows["versions"].values()] == [
            ScheduleMode.TRIGGER,
            ScheduleMode.INTERVAL,
        ]


class TestChanges:
    def test_from_ticks_to_intervals_the_first_begins_with_the_last_tick(self) -> None:
        leader = Leader()
        leader.parse(planned(daily(ScheduleMode.TRIGGER), start_date=at(1)))
        leader.parse(planned(daily(ScheduleMode.INTERVAL), start_date=at(1)))
        leader.wait(36 * 3600)
        leader.wait(24 * 3600)
        assert intervals(leader) == [
            Interval(start=at(20), end=at(20)),
            Interval(start=at(21), end=at(22)),
            Interval(start=at(22), end=at(23)),
        ]
        leader = Leader()
        leader.parse(planned(daily(ScheduleMode.TRIGGER), start_date=at(1)))
        leader.parse(planned(daily(ScheduleMode.INTERVAL), start_date=at(1)))
        leader.wait(12 * 3600)
        assert [run.key.run_id for run in scheduled(leader)] == [
            "scheduled__2026-11-20T00:00:00+00:00",
            "scheduled__2026-11-20T00:00:00+00:00__2",
        ]

    def test_from_intervals_to_ticks_the_instant_at_which_the_last_ended_is_no_tick_any_more(self) -> None:
        leader = Leader()
        leader.parse(planned(daily(ScheduleMode.INTERVAL), start_date=at(1), catchup=True))
        while (due := leader.world.next_due()) is not None and due <= leader.now:
            leader.wait(0)
        leader.parse(planned(daily(ScheduleMode.TRIGGER), start_date=at(1), catchup=True))
        assert intervals(leader)[-1] == Interval(start=at(19), end=at(20))
        leader.wait(12 * 3600)
        assert intervals(leader)[-1] == Interval(start=at(21), end=at(21))


class TestWithoutAStartDate:
    def test_the_first_interval_is_that_in_which_the_dag_was_first_seen_whatever_its_file_says_later(self) -> None:
        leader = Leader()
        leader.parse(planned(daily(), catchup=True, paused_on_creation=True))
        leader.wait(2 * 86400)
        leader.parse(planned(daily(), catchup=True, paused_on_creation=True, description="better"))
        leader.restart()
        leader.ask(RequestKind.UNPAUSE, dag_id="d")
        leader.wait(0)
        assert intervals(leader) == [Interval(start=at(20), end=at(21)), Interval(start=at(21), end=at(22))]


steps = st.one_of(
    st.tuples(st.just("wait"), st.integers(0, 3 * 86400)),
    st.tuples(st.just("wait"), st.integers(0, 60 * 86400)),  # a long sleep
    st.tuples(st.just("wait"), st.integers(-9 * 86400, 0)),  # a clock that is set back
    st.tuples(st.sampled_from(["pause", "unpause", "restart"]), st.none()),
    st.tuples(st.just("change"), st.integers(0, 2)),
)
modes = st.sampled_from(ScheduleMode)
kinds = st.one_of(
    st.builds(
        lambda text, mode: CronSchedule(expressions=(text,), mode=mode),
        st.sampled_from(["0 0 * * *", "30 2 * * *", "0 */5 * * *", "0 12 * * 1-5"]),
        modes,
    ),
    st.builds(DeltaSchedule, delta=st.timedeltas(HOUR, 9 * DAY), mode=modes),
)


@settings(max_examples=50)
@given(
    schedules=st.lists(kinds, min_size=3, max_size=3),
    catchup=st.booleans(),
    start=st.none() | st.integers(-20, 20),
    taken=st.lists(steps, min_size=10, max_size=10),
)
def test_no_life_of_a_dag_has_a_run_twice_or_early(
    schedules: list[Schedule], start: int | None, taken: list[tuple[str, Any]], *, catchup: bool
) -> None:
    date = None if start is None else NOW + start * DAY
    leader = Leader()
    leader.parse(planned(schedules[0], catchup=catchup, start_date=date))
    for step, how in taken:
        before = len(scheduled(leader))
        match step:
            case "wait":
                leader.wait(how)
            case "restart":
                leader.restart()
                leader.wait(0)
            case "change":
                leader.parse(planned(schedules[how], catchup=catchup, start_date=date))
            case _:
                leader.ask(RequestKind(step), dag_id="d")
        assert catchup or len(scheduled(leader)) <= before + 1
        assert not (leader.rows["dags"]["d"].paused and len(scheduled(leader)) > before)
    made = scheduled(leader)
    assert all(run.interval.end <= run.created_at for run in made)
    for one, other in itertools.pairwise(made):
        assert one.interval.end <= other.interval.start
        assert one.interval != other.interval


def test_a_clock_that_is_set_back_makes_nothing_again() -> None:
    leader = Leader()
    leader.parse(dag(container("a"), schedule=daily(), start_date=at(1), catchup=False))
    leader.wait(12 * 3600)
    seen = intervals(leader)
    leader.wait(-3 * 86400)
    leader.wait(3 * 86400)
    assert intervals(leader) == seen == [Interval(start=at(19), end=at(20)), Interval(start=at(20), end=at(21))]
