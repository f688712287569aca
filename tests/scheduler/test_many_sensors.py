"""Forty sensors that look as often as they can, in a pool of two, and everything else that wants into it."""

from datetime import timedelta

from scheduler_stage import Stage, dag, task

from orchestrator.planning.rows import Pool, RequestKind
from orchestrator.spec.dag import SensorSpec, TaskSpec
from orchestrator.states import RunState, TaskState
from orchestrator.testing.programs import Program

A_MOMENT = timedelta(milliseconds=1)
NAMES = [f"look{number}" for number in range(40)]


def sensor(task_id: str, **fields: object) -> TaskSpec:
    return task(task_id, sensor=SensorSpec(poke_interval=A_MOMENT), pool="two", priority_weight=9, **fields)


def test_they_keep_nobody_out_and_nobody_keeps_them_out(stage: Stage) -> None:
    looks = dict.fromkeys(NAMES, 75)
    for name in NAMES:
        stage.script.programs[name] = lambda name=name: Program(exit_code=looks[name])  # type: ignore[misc]
    stage.begin()
    request = stage.ask(RequestKind.SET_POOL, name="two", slots=2)
    stage.heard.wait_for(lambda: stage.store.answer(request.id) is not None, "the pool")
    assert stage.store.pools() == (Pool(name="two", slots=2),)
    waiting = stage.trigger(dag(*map(sensor, NAMES)))
    stage.heard.wait_for(lambda: all(stage.ends(name) for name in NAMES), "each to have looked", patience=60)
    chain = [task("a", pool="two"), task("b", "a", pool="two"), task("c", "b", pool="two")]
    done = stage.wait(stage.trigger(dag(*chain, dag_id="e")))
    assert done.run.state is RunState.SUCCESS
    before = {name: stage.ends(name) for name in NAMES}
    stage.heard.wait_for(
        lambda: all(stage.ends(name) > before[name] for name in NAMES), "each to look again", patience=60
    )
    assert stage.view(waiting).run.state is RunState.RUNNING
    looks.update(dict.fromkeys(NAMES, 0))
    assert {each.state for each in stage.wait(waiting).tasks} == {TaskState.SUCCESS}
