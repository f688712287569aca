"""Runs: made when due, held back by limits and pauses, pinned to a version and to images, ended."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from planning_sim import NOW, SETTINGS, Leader, container, dag, empty

from orchestrator.ids import RunKey
from orchestrator.planning.changes import PinImages, Prepare
from orchestrator.planning.events import ImagesPinned
from orchestrator.planning.explain import Explained, explain_dag, explain_run
from orchestrator.planning.rows import RequestKind
from orchestrator.spec.dag import (
    ContainerTemplate,
    ContinuousSchedule,
    CronSchedule,
    DagSpec,
    ManualSchedule,
    OnceSchedule,
    RetryPolicy,
    Schedule,
)
from orchestrator.spec.interval import Interval
from orchestrator.states import ReasonCode, RunState, RunType, TaskState

DAILY = CronSchedule(expressions=("0 0 * * *",), preset="@daily")
HOURLY = CronSchedule(expressions=("0 * * * *",), preset="@hourly")


def day(year: int, month: int, number: int, hour: int = 0) -> datetime:
    return datetime(year, month, number, hour, tzinfo=UTC)


def flights(schedule: Schedule = DAILY, **arguments: object) -> DagSpec:
    given = {"start_date": day(2026, 11, 1), "catchup": False} | arguments
    return dag(container("a"), schedule=schedule, **given)


def starts(leader: Leader) -> list[datetime]:
    return [run.interval.start for run in leader.rows["runs"].values()]


def finish_all(leader: Leader) -> None:
    for launch in leader.prepare_all():
        leader.exit(launch)


class TestScheduled:
    def test_the_flights_of_an_ended_year_get_their_one_run(self) -> None:
        leader = Leader()
        leader.parse(flights(start_date=day(2013, 1, 1), end_date=day(2013, 12, 30)))
        (run,) = leader.rows["runs"].values()
        assert run.interval == Interval(start=day(2013, 12, 30), end=day(2013, 12, 31))
        assert run.key.run_id == "scheduled__2013-12-30T00:00:00+00:00"
        assert (run.run_type, run.state) == (RunType.SCHEDULED, RunState.RUNNING)
        finish_all(leader)
        leader.wait(10**8)
        assert len(leader.rows["runs"]) == 1
        assert leader.world.next_due() is None

    def test_a_next_run_is_made_when_it_is_due_and_not_before(self) -> None:
        leader = Leader()
        leader.parse(flights())
        assert leader.world.next_due() == day(2026, 11, 21)
        leader.wait(12 * 3600 - 1)
        assert starts(leader) == [day(2026, 11, 19)]
        leader.wait(1)
        assert starts(leader) == [day(2026, 11, 19), day(2026, 11, 20)]

    def test_catching_up_makes_every_interval_in_order_and_few_at_a_time(self) -> None:
        leader = Leader()
        leader.parse(flights(catchup=True, max_active_runs=2))
        seen = 0
        while any(not run.state.final for run in leader.rows["runs"].values()):
            assert leader.world.queued.count("d") <= 2
            finish_all(leader)
            leader.wait(0)
            seen += 1
            assert seen < 50
        assert starts(leader) == [day(2026, 11, 1) + timedelta(days=n) for n in range(19)]

    def test_catching_up_without_containers_takes_several_turns_not_one_endless_one(self) -> None:
        leader = Leader()
        leader.parse(dag(empty("a"), schedule=DAILY, start_date=day(2026, 11, 1), catchup=True, max_active_runs=3))
        assert len(starts(leader)) == 3
        while (due := leader.world.next_due()) is not None and due <= leader.now:
            leader.wait(0)
        assert len(starts(leader)) == 19
        assert all(run.state is RunState.SUCCESS for run in leader.rows["runs"].values())

    def test_the_default_for_catching_up_is_a_setting(self) -> None:
        leader = Leader(msgspec.structs.replace(SETTINGS, catchup_by_default=True))
        leader.parse(flights(catchup=None))
        assert starts(leader)[:2] == [day(2026, 11, 1), day(2026, 11, 2)]

    def test_after_a_long_sleep_only_the_newest_interval_runs(self) -> None:
        leader = Leader()
        leader.parse(flights(HOURLY))
        finish_all(leader)
        leader.wait(10 * 3600 + 5)
        assert starts(leader) == [day(2026, 11, 20, 11), day(2026, 11, 20, 21)]

    def test_runs_that_come_due_while_one_runs_are_held_back_not_lost(self) -> None:
        leader = Leader()
        leader.parse(flights(HOURLY, max_active_runs=1))
        leader.wait(3600)
        first, second = leader.rows["runs"].values()
        assert (first.state, second.state) == (RunState.RUNNING, RunState.QUEUED)
        assert explain_run(leader.world, second.key, leader.present).reason.code is ReasonCode.MAX_ACTIVE_RUNS
        assert leader.states(second.key) == {}
        assert explain_dag(leader.world, "d", leader.present).code is ReasonCode.MAX_ACTIVE_RUNS
        finish_all(leader)
        assert leader.run(second.key).state is RunState.RUNNING

    def test_once_runs_once(self) -> None:
        leader = Leader()
        leader.parse(flights(OnceSchedule(), start_date=None))
        assert starts(leader) == [NOW]
        finish_all(leader)
        leader.wait(10**6)
        assert len(starts(leader)) == 1
        assert explain_dag(leader.world, "d", leader.present).code is ReasonCode.OUTSIDE_SCHEDULE

    def test_continuous_runs_follow_each_other(self) -> None:
        leader = Leader()
        leader.parse(flights(ContinuousSchedule(), start_date=day(2026, 11, 20)))
        leader.wait(60)
        assert starts(leader) == [day(2026, 11, 20)]
        finish_all(leader)
        leader.wait(60)
        assert starts(leader) == [day(2026, 11, 20), NOW]
        intervals = [run.interval for run in leader.rows["runs"].values()]
        assert intervals[0].end == intervals[1].start

    def test_a_changed_schedule_makes_no_interval_twice(self) -> None:
        leader = Leader()
        leader.parse(flights())
        leader.parse(flights(CronSchedule(expressions=("0 6 * * *",))))
        first, second = (run.interval for run in leader.rows["runs"].values())
        assert first.end == second.start == day(2026, 11, 20)
        assert second.end == day(2026, 11, 20, 6)


class TestPause:
    def test_a_new_dag_is_paused_by_default_and_unpausing_makes_its_run(self) -> None:
        leader = Leader(msgspec.structs.replace(SETTINGS, paused_on_creation=True))
        leader.parse(flights())
        assert starts(leader) == []
        assert explain_dag(leader.world, "d", leader.present).code is ReasonCode.PAUSED
        assert leader.ask(RequestKind.UNPAUSE, dag_id="d").ok
        assert starts(leader) == [day(2026, 11, 19)]
        assert explain_dag(leader.world, "d", leader.present).code is ReasonCode.NOT_DUE

    def test_what_the_file_says_of_pausing_wins_over_the_setting(self) -> None:
        leader = Leader()
        leader.parse(flights(paused_on_creation=True))
        assert leader.rows["dags"]["d"].paused

    def test_a_paused_dag_makes_no_runs_and_finishes_started_ones(self) -> None:
        leader = Leader()
        leader.parse(flights())
        leader.ask(RequestKind.PAUSE, dag_id="d")
        leader.wait(3 * 86400)
        finish_all(leader)
        (run,) = leader.rows["runs"].values()
        assert run.state is RunState.SUCCESS
        assert leader.world.next_due() is None

    def test_of_a_paused_dag_a_held_back_scheduled_run_waits_and_one_by_hand_runs(self) -> None:
        leader = Leader()
        leader.parse(flights(HOURLY, max_active_runs=1))
        leader.wait(3600)
        held = list(leader.rows["runs"])[1]
        leader.ask(RequestKind.PAUSE, dag_id="d")
        manual = leader.trigger()
        finish_all(leader)
        assert leader.run(manual).state is RunState.RUNNING
        assert leader.run(held).state is RunState.QUEUED
        assert explain_run(leader.world, held, leader.present).reason.code is ReasonCode.PAUSED
        finish_all(leader)
        leader.ask(RequestKind.UNPAUSE, dag_id="d")
        assert leader.run(held).state is RunState.RUNNING


class TestByHand:
    def test_a_date_names_the_interval_that_contains_it(self) -> None:
        leader = Leader()
        leader.parse(flights(paused_on_creation=True, timezone="America/New_York", start_date=day(2026, 1, 1)))
        run = leader.run(leader.trigger(logical_date="2026-05-04T13:00"))
        assert run.interval == Interval(start=day(2026, 5, 4, 4), end=day(2026, 5, 5, 4))
        assert run.key.run_id == "manual__2026-11-20T12:00:00+00:00"
        assert (run.actor, run.run_type) == ("ann", RunType.MANUAL)

    def test_no_date_names_the_newest_complete_interval(self) -> None:
        leader = Leader()
        leader.parse(flights(paused_on_creation=True))
        assert leader.run(leader.trigger()).interval.start == day(2026, 11, 19)

    def test_without_intervals_a_run_stands_for_the_instant_asked(self) -> None:
        leader = Leader()
        leader.parse(flights(ManualSchedule()))
        assert leader.run(leader.trigger()).interval == Interval(start=NOW, end=NOW)
        assert leader.run(leader.trigger(logical_date="2026-05-04")).interval.end == day(2026, 5, 4)

    def test_a_date_outside_the_schedule_runs_with_a_warning(self) -> None:
        leader = Leader()
        leader.parse(flights(start_date=day(2013, 1, 1), end_date=day(2013, 12, 30), paused_on_creation=True))
        answer = leader.ask(RequestKind.TRIGGER, dag_id="d", logical_date="2013-12-31")
        assert answer.ok
        assert "end_date" in answer.data["warnings"][0]
        assert leader.ask(RequestKind.TRIGGER, dag_id="d", logical_date="2013-12-30").data["warnings"] == []

    def test_conf_and_note_are_kept_and_ids_stay_unique(self) -> None:
        leader = Leader()
        leader.parse(flights(ManualSchedule()))
        one, other = leader.trigger(conf={"x": 1}, note="why"), leader.trigger()
        assert one != other
        assert (leader.run(one).conf, leader.run(one).note) == ({"x": 1}, "why")

    def test_runs_asked_for_at_one_instant_differ_even_when_the_first_has_ended(self) -> None:
        leader = Leader()
        leader.parse(dag(empty("a")))
        assert leader.trigger() != leader.trigger()

    @pytest.mark.parametrize(
        ("payload", "words"),
        [
            ({"dag_id": "nobody"}, "no DAG 'nobody'"),
            ({"dag_id": "d", "logical_date": "soon"}, "'soon' is no date"),
            ({"dag_id": "d", "conf": [1]}, "conf must be"),
        ],
    )
    def test_what_cannot_be_triggered_is_refused_with_words(self, payload: dict[str, object], words: str) -> None:
        leader = Leader()
        leader.parse(flights(ManualSchedule()))
        answer = leader.ask(RequestKind.TRIGGER, **payload)
        assert not answer.ok
        assert words in answer.error
        assert not leader.rows["runs"]


class TestImages:
    def test_names_are_looked_up_once_and_prepared_after_that(self) -> None:
        leader = Leader()
        templated = container("b")
        templated = msgspec.structs.replace(templated, container=ContainerTemplate(image="{{ params.image }}"))
        leader.parse(dag(container("a"), container("c"), templated, empty("e")))
        key = leader.trigger()
        assert not leader.take(Prepare)
        (pin,) = leader.take(PinImages)
        assert pin.images == ("tools",)
        leader.turn(ImagesPinned(run=key, pins={"tools": "tools:1"}))
        assert {effect.task.key.task_id for effect in leader.take(Prepare)} == {"a", "b", "c"}
        leader.turn(ImagesPinned(run=key, pins={"tools": "tools:2"}))
        assert leader.run(key).images == {"tools": "tools:1"}
        assert not leader.take(Prepare)

    def test_a_run_that_names_no_image_needs_no_look_up(self) -> None:
        leader = Leader()
        leader.parse(dag(msgspec.structs.replace(container("a"), container=ContainerTemplate())))
        key = leader.trigger()
        assert leader.run(key).images == {}
        assert len(leader.take(Prepare)) == 1
        assert not leader.take(PinImages)


class TestEnd:
    def test_a_run_keeps_its_version_when_the_file_changes(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a"), container("b", "a")))
        key = leader.trigger()
        leader.parse(dag(container("other")))
        finish_all(leader)
        finish_all(leader)
        assert leader.states(key) == {"a": TaskState.SUCCESS, "b": TaskState.SUCCESS}
        assert len(list(leader.world.blueprints.items())) == 1

    def test_a_failed_leaf_fails_the_run_with_its_reason(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a"), container("b", "a"), container("c")))
        key = leader.trigger()
        first, second = leader.prepare_all()
        leader.exit(first, 3)
        assert leader.states(key)["b"] is TaskState.UPSTREAM_FAILED
        assert leader.task(key, "b").reason.text == "its rule all_success cannot hold (failed: a)"
        leader.exit(second)
        assert leader.run(key).state is RunState.FAILED
        assert leader.run(key).reason.text == "a: it exited with 3"

    def test_a_failure_that_a_later_task_makes_good_is_no_failed_run(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a"), empty("b", "a", trigger_rule="all_done")))
        key = leader.trigger()
        leader.exit(*leader.prepare_all(), 1)
        assert leader.run(key).state is RunState.SUCCESS

    def test_a_run_of_nothing_but_scheduler_tasks_ends_in_its_first_turn(self) -> None:
        leader = Leader()
        leader.parse(dag(*[empty(f"t{n}", *([f"t{n - 1}"] if n else [])) for n in range(1200)]))
        assert leader.run(leader.trigger()).state is RunState.SUCCESS

    def test_a_run_longer_than_dagrun_timeout_fails_and_stops_its_tasks(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a"), container("b", "a"), dagrun_timeout=timedelta(minutes=1)))
        key = leader.trigger()
        (launch,) = leader.prepare_all()
        leader.wait(60)
        assert leader.states(key) == {"a": TaskState.STARTING, "b": TaskState.FAILED}
        leader.exit(leader.attempt(launch), 143)
        assert leader.run(key).state is RunState.FAILED
        assert leader.run(key).reason.code is ReasonCode.TIMEOUT

    def test_in_a_run_over_its_time_nothing_is_tried_again(self) -> None:
        retry = RetryPolicy(retries=3, delay=timedelta(minutes=2))
        leader = Leader()
        leader.parse(
            dag(container("a", retry=retry), container("b", retry=retry), dagrun_timeout=timedelta(minutes=1))
        )
        key = leader.trigger()
        one, other = leader.prepare_all()
        leader.exit(one, 1)
        leader.wait(300)
        assert leader.states(key) == {"a": TaskState.FAILED, "b": TaskState.STARTING}
        leader.exit(other, 143)
        assert leader.states(key)["b"] is TaskState.FAILED
        assert leader.run(key).state is RunState.FAILED

    def test_a_cancelled_run_has_no_deadline_left(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a"), dagrun_timeout=timedelta(minutes=1)))
        key = leader.trigger()
        (launch,) = leader.prepare_all()
        leader.ask(RequestKind.CANCEL, dag_id="d", run_id=key.run_id)
        assert leader.world.next_due() is None
        leader.wait(60)
        leader.exit(launch, 143)
        assert leader.run(key).reason.code is ReasonCode.KILLED_BY

    def test_cancelling_a_run_that_has_ended_is_refused(self) -> None:
        leader = Leader()
        leader.parse(dag(empty("a")))
        key = leader.trigger()
        assert not leader.ask(RequestKind.CANCEL, dag_id="d", run_id=key.run_id).ok

    def test_a_held_back_run_can_be_cancelled(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a"), max_active_runs=1))
        leader.trigger()
        held = leader.trigger()
        assert leader.ask(RequestKind.CANCEL, dag_id="d", run_id=held.run_id).ok
        assert leader.run(held).state is RunState.FAILED
        assert leader.run(held).reason.text == "cancelled by ann"
        assert explain_run(leader.world, RunKey("d", "nothing"), leader.present) == Explained()
