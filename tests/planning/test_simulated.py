"""Random DAGs with random fates, told in random orders, over restarts: what must always hold, holds; and how
each task ends depends on the fates only."""

from collections.abc import Sequence
from datetime import timedelta
from random import Random

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planning_engine import Fate, FatefulEngine
from planning_sim import SETTINGS, Leader, container, dag, empty
from test_rules import naive

from orchestrator.planning.rows import Pool, RequestKind
from orchestrator.spec.dag import DagSpec, RetryPolicy, TaskKind, TaskSpec
from orchestrator.states import RunState, TaskState, TriggerRule

FATES = st.lists(st.sampled_from([Fate.SUCCESS] * 5 + [Fate.FAILURE] * 2 + list(Fate)), min_size=1, max_size=4)


@st.composite
def tasks(draw: st.DrawFn, place: int) -> TaskSpec:
    upstream = (
        draw(st.lists(st.sampled_from([f"t{n}" for n in range(place)]), unique=True, max_size=3)) if place else []
    )
    rule = draw(st.sampled_from([TriggerRule.ALL_SUCCESS] * 6 + list(TriggerRule)))
    if draw(st.integers(0, 5)) == 0:
        return empty(f"t{place}", *upstream, trigger_rule=rule)
    return container(
        f"t{place}",
        *upstream,
        trigger_rule=rule,
        retry=RetryPolicy(
            retries=draw(st.integers(0, 2)),
            delay=timedelta(seconds=draw(st.sampled_from([0, 30]))),
            infrastructure_retries=draw(st.integers(0, 2)),
            rerun_lost=draw(st.sampled_from([None, True, False])),
        ),
        skip_on_exit_code=(99,),
        priority_weight=draw(st.integers(1, 3)),
        pool=draw(st.sampled_from(["default_pool"] * 4 + ["small"] * 4 + ["nowhere"])),
        pool_slots=draw(st.integers(1, 2)),
        max_active_tis_per_dag=draw(st.sampled_from([None, None, 1])),
        max_active_tis_per_dagrun=draw(st.sampled_from([None, None, 1])),
    )


@st.composite
def dags(draw: st.DrawFn) -> DagSpec:
    number = draw(st.integers(1, 7))
    return dag(
        *[draw(tasks(place)) for place in range(number)],
        max_active_tasks=draw(st.integers(1, 4)),
        max_active_runs=draw(st.integers(1, 2)),
    )


def ends(task: TaskSpec, fates: Sequence[Fate]) -> TaskState:
    """How a task ends that is ready, by the words of the retry rules."""
    if task.kind is TaskKind.EMPTY:
        return TaskState.SUCCESS
    fates = [Fate.NO_RENDER] if task.pool == "nowhere" else fates
    failures = losses = 0
    reruns = task.retry.retries > 0 if task.retry.rerun_lost is None else task.retry.rerun_lost
    while True:
        match fates[min(failures + losses, len(fates) - 1)]:
            case Fate.SUCCESS:
                return TaskState.SUCCESS
            case Fate.SKIP:
                return TaskState.SKIPPED
            case Fate.NO_RENDER:
                return TaskState.FAILED
            case Fate.FAILURE | Fate.REFUSED:
                failures += 1
                if failures > task.retry.retries:
                    return TaskState.FAILED
            case Fate.LOST_BEFORE | Fate.LOST_AFTER | Fate.STOPPED as fate:
                losses += 1
                if losses > task.retry.infrastructure_retries or (fate is not Fate.LOST_BEFORE and not reruns):
                    return TaskState.FAILED


def expected(spec: DagSpec, fates: dict[str, list[Fate]]) -> dict[str, TaskState]:
    states: dict[str, TaskState] = {}
    for task in spec.tasks:
        verdict = naive(task.trigger_rule, [states[parent] for parent in task.upstream])
        states[task.task_id] = (
            ends(task, fates[task.task_id]) if verdict.value == "ready" else TaskState(verdict.value)
        )
    return states


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    spec=dags(),
    data=st.data(),
    runs=st.integers(1, 3),
    parallelism=st.integers(1, 3),
    random=st.randoms(use_true_random=True),
)
def test_final_states_follow_from_the_fates_alone(
    spec: DagSpec, data: st.DataObject, runs: int, parallelism: int, random: Random
) -> None:
    fates = {task.task_id: data.draw(FATES, label=task.task_id) for task in spec.tasks}
    leader = Leader(msgspec.structs.replace(SETTINGS, parallelism=parallelism), pools=[Pool(name="small", slots=2)])
    leader.parse(spec)
    keys = [leader.trigger() for _ in range(runs)]
    FatefulEngine(leader, fates, random).run_to_end()
    wanted = expected(spec, fates)
    parents = {parent for task in spec.tasks for parent in task.upstream}
    bad = {TaskState.FAILED, TaskState.UPSTREAM_FAILED}
    fails = any(wanted[task.task_id] in bad for task in spec.tasks if task.task_id not in parents)
    for key in keys:
        assert leader.states(key) == wanted
        assert leader.run(key).state is (RunState.FAILED if fails else RunState.SUCCESS)
        assert (leader.run(key).reason is not None) == fails
    assert not list(leader.world.runs.items())
    assert not list(leader.world.tries.items())
    assert not list(leader.world.tasks.items())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(spec=dags(), data=st.data(), random=st.randoms(use_true_random=True), after=st.integers(0, 12))
def test_a_run_cancelled_at_any_moment_fails_and_leaves_nothing_open(
    spec: DagSpec, data: st.DataObject, random: Random, after: int
) -> None:
    fates = {task.task_id: data.draw(FATES, label=task.task_id) for task in spec.tasks}
    leader = Leader(pools=[Pool(name="small", slots=2)])
    leader.parse(spec)
    key = leader.trigger()
    engine = FatefulEngine(leader, fates, random)
    for _ in range(after):
        engine._answer_effects()
        if engine.told or engine._time_passes():
            engine._turn()
    ended = leader.run(key).state.final
    answer = leader.ask(RequestKind.CANCEL, dag_id="d", run_id=key.run_id)
    assert answer.ok is not ended
    intended = sum(leader.launched.values())
    engine.run_to_end()
    assert sum(leader.launched.values()) == intended, "nothing new starts in a cancelled run"
    assert leader.run(key).state.final
    assert ended or leader.run(key).state is RunState.FAILED
    assert all(state.final for state in leader.states(key).values())
    assert all(attempt.outcome is not None for attempt in leader.rows["tries"].values())
