"""Deadlines: from when they count, and that each is told once."""

from datetime import timedelta

import pytest
from planning_past import ask
from planning_sim import NOW, Leader, container, dag, empty, played

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.changes import Prepare
from orchestrator.planning.events import Tick
from orchestrator.planning.explain import explain_task
from orchestrator.planning.rows import RequestKind, Run
from orchestrator.spec.dag import CronSchedule, DagSpec, RetryPolicy, TaskSpec
from orchestrator.states import ReasonCode, RunState, TaskState

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
MIDNIGHT = NOW.replace(hour=0)


def daily(*tasks: TaskSpec, **arguments: object) -> DagSpec:
    return dag(*tasks, schedule=CronSchedule(expressions=("0 0 * * *",)), **arguments)


def scheduled(leader: Leader) -> list[Run]:
    return sorted(leader.rows["runs"].values(), key=lambda run: run.interval.start)


def missed(leader: Leader, key: RunKey, task_id: str | None = None) -> object:
    return (leader.run(key) if task_id is None else leader.task(key, task_id)).deadline_missed_at


def test_a_run_asked_for_counts_from_its_making() -> None:
    leader = Leader()
    leader.parse(dag(container("a"), deadline=HOUR))
    key = leader.trigger()
    leader.wait(3599)
    assert missed(leader, key) is None
    leader.wait(1)
    assert missed(leader, key) == NOW + HOUR
    assert leader.run(key).state is RunState.RUNNING


def test_a_scheduled_run_counts_from_the_end_of_its_interval() -> None:
    leader = Leader()
    leader.parse(daily(container("a"), deadline=13 * HOUR, start_date=MIDNIGHT - 24 * HOUR))
    (run,) = scheduled(leader)
    leader.wait(3599)
    assert missed(leader, run.key) is None
    leader.wait(1)
    assert missed(leader, run.key) == MIDNIGHT + 13 * HOUR


def test_of_runs_caught_up_with_all_but_the_newest_count_from_their_making() -> None:
    leader = Leader()
    leader.parse(daily(container("a"), deadline=12 * HOUR + MINUTE, start_date=MIDNIGHT - 72 * HOUR, catchup=True))
    leader.wait(60)
    runs = scheduled(leader)
    assert len(runs) == 3
    assert [run.deadline_missed_at for run in runs] == [None, None, NOW + MINUTE]
    leader.wait(12 * 3600)
    assert [run.deadline_missed_at for run in scheduled(leader)[:2]] == [NOW + 12 * HOUR + MINUTE] * 2


def test_a_task_is_late_while_it_runs_and_before_it_has_begun() -> None:
    leader = Leader()
    leader.parse(dag(container("a", deadline=HOUR), container("b", "a", deadline=HOUR), container("c", "b")))
    key = leader.trigger()
    leader.prepare_all()
    leader.wait(3600)
    assert [missed(leader, key, name) for name in "abc"] == [NOW + HOUR, NOW + HOUR, None]
    assert leader.states(key) == {"a": TaskState.STARTING, "b": TaskState.WAITING, "c": TaskState.WAITING}


def test_a_task_of_a_run_that_is_held_back_is_late_too() -> None:
    leader = Leader()
    leader.parse(dag(container("a", deadline=HOUR), max_active_runs=1))
    leader.trigger()
    second = leader.trigger()
    leader.wait(3600)
    assert leader.run(second).state is RunState.QUEUED
    assert missed(leader, second, "a") == NOW + HOUR
    leader.ask_cancel(second)
    assert leader.task(second, "a").state is TaskState.FAILED


def test_what_ends_in_time_is_never_late() -> None:
    leader = Leader()
    leader.parse(dag(container("a", deadline=HOUR), empty("b", "a", deadline=HOUR), deadline=HOUR))
    key = leader.trigger()
    played(leader, {}, {})
    leader.wait(7200)
    assert [missed(leader, key), missed(leader, key, "a"), missed(leader, key, "b")] == [None, None, None]


def test_it_is_told_once_and_changes_nothing_else() -> None:
    leader = Leader()
    leader.parse(dag(container("a", deadline=HOUR, retry=RetryPolicy(retries=1, delay=2 * HOUR))))
    key = leader.trigger()
    (launch,) = leader.prepare_all()
    leader.exit(launch, 1)
    assert len(leader.wait(3600)) == 1
    assert leader.task(key, "a").state is TaskState.UP_FOR_RETRY
    assert leader.turn(Tick()) == ()
    leader.restart()
    assert leader.turn(Tick()) == ()


def test_one_that_waits_for_room_keeps_its_place() -> None:
    leader = Leader()
    leader.parse(dag(container("a"), container("b", deadline=HOUR), max_active_tasks=1))
    key = leader.trigger()
    (first,) = leader.prepare_all()
    leader.wait(3600)
    assert missed(leader, key, "b") == NOW + HOUR
    assert leader.take(Prepare) == []
    leader.exit(first)
    assert leader.task(key, "b").state is TaskState.STARTING


def test_a_restart_forgets_no_deadline() -> None:
    leader = Leader()
    leader.parse(dag(container("a", deadline=HOUR), deadline=2 * HOUR))
    key = leader.trigger()
    leader.restart()
    leader.wait(7200)
    assert (missed(leader, key, "a"), missed(leader, key)) == (NOW + HOUR, NOW + 2 * HOUR)


@pytest.mark.parametrize("late", [False, True])
def test_a_cleared_run_counts_from_then_and_what_was_late_is_not_told_again(*, late: bool) -> None:
    leader = Leader()
    leader.parse(dag(container("a", deadline=HOUR), deadline=HOUR))
    key = leader.trigger()
    (launch,) = leader.prepare_all()
    leader.wait(3600 if late else 60)
    leader.exit(launch, 1)
    leader.wait(60)
    answer = ask(leader, RequestKind.CLEAR, selection={"dag_id": "d", "run_ids": [key.run_id]})
    assert answer.ok, answer.error
    cleared = leader.now
    leader.wait(3600)
    told = NOW + HOUR if late else cleared + HOUR
    assert (missed(leader, key), missed(leader, key, "a")) == (told, told)


def test_a_task_of_a_queued_run_waits_for_its_run() -> None:
    leader = Leader()
    leader.parse(dag(container("a", deadline=HOUR), max_active_runs=1))
    leader.trigger()
    second = leader.trigger()
    reason = explain_task(leader.world, TaskKey("d", second.run_id, "a"), leader.present)
    assert reason is not None
    assert reason.code is ReasonCode.MAX_ACTIVE_RUNS
