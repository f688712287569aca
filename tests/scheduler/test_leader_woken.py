"""A leader that stands still at one instant, until another one leads and has gone on, and then wakes up: it starts
nothing and writes nothing, touches no container that the other one made, and ends (invariants I1, I3)."""

import msgspec
import pytest
from scheduler_stage import SOON, Running, Stage, dag, task, with_files

from orchestrator.errors import FencedError
from orchestrator.ids import EPOCH_LABEL, Epoch
from orchestrator.spec.container import ContainerState
from orchestrator.states import TaskState
from orchestrator.tasklogs.store import FileLogStore
from orchestrator.testing.lives import Life
from orchestrator.testing.programs import Program, says

SUCCESS, RUNNING = TaskState.SUCCESS, TaskState.RUNNING
_VERBS = ("create", "attach_logs", "put_files", "epoch", "start")


def begin(stage: Stage, life: Life | None = None) -> Running:
    """One that leads from now on and owns the logs as long as it does."""
    logs = stage.logs
    assert isinstance(logs, FileLogStore)
    epoch = Epoch(stage.store.epoch() + 1)
    stage.logs = FileLogStore(logs._folder, lambda: stage.store.epoch() == epoch)
    return stage.begin(life)


def is_fenced(running: Running) -> None:
    running.scheduler.wake()
    running.thread.join(SOON)
    assert [type(error) for error in running.error] == [FencedError]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("verb", _VERBS)
def test_who_wakes_up_in_a_launch_starts_nothing_once_the_other_one_is_done(
    stage: Stage, verb: str, *, after: bool
) -> None:
    stage.script.programs = {"a": says("the only output\n")}
    life = Life()
    moment = life.at(verb, after_effect=after)
    first = begin(stage, life)
    run = stage.trigger(dag(task("a", container=with_files())))
    assert moment.reached.wait(SOON)
    second = begin(stage)
    view = stage.wait(run)
    moment.proceed.set()
    is_fenced(first)
    assert second.error == []
    for left in stage.containers("a"):  # one that it made after the other one was done
        assert left.state is ContainerState.CREATED
        stage.engine.remove(left.id)
    stage.check_end(view, {"a": SUCCESS})
    assert stage.log(view.tries[0]) == b"the only output\n"


@pytest.mark.parametrize("verb", ["attach_logs", "put_files", "epoch", "start"])
def test_who_wakes_up_before_its_create_leaves_the_other_one_s_container_alone(stage: Stage, verb: str) -> None:
    life, other = Life(), Life()
    moment = life.at("create")
    first = begin(stage, life)
    run = stage.trigger(dag(task("a", container=with_files())))
    assert moment.reached.wait(SOON)
    later = other.at(verb)
    second = begin(stage, other)
    assert later.reached.wait(SOON)
    container = stage.container("a")
    assert container.spec.labels[EPOCH_LABEL] == "2"
    moment.proceed.set()
    is_fenced(first)
    assert stage.container("a").id == container.id
    later.proceed.set()
    stage.check_end(stage.wait(run), {"a": SUCCESS})
    assert stage.creations("a") == 1
    assert second.error == []


def test_a_container_of_a_later_epoch_is_ours_where_the_database_was_put_back(stage: Stage) -> None:
    """As from a copy: it has forgotten that leadership, and nobody else leads."""
    life = Life()
    moment = life.at("create", after_effect=True)
    first = stage.begin(life)
    run = stage.trigger(dag(task("a")))
    assert moment.reached.wait(SOON)
    first.kill()
    made = stage.container("a")
    stage.engine.remove(made.id)
    labels = {**made.spec.labels, EPOCH_LABEL: "99"}
    stage.engine.create(msgspec.structs.replace(made.spec, labels=labels))
    stage.begin()
    stage.check_end(stage.wait(run), {"a": SUCCESS})


@pytest.mark.parametrize(("verb", "after"), [("read_file", False), ("write", False), ("write", True)])
def test_who_wakes_up_at_the_end_of_a_try_tells_nothing_of_it(stage: Stage, verb: str, *, after: bool) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    life = Life()
    first = begin(stage, life)
    run = stage.trigger(dag(task("a"), task("b", "a")))
    stage.wait_state(run, "a", RUNNING)
    moment = life.at(verb, after_effect=after)
    stage.engine.finish(stage.container("a").id)
    assert moment.reached.wait(SOON)
    second = begin(stage)
    view = stage.wait(run)
    moment.proceed.set()
    is_fenced(first)
    assert second.error == []
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    assert stage.view(run) == view


def test_who_is_told_that_it_is_fenced_ends(stage: Stage) -> None:
    first = stage.begin()
    stage.check_running(dag(task("a")))
    first.scheduler.fenced()
    is_fenced(first)
