"""Limits and the order of admission."""

from datetime import timedelta

import msgspec
from planning_sim import SETTINGS, Leader, container, dag

from orchestrator.planning.changes import Launch
from orchestrator.planning.explain import explain_task
from orchestrator.planning.rows import Pool
from orchestrator.spec.dag import CronSchedule, WeightRule
from orchestrator.states import ReasonCode, RunState, TaskState


def order(launches: list[Launch]) -> list[str]:
    return [launch.attempt.key.task.task_id for launch in launches]


def one_slot(**arguments: object) -> Leader:
    return Leader(msgspec.structs.replace(SETTINGS, parallelism=1), **arguments)


def in_turn(leader: Leader) -> list[str]:
    """Task ids in the order they get the one slot."""
    launches = leader.prepare_all()
    seen = []
    while launches:
        seen += order(launches)
        for launch in launches:
            leader.exit(launch)
        launches = leader.take(Launch) + leader.prepare_all()
    return seen


def why(leader: Leader, key: object, task_id: str) -> ReasonCode:
    reason = explain_task(leader.world, leader.task(key, task_id).key, leader.present)
    assert reason is not None
    return reason.code


def test_what_much_depends_on_goes_first() -> None:
    leader = one_slot()
    leader.parse(dag(container("alone"), container("first"), container("then", "first"), container("last", "then")))
    leader.trigger()
    assert in_turn(leader)[0] == "first"


def test_weight_rules_count_each_relative_once() -> None:
    tasks = [
        container("a", priority_weight=1),
        container("b", "a", priority_weight=10),
        container("c", "a", priority_weight=100),
        container("d", "b", "c", priority_weight=1000),
    ]
    leader = Leader()
    leader.parse(dag(*tasks))
    assert leader.world.current("d").priority == {"a": 1111, "b": 1010, "c": 1100, "d": 1000}
    leader.parse(dag(*[msgspec.structs.replace(task, weight_rule=WeightRule.UPSTREAM) for task in tasks]))
    assert leader.world.current("d").priority == {"a": 1, "b": 11, "c": 101, "d": 1111}
    leader.parse(dag(*[msgspec.structs.replace(task, weight_rule=WeightRule.ABSOLUTE) for task in tasks]))
    assert leader.world.current("d").priority == {"a": 1, "b": 10, "c": 100, "d": 1000}


def test_of_equals_the_earlier_logical_date_goes_first_then_the_order_of_definition() -> None:
    leader = one_slot()
    leader.parse(
        dag(
            container("y"),
            container("x"),
            schedule=CronSchedule(expressions=("0 0 * * *",)),
            paused_on_creation=True,
        )
    )
    late = leader.trigger(logical_date="2026-05-02")
    leader.now += timedelta(seconds=1)
    early = leader.trigger(logical_date="2026-05-01")
    launches, seen = leader.prepare_all(), []
    while launches:
        (launch,) = launches
        seen.append((launch.attempt.key.task.run, launch.attempt.key.task.task_id))
        leader.exit(launch)
        launches = leader.take(Launch)
    assert seen == [(early, "y"), (early, "x"), (late, "y"), (late, "x")]


def test_the_first_binding_limit_is_told() -> None:
    leader = Leader(msgspec.structs.replace(SETTINGS, parallelism=3), pools=[Pool(name="one", slots=1)])
    leader.parse(dag(container("a"), container("b"), max_active_tasks=1))
    key = leader.trigger()
    assert order(leader.prepare_all()) == ["a"]
    assert why(leader, key, "b") is ReasonCode.MAX_ACTIVE_TASKS
    leader.parse(
        dag(container("c", pool="one"), container("e", pool="one"), container("f"), container("g"), dag_id="p"),
        file="p.py",
    )
    other = leader.trigger("p")
    assert order(leader.prepare_all()) == ["c", "f"]
    assert why(leader, other, "g") is ReasonCode.PARALLELISM
    assert why(leader, other, "e") is ReasonCode.PARALLELISM


def test_a_full_pool_holds_back_its_own_and_no_others() -> None:
    leader = Leader(pools=[Pool(name="two", slots=2)])
    leader.parse(
        dag(
            container("big", pool="two", pool_slots=2, priority_weight=3),
            container("small", pool="two", priority_weight=2),
            container("free"),
        )
    )
    key = leader.trigger()
    big, free = leader.prepare_all()
    assert order([big, free]) == ["big", "free"]
    assert why(leader, key, "small") is ReasonCode.POOL_FULL
    leader.exit(big)
    assert order(leader.take(Launch)) == ["small"]


def test_a_pool_that_is_not_there_or_too_small_fails_its_task_with_words() -> None:
    leader = Leader(pools=[Pool(name="two", slots=2)])
    leader.parse(dag(container("a", pool="nowhere"), container("b", pool="two", pool_slots=3)))
    key = leader.trigger()
    assert not leader.prepare_all()
    assert leader.task(key, "a").reason.code is ReasonCode.POOL_MISSING
    assert "'nowhere'" in leader.task(key, "a").reason.text
    assert "needs 3" in leader.task(key, "b").reason.text
    assert leader.run(key).state is RunState.FAILED


def test_a_run_that_ends_in_admission_lets_the_next_one_start() -> None:
    leader = Leader()
    leader.parse(dag(container("a", pool="nowhere"), max_active_runs=1))
    first, second = leader.trigger(), leader.trigger()
    leader.prepare_all()
    assert leader.run(first).state is RunState.FAILED
    assert leader.run(second).state is RunState.RUNNING


def test_the_default_pool_has_the_settings_slots_until_a_row_says_otherwise() -> None:
    for leader in (
        Leader(msgspec.structs.replace(SETTINGS, default_pool_slots=1)),
        Leader(pools=[Pool(name="default_pool", slots=1)]),
    ):
        leader.parse(dag(container("a"), container("b")))
        leader.trigger()
        assert order(leader.prepare_all()) == ["a"]


def test_a_tasks_own_caps_bind_across_runs_and_within_one() -> None:
    leader = Leader()
    leader.parse(dag(container("a", max_active_tis_per_dag=1), container("b", max_active_tis_per_dagrun=1)))
    one, other = leader.trigger(), leader.trigger()
    assert sorted(order(leader.prepare_all())) == ["a", "b", "b"]
    assert why(leader, other, "a") is ReasonCode.MAX_ACTIVE_TIS
    assert leader.states(one) == {"a": TaskState.STARTING, "b": TaskState.STARTING}
