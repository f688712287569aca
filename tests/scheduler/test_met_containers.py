"""Containers that an earlier life, or somebody else, left with our names or labels (invariants I1, I13)."""

import msgspec
import pytest
from scheduler_stage import DEPLOYMENT, SOON, Stage, dag, task, try_container

from orchestrator.errors import EngineTimeoutError
from orchestrator.states import ReasonCode, TaskState
from orchestrator.testing.lives import Life
from orchestrator.testing.programs import Program

SUCCESS, FAILED, RUNNING = TaskState.SUCCESS, TaskState.FAILED, TaskState.RUNNING


def test_a_container_of_an_older_life_of_the_name_is_removed(stage: Stage) -> None:
    """As after a database was put back from a copy."""
    life = Life()
    moment = life.at("create")
    first = stage.begin(life)
    run = stage.trigger(dag(task("a")))
    assert moment.reached.wait(SOON)
    first.kill()
    stage.script.programs = {"a": [Program(stays=True)]}
    old = try_container(stage.view(run).tries[0], try_id="f" * 16)
    stage.engine.start(stage.engine.create(old))
    stage.script.programs = {}
    stage.begin()
    view = stage.wait(run)
    assert view.tasks[0].state is SUCCESS
    assert stage.engine.containers == ()


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"orchestrator.deployment": "ffffffff"},
        {"orchestrator.deployment": DEPLOYMENT, "orchestrator.kind": "build"},
    ],
)
def test_a_foreign_container_of_the_name_is_left_alone(stage: Stage, labels: dict[str, str]) -> None:
    life = Life()
    moment = life.at("create")
    first = stage.begin(life)
    run = stage.trigger(dag(task("a")))
    assert moment.reached.wait(SOON)
    first.kill()
    ours = try_container(stage.view(run).tries[0])
    foreign = stage.engine.create(msgspec.structs.replace(ours, labels=labels))
    stage.begin()
    view = stage.wait(run)
    assert view.tasks[0].state is FAILED
    assert view.tries[0].reason is not None
    assert view.tries[0].reason.code is ReasonCode.CREATE_REFUSED
    assert "docker rm" in view.tries[0].reason.text
    assert [each.id for each in stage.engine.containers] == [foreign]


def test_a_container_that_carries_our_labels_under_another_name_is_left_alone(stage: Stage) -> None:
    """As one that was made from a copy of a try's container."""
    stage.script.programs = {"a": Program(stays=True)}
    first = stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", RUNNING)
    first.kill()
    attempt = stage.view(run).tries[0]
    copy = stage.engine.create(try_container(attempt, name="copy"))
    stage.engine.start(copy)
    stage.begin()
    stage.heard.wait_for(lambda: stage.view(run).tries[0].adopted == 1, "the adoption")
    stage.engine.finish(copy, exit_code=7)
    stage.check_running(dag(task("y"), dag_id="meanwhile"))
    assert stage.store.tasks(run)[0].state is RUNNING
    stage.engine.finish(stage.engine.container(attempt.spec.name).id)
    view = stage.wait(run)
    assert view.tasks[0].state is SUCCESS
    assert [each.id for each in stage.engine.containers] == [copy]
    again = stage.lives[-1]
    again.end()
    stage.begin()
    other = stage.wait(stage.trigger(dag(task("z"), dag_id="other")))
    assert other.tasks[0].state is SUCCESS
    assert [each.id for each in stage.engine.containers] == [copy]


# --- leftovers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runs", [False, True])
def test_a_container_of_a_try_that_is_over_is_removed(stage: Stage, *, runs: bool) -> None:
    first = stage.begin()
    run = stage.trigger(dag(task("a")))
    view = stage.wait(run)
    first.end()
    stage.script.programs = {"a": Program(stays=True)}
    left = stage.engine.create(try_container(view.tries[0]))
    if runs:
        stage.engine.start(left)
    unknown = stage.engine.create(try_container(view.tries[0], name="unknown", try_id="e" * 16))
    removal = stage.engine.faults.pause("remove", after_effect=True)
    stage.begin()
    assert removal.reached.wait(SOON)
    removal.proceed.set()
    stage.check_running(dag(task("z"), dag_id="other"))
    assert [each.id for each in stage.engine.containers] == [unknown]


def test_no_log_is_marked_as_whole_for_a_container_that_never_ran_while_the_next_one_does(stage: Stage) -> None:
    """Else a process that comes after this one's death and before the next container's first word reads nothing."""
    stage.script.programs = {"a": Program(stays=True)}
    stage.engine.faults.fail("start", EngineTimeoutError("sent and not answered"))
    stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", RUNNING)
    assert stage.creations("a") == 2
    assert not stage.logs.ended(stage.view(run).tries[0].key)
    stage.engine.finish(stage.container("a").id)
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS})
    assert stage.logs.ended(view.tries[0].key)
