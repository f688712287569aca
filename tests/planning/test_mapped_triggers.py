"""Mapped tasks without containers: an instance for each element, with a run, a wait or a decision of its own."""

import msgspec
from mapped_dags import each_of, over, result_of
from planning_sim import Leader, container, control, dag, empty
from planning_waits import RESTING, go_on, other, runs_of

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.changes import Prepare
from orchestrator.planning.rows import RequestKind
from orchestrator.spec.control import Approval, Trigger
from orchestrator.spec.dag import TaskSpec
from orchestrator.states import RunState, TaskState

S = TaskState.SUCCESS


def staged(*tasks: TaskSpec) -> tuple[Leader, RunKey]:
    leader = Leader()
    leader.parse(other(), file="other.py")
    leader.parse(dag(*tasks))
    key = leader.trigger()
    go_on(leader)
    return leader, key


def instances(leader: Leader, run: RunKey, task_id: str = "t") -> dict[int, TaskState]:
    found = [(key, task) for key, task in leader.rows["tasks"].items() if key.run == run and key.task_id == task_id]
    return {key.map_index: task.state for key, task in found if task.state is not TaskState.REMOVED}


def test_each_instance_makes_a_run_and_hands_on_which() -> None:
    leader, key = staged(control("t", Trigger(dag_id="other"), map=over(each_of(1, 2, 3))), empty("after", "t"))
    assert instances(leader, key) == {0: S, 1: S, 2: S}
    made = runs_of(leader, "other")
    assert [leader.run(run).triggered_by for run in made] == [TaskKey("d", key.run_id, "t", n) for n in range(3)]
    assert [leader.run(run).actor for run in made] == ["d.t[0]", "d.t[1]", "d.t[2]"]
    results = [msgspec.json.decode(leader.rows["results"][TaskKey("d", key.run_id, "t", n)]) for n in range(3)]
    assert results == [{"dag_id": "other", "run_id": run.run_id} for run in made]
    assert leader.run(key).state is RunState.SUCCESS


def test_each_instance_is_rendered_by_itself() -> None:
    leader = Leader()
    leader.parse(other(), file="other.py")
    leader.parse(dag(control("t", Trigger(dag_id="other"), map=over(each_of(1, 2)))))
    leader.trigger()
    asked = [effect for effect in leader.effects if isinstance(effect, Prepare)]
    assert [effect.task.key.map_index for effect in asked] == [0, 1]


def test_one_that_waits_for_its_run_waits_for_that_alone() -> None:
    waits = control("t", Trigger(dag_id="other", wait=True), map=over(each_of(1, 2)))
    leader, key = staged(waits, empty("after", "t"))
    assert instances(leader, key) == {0: RESTING, 1: RESTING}
    first, second = leader.prepare_all()
    leader.exit(first)
    go_on(leader)
    assert instances(leader, key) == {0: S, 1: RESTING}
    leader.restart()
    leader.exit(second)
    go_on(leader)
    assert instances(leader, key) == {0: S, 1: S}
    assert leader.run(key).state is RunState.SUCCESS


def test_over_the_result_of_a_task_there_are_as_many_as_it_handed_on() -> None:
    mapped = control("t", Trigger(dag_id="other"), "list", map=over(result_of("list")))
    leader, key = staged(container("list"), mapped)
    (launch,) = leader.prepare_all()
    leader.exit(launch, result=b'[{"n": 1}, {"n": 2}]')
    go_on(leader)
    assert instances(leader, key) == {0: S, 1: S}


def test_each_instance_of_a_question_is_decided_by_itself() -> None:
    leader, key = staged(control("t", Approval(prompt="this?"), map=over(each_of("a", "b"))))
    named = {"dag_id": "d", "run_id": key.run_id, "task_id": "t"}
    assert leader.ask(RequestKind.APPROVE, **named, map_index=1, decision="approve").ok
    assert instances(leader, key) == {0: RESTING, 1: S}
    assert leader.ask(RequestKind.APPROVE, **named, map_index=0, decision="reject").ok
    assert instances(leader, key) == {0: TaskState.SKIPPED, 1: S}


def test_a_result_that_its_task_does_not_keep_is_not_kept() -> None:
    leader, key = staged(
        control("t", Trigger(dag_id="other"), push_result=False), control("u", Trigger(dag_id="other"))
    )
    kept = {each.task_id for each in leader.rows["results"] if each.run == key}
    assert kept == {"u"}
