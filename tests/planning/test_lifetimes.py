"""Tasks with dates of their own: in runs of other logical dates they are skipped, and say so."""

from datetime import UTC, datetime, timedelta

import pytest
from mapped_dags import each_of, mapped_group, over
from planning_past import ask, look_back
from planning_sim import Leader, container, dag, empty, played

from orchestrator.planning.rows import RequestKind, Run
from orchestrator.spec.dag import BranchChoice, CronSchedule, DagSpec, TaskSpec, Teardown
from orchestrator.states import ReasonCode, RunState, TaskState, TriggerRule

DAILY = CronSchedule(expressions=("0 0 * * *",))
FIRST = datetime(2026, 11, 15, tzinfo=UTC)
SKIPPED, DONE, WAITING = TaskState.SKIPPED, TaskState.SUCCESS, TaskState.WAITING


def day(number: int) -> datetime:
    return FIRST.replace(day=number)


def daily(*tasks: TaskSpec, **arguments: object) -> DagSpec:
    """A DAG whose runs stand for 15 to 19 November."""
    return dag(*tasks, **{"schedule": DAILY, "start_date": FIRST, "catchup": True, **arguments})


def lived(*tasks: TaskSpec, **arguments: object) -> Leader:
    """All its runs, to their ends."""
    leader = Leader()
    leader.parse(daily(*tasks, **arguments))
    played(leader, {}, {})
    return leader


def runs(leader: Leader) -> list[Run]:
    return sorted(leader.rows["runs"].values(), key=lambda run: run.interval.start)


def came_to(leader: Leader, task_id: str = "t") -> dict[int, TaskState]:
    return {run.interval.start.day: leader.task(run.key, task_id).state for run in runs(leader)}


def test_both_dates_are_inclusive_and_others_are_skipped() -> None:
    leader = lived(empty("t", start_date=day(16), end_date=day(18)))
    assert came_to(leader) == {15: SKIPPED, 16: DONE, 17: DONE, 18: DONE, 19: SKIPPED}
    assert {run.state for run in runs(leader)} == {RunState.SUCCESS}


def test_an_instant_more_or_less_is_another_date() -> None:
    tick = timedelta(microseconds=1)
    leader = lived(empty("t", start_date=day(16) + tick), empty("u", end_date=day(16) - tick))
    assert came_to(leader, "t") == {15: SKIPPED, 16: SKIPPED, 17: DONE, 18: DONE, 19: DONE}
    assert came_to(leader, "u") == {15: DONE, 16: SKIPPED, 17: SKIPPED, 18: SKIPPED, 19: SKIPPED}


def test_the_reason_names_both_dates_by_the_clocks_of_the_dag() -> None:
    task = empty("t", start_date=day(16), end_date=day(16))
    leader = lived(task, schedule=DAILY, timezone="Europe/Berlin", start_date=day(15) - timedelta(hours=1))
    told = [leader.task(run.key, "t").reason for run in runs(leader)]
    assert {reason.code for reason in told if reason} == {ReasonCode.OUTSIDE_DATES}
    assert [reason.text for reason in told if reason][::4] == [
        "the run's logical date 2026-11-15T00:00:00+01:00 is before its start_date 2026-11-16T01:00:00+01:00",
        "the run's logical date 2026-11-19T00:00:00+01:00 is after its end_date 2026-11-16T01:00:00+01:00",
    ]


def test_it_is_skipped_at_once_and_takes_no_container() -> None:
    leader = Leader()
    leader.parse(daily(container("first"), container("t", "first", end_date=day(15)), max_active_runs=9))
    assert came_to(leader) == {15: WAITING, 16: SKIPPED, 17: SKIPPED, 18: SKIPPED, 19: SKIPPED}
    played(leader, {}, {})
    assert came_to(leader)[15] is DONE
    assert came_to(leader, "first") == dict.fromkeys(range(15, 20), DONE)


