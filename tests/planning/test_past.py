"""Tasks that depend on the run before their own: they wait for it, and for nothing else of the past."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planning_engine import Fate, FatefulEngine
from planning_past import ask, look_back
from planning_sim import NOW, Leader, container, dag, empty, played

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.changes import LookBack, PinImages, Prepare
from orchestrator.planning.events import Tick
from orchestrator.planning.explain import Question, explain
from orchestrator.planning.rows import RequestKind
from orchestrator.planning.rules import ParentCounts, Verdict, judge
from orchestrator.spec.dag import CronSchedule, DagSpec, ScheduleMode, TaskSpec, Teardown
from orchestrator.states import RunState, TaskState

DAY = timedelta(days=1)
MIDNIGHT = NOW - timedelta(hours=12)
PASSES = (TaskState.SUCCESS, TaskState.SKIPPED)


def daily(*tasks: TaskSpec, runs: int = 3, **arguments: Any) -> DagSpec:
    """A DAG that has had so many intervals."""
    schedule = CronSchedule(expressions=("0 0 * * *",), mode=ScheduleMode.INTERVAL)
    start = MIDNIGHT - runs * DAY
    return dag(*tasks, schedule=schedule, start_date=start, catchup=True, **arguments)


def runs(leader: Leader) -> list[RunKey]:
    """The runs that were not asked for, in order."""
    found = [run for run in leader.rows["runs"].values() if run.run_type != "manual"]
    return [run.key for run in sorted(found, key=lambda run: run.interval.start)]


def staged(*tasks: TaskSpec, number: int = 3, **arguments: Any) -> tuple[Leader, list[RunKey]]:
    leader = Leader()
    leader.parse(daily(*tasks, runs=number, **arguments))
    look_back(leader)
    return leader, runs(leader)


def why(leader: Leader, run: RunKey, task_id: str = "t") -> str:
    question = Question(dag_id=run.dag_id, run_id=run.run_id, task_id=task_id)
    told = explain(leader.world, question, leader.present).reason
    assert told is not None
    return f"{told.code}: {told.text}"


def past(task_id: str = "t", *upstream: str, **arguments: Any) -> TaskSpec:
    return container(task_id, *upstream, depends_on_past=True, **arguments)


def states(leader: Leader, task_id: str = "t") -> list[TaskState]:
    return [leader.task(run, task_id).state for run in runs(leader)]


W, Q, S, F = TaskState.WAITING, TaskState.QUEUED, TaskState.SUCCESS, TaskState.FAILED


def end(leader: Leader, code: int = 0) -> None:
    """Let the one task that may run end."""
    (launch,) = leader.prepare_all()
    leader.exit(launch, code)


def test_one_run_after_the_other() -> None:
    leader, (first, second, third) = staged(past())
    assert states(leader) == [Q, W, W]
    assert why(leader, second) == (
        f"depends_on_past: it depends on t in the run {first.run_id} before its own, which is queued"
    )
    end(leader)
    assert states(leader) == [S, Q, W]
    end(leader)
    end(leader)
    assert [leader.run(run).state for run in (first, second, third)] == [RunState.SUCCESS] * 3
    assert leader.take(LookBack) == []


def test_before_anything_is_known_it_says_that_it_looks() -> None:
    leader = Leader()
    leader.parse(daily(past()))
    assert why(leader, runs(leader)[1]).endswith("which is being looked up")
    assert len(leader.take(LookBack)) == 3, "a run asks once"


def test_a_skip_lets_pass_and_a_failure_does_not() -> None:
    leader, (_, _, third) = staged(past(skip_on_exit_code=(99,)))
    end(leader, 99)
    end(leader, 1)
    assert states(leader) == [TaskState.SKIPPED, F, W]
    assert why(leader, third).endswith("which is failed")
    assert leader.prepare_all() == []


@pytest.mark.parametrize("restarted", [False, True])
def test_what_was_made_good_lets_pass(*, restarted: bool) -> None:
    for kind, more in ((RequestKind.MARK, {"state": "success"}), (RequestKind.CLEAR, {})):
        leader, (first, _, _) = staged(past())
        end(leader, 1)
        assert leader.run(first).state is RunState.FAILED
        if restarted:
            leader.restart()
        selection = {"dag_id": "d", "run_ids": [first.run_id]}
        assert ask(leader, kind, selection=selection, **more).ok
        look_back(leader)
        if kind is RequestKind.CLEAR:
            assert states(leader) == [Q, W, W]
            end(leader)
        assert states(leader) == [S, Q, W]


def test_a_restart_asks_again() -> None:
    leader, _ = staged(past())
    leader.restart()
    assert {effect.asker for effect in leader.effects if isinstance(effect, LookBack)} == set(runs(leader)[1:])
    look_back(leader)
    played_past(leader)
    assert states(leader) == [S, S, S]


def played_past(leader: Leader) -> None:
    while any(isinstance(each, LookBack | PinImages | Prepare) for each in leader.effects):
        look_back(leader)
        played(leader, {}, {})


def test_a_task_that_the_run_before_did_not_have_is_free() -> None:
    leader, _ = staged(container("old"), number=1)
    played(leader, {}, {"old": 1})
    leader.parse(daily(container("old"), past("t"), runs=1))
    leader.wait(DAY.total_seconds())
    look_back(leader)
    assert leader.task(runs(leader)[1], "t").state is Q


def test_manual_runs_neither_wait_nor_are_waited_for() -> None:
    leader, _ = staged(past(), number=2)
    by_hand = leader.trigger(logical_date=(MIDNIGHT - 2 * DAY).isoformat())
    assert leader.task(by_hand, "t").state is Q
    for launch in leader.prepare_all():
        leader.exit(launch, 1 if launch.attempt.key.task.run == by_hand else 0)
    look_back(leader)
    assert states(leader) == [S, Q]


def test_with_downstream_its_children_count_as_well() -> None:
    tasks = (container("t", wait_for_downstream=True), container("child", "t"), empty("grandchild", "child"))
    leader, (first, second, _) = staged(*tasks)
    end(leader)
    assert states(leader) == [S, W, W]
    assert why(leader, second).startswith("depends_on_past: it depends on child in the run")
    end(leader)
    assert leader.run(first).state is RunState.SUCCESS
    assert states(leader) == [S, Q, W]


def test_what_the_scheduler_does_itself_waits_as_well() -> None:
    leader, found = staged(container("work"), empty("t", depends_on_past=True), empty("after", "t"))
    assert states(leader) == [S, S, S]
    assert [leader.run(run).state for run in found] == [RunState.RUNNING] * 3


def test_a_teardown_waits_for_no_other_run() -> None:
    leader, (first, second, _) = staged(
        container("up", setup=True),
        container("t", "up", depends_on_past=True),
        container("drop", "up", "t", teardown=Teardown(setups=("up",)), depends_on_past=True),
    )
    while launches := leader.prepare_all():
        for launch in launches:
            leader.exit(launch, 1 if launch.attempt.key.task == TaskKey("d", first.run_id, "t") else 0)
    leader.ask_cancel(second)
    played(leader, {}, {})
    assert leader.task(second, "drop").state is TaskState.SUCCESS
    assert leader.run(second).state is RunState.FAILED


def test_a_run_of_nothing_but_the_past_ends_with_it() -> None:
    leader, found = staged(empty("t", depends_on_past=True))
    assert [leader.run(run).state for run in found] == [RunState.SUCCESS] * 3


def test_a_run_that_was_cancelled_before_it_began_is_no_hindrance() -> None:
    leader, _ = staged(past(), max_active_runs=1, number=1)
    leader.wait(DAY.total_seconds())
    leader.wait(DAY.total_seconds())
    first, second, *_ = runs(leader)
    assert leader.run(second).state is RunState.QUEUED
    leader.ask_cancel(second)
    end(leader)
    leader.turn(Tick())
    look_back(leader)
    third = runs(leader)[2]
    assert leader.run(first).state is RunState.SUCCESS
    assert leader.task(third, "t").state is Q


def naive(spec: DagSpec, codes: list[dict[str, int]]) -> list[dict[str, TaskState]]:
    """How each task of each run ends, by the words of the rule."""
    found: list[dict[str, TaskState]] = []
    for fates in codes:
        now: dict[str, TaskState] = {}
        for task in spec.tasks:
            parents = ParentCounts(total=len(task.upstream))
            for parent in task.upstream:
                if now[parent].final:
                    parents = parents.having(now[parent])
            verdict = judge(task.trigger_rule, parents)
            children = [each.task_id for each in spec.tasks if task.task_id in each.upstream]
            wanted = [task.task_id, *(children if task.wait_for_downstream else [])]
            looks = task.depends_on_past or task.wait_for_downstream
            if verdict is not Verdict.READY:
                now[task.task_id] = TaskState(verdict.value)
            elif looks and found and not all(found[-1][each] in PASSES for each in wanted):
                now[task.task_id] = W
            else:
                now[task.task_id] = {0: S, 1: F, 99: TaskState.SKIPPED}[fates[task.task_id]]
        found.append(now)
    return found


class ByRun(FatefulEngine):
    """Fates that differ by run."""

    def __init__(self, leader: Leader, codes: dict[RunKey, dict[str, int]], random: Random) -> None:
        super().__init__(leader, {}, random)
        self.codes = codes

    def _fate(self, task: Any) -> Fate:
        return {0: Fate.SUCCESS, 1: Fate.FAILURE, 99: Fate.SKIP}[self.codes[task.key.run][task.key.task_id]]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data(), random=st.randoms(use_true_random=True))
def test_in_whatever_order_things_happen_the_past_decides(data: st.DataObject, random: Random) -> None:
    number = data.draw(st.integers(1, 4), label="tasks")
    tasks = [
        container(
            f"t{place}",
            *(data.draw(st.lists(st.sampled_from([f"t{n}" for n in range(place)]), unique=True)) if place else []),
            depends_on_past=data.draw(st.booleans()),
            wait_for_downstream=data.draw(st.booleans()),
            skip_on_exit_code=(99,),
        )
        for place in range(number)
    ]
    spec = daily(*tasks, runs=4, max_active_runs=9)
    codes = [{task.task_id: data.draw(st.sampled_from([0, 0, 0, 0, 1, 99])) for task in tasks} for _ in range(4)]
    leader = Leader()
    leader.parse(spec)
    found = runs(leader)
    engine = ByRun(leader, dict(zip(found, codes, strict=True)), random)
    until_nothing_happens(engine)
    assert [leader.states(run) for run in found] == naive(spec, codes)


def until_nothing_happens(engine: FatefulEngine) -> None:
    """The schedule goes on for ever, so time stands still."""
    for _ in range(500):
        engine._answer_effects()
        if not engine.told:
            return
        engine._turn()
    raise AssertionError("it never ended")