@pytest.mark.parametrize(("rule", "state"), [("all_success", SKIPPED), ("none_failed", DONE)])
def test_what_comes_after_it_follows_its_own_rule(rule: str, state: TaskState) -> None:
    leader = lived(empty("t", end_date=day(15)), empty("after", "t", trigger_rule=TriggerRule(rule)))
    assert came_to(leader, "after") == {15: DONE, **dict.fromkeys(range(16, 20), state)}


def test_its_dates_come_before_a_branch_that_has_not_chosen() -> None:
    leader = Leader()
    which = container("which", choice=BranchChoice())
    leader.parse(daily(which, container("t", "which", end_date=day(14)), catchup=False))
    (run,) = runs(leader)
    assert leader.states(run.key) == {"which": TaskState.QUEUED, "t": SKIPPED}


def test_a_setup_of_other_dates_leaves_its_teardown_nothing_to_take_down() -> None:
    setup = container("make", setup=True, end_date=day(14))
    work, teardown = container("work", "make"), container("drop", "work", teardown=Teardown(setups=("make",)))
    leader = lived(setup, work, teardown, catchup=False)
    (run,) = runs(leader)
    assert leader.states(run.key) == dict.fromkeys(("make", "work", "drop"), SKIPPED)
    assert leader.run(run.key).state is RunState.SUCCESS


def test_a_mapped_task_is_skipped_as_one_and_one_in_a_mapped_group_in_each_instance() -> None:
    leader = lived(container("t", map=over(each_of(1, 2)), end_date=day(14)), catchup=False)
    (run,) = runs(leader)
    assert leader.states(run.key) == {"t": SKIPPED}
    group, tasks = mapped_group("g", over(each_of(1, 2)), container("g.t", end_date=day(14)), container("g.u"))
    leader = lived(*tasks, groups=(group,), catchup=False)
    told = {(key.task_id, key.map_index): task.state for key, task in leader.rows["tasks"].items()}
    assert {key: state for key, state in told.items() if key[1] >= 0} == {
        ("g.t", 0): SKIPPED,
        ("g.t", 1): SKIPPED,
        ("g.u", 0): DONE,
        ("g.u", 1): DONE,
    }


def test_a_run_asked_for_by_hand_is_judged_by_its_logical_date() -> None:
    leader = Leader()
    leader.parse(daily(empty("t", start_date=day(17)), paused_on_creation=True))
    for number, state in ((16, SKIPPED), (17, DONE)):
        key = leader.trigger(logical_date=day(number).isoformat())
        assert leader.task(key, "t").state is state


def test_a_backfill_has_all_tasks() -> None:
    leader = Leader()
    leader.parse(daily(empty("t", start_date=day(18)), paused_on_creation=True))
    ask(leader, RequestKind.BACKFILL, dag_id="d", start="2026-11-15", end="2026-11-16", max_active_runs=2)
    look_back(leader)
    played(leader, {}, {})
    assert came_to(leader) == {15: DONE, 16: DONE}


def test_one_that_is_cleared_is_skipped_again_and_one_that_is_marked_stays_marked() -> None:
    leader = lived(empty("t", end_date=day(15)), catchup=False)
    (run,) = runs(leader)
    named = {"selection": {"dag_id": "d", "run_ids": [run.key.run_id]}}
    assert ask(leader, RequestKind.CLEAR, **named).ok
    played(leader, {}, {})
    assert leader.task(run.key, "t").state is SKIPPED
    assert ask(leader, RequestKind.MARK, **named, state="success").ok
    assert leader.task(run.key, "t").state is DONE


def test_depending_on_the_past_it_is_passed_by_like_any_that_was_skipped() -> None:
    leader = lived(empty("t", start_date=day(17), depends_on_past=True))
    look_back(leader)
    played(leader, {}, {})
    assert came_to(leader) == {15: SKIPPED, 16: SKIPPED, 17: DONE, 18: DONE, 19: DONE}
