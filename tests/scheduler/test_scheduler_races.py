"""Services that act on one try at the same time, and troubles in any order: nobody does what another has in hand,
and nothing is done twice or never."""

import tempfile
import threading
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scheduler_stage import RESULT, SOON, Stage, dag, staged, task, with_files

from orchestrator.clock import SystemClock
from orchestrator.errors import EngineTimeoutError, EngineUnavailableError, StoreUnavailableError
from orchestrator.planning.changes import Effect, Launch
from orchestrator.planning.world import World
from orchestrator.spec.container import EngineEventKind
from orchestrator.states import ReasonCode, RunState, TaskState
from orchestrator.testing.lives import Life
from orchestrator.testing.programs import Program, says

SUCCESS = TaskState.SUCCESS
_AWAY = StoreUnavailableError("the disk is full")


def look(stage: Stage, times: int = 3) -> None:
    """Have the reconciler look at the engine, each time to the end."""
    for _ in range(times):
        listed = stage.engine.faults.pause("list_ours", after_effect=True)
        stage.scheduler.reconcile()
        assert listed.reached.wait(SOON)
        listed.proceed.set()
    begun = stage.engine.faults.pause("list_ours")
    stage.scheduler.reconcile()
    assert begun.reached.wait(SOON)  # so the one before has ended
    begun.proceed.set()


def test_a_look_at_the_engine_keeps_off_what_is_being_launched(stage: Stage) -> None:
    stage.begin()
    pause = stage.engine.faults.pause("attach_logs")
    run = stage.trigger(dag(task("a")))
    assert pause.reached.wait(SOON)
    look(stage)
    pause.proceed.set()
    stage.check_end(stage.wait(run), {"a": SUCCESS})
    assert stage.creations("a") == 1


def test_a_look_at_the_engine_keeps_off_what_is_being_collected(stage: Stage) -> None:
    stage.script.programs = {"a": Program(files={RESULT: b"[1]"})}
    stage.begin()
    pause = stage.engine.faults.pause("read_file")
    run = stage.trigger(dag(task("a")))
    assert pause.reached.wait(SOON)
    look(stage)
    pause.proceed.set()
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS})
    assert view.results["a"] == [1]
    assert stage.engine.calls.count("read_file") == 1


def test_what_is_being_collected_while_the_world_is_rebuilt_is_collected_once(stage: Stage) -> None:
    stage.script.programs = {"a": Program(files={RESULT: b"[1]"}, output=says("out\n").output)}
    life = Life()
    stage.begin(life)
    pause = stage.engine.faults.pause("read_file")
    run = stage.trigger(dag(task("a")))
    assert pause.reached.wait(SOON)
    life.faults.fail("write", _AWAY, after_effect=True)
    stage.check_running(dag(task("z", push_result=False), dag_id="other"))
    pause.proceed.set()
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS})
    assert stage.engine.calls.count("read_file") == 1
    assert stage.log(view.tries[0]) == b"out\n"


def test_what_is_being_launched_while_the_world_is_rebuilt_is_launched_once(stage: Stage) -> None:
    life = Life()
    stage.begin(life)
    pause = stage.engine.faults.pause("put_files")
    run = stage.trigger(dag(task("a", container=with_files())))
    assert pause.reached.wait(SOON)
    life.faults.fail("write", _AWAY)
    stage.check_running(dag(task("z"), dag_id="other"))
    pause.proceed.set()
    stage.check_end(stage.wait(run), {"a": SUCCESS})
    assert stage.creations("a") == 1


def test_a_run_that_ends_in_the_turn_that_queued_a_task_breaks_nothing(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    life = Life()
    running = stage.begin(life)
    run = stage.trigger(dag(task("a"), task("b", "a")))
    life.faults.fail("load", RuntimeError("there is nothing to recover from"))
    stage.wait_state(run, "a", TaskState.RUNNING)
    turn = life.at("write")
    stage.define(dag(task("z"), dag_id="other"))
    assert turn.reached.wait(SOON)
    stage.engine.finish(stage.container("a").id)
    inbox = running.scheduler._inbox._queue
    stage.heard.wait_for(lambda: inbox.qsize() == 1, "the exit")
    stage.cancel(run)
    turn.proceed.set()
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS, "b": TaskState.FAILED})
    stage.check_running(dag(task("z"), dag_id="other"))
    assert running.error == []


def test_an_effect_that_cannot_be_sent_out_is_sent_out_after_all(stage: Stage) -> None:
    running = stage.begin()
    defects = [RuntimeError("a defect of ours")]
    dispatch = running.scheduler.dispatch

    def break_once(effect: Effect, world: World) -> None:
        if isinstance(effect, Launch) and defects:
            raise defects.pop()
        dispatch(effect, world)

    running.scheduler.dispatch = break_once  # type: ignore[method-assign]  # the loop's way to the services
    stage.check_end(stage.wait(stage.trigger(dag(task("a"), task("b", "a")))), {"a": SUCCESS, "b": SUCCESS})
    assert defects == []


def test_a_refused_launch_is_not_launched_again_before_it_is_recorded(stage: Stage) -> None:
    stage.script.programs = {"a": Program(refused=ReasonCode.COMMAND_MISSING)}
    life = Life()
    stage.begin(life)
    pause = stage.engine.faults.pause("start")
    run = stage.trigger(dag(task("a")))
    assert pause.reached.wait(SOON)
    life.faults.fail("write", _AWAY, times=2)
    pause.proceed.set()
    look(stage)
    view = stage.wait(run)
    stage.check_end(view, {"a": TaskState.FAILED})
    assert stage.creations("a") == 1


_WORDS = (
    *("down", "up", "database", "database after", "look", "wake", "lose die", "lose start", "twice die", "hold"),
    *(
        "release",
        "create",
        "create after",
        "attach_logs",
        "start",
        "start after",
        "read_file",
        "remove after",
        "lose destroy",
    ),
)
_TROUBLES = st.lists(st.sampled_from(_WORDS), max_size=14)


class HastyClock(SystemClock):
    """A clock on which waits take a twentieth of their time."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(min(seconds / 20, threading.TIMEOUT_MAX))


def trouble(stage: Stage, life: Life, word: str) -> None:
    verb, _, rest = word.partition(" ")
    board, scheduler = stage.engine.board, stage.scheduler
    match verb:
        case "down":
            stage.engine.go_down()
        case "up":
            stage.engine.come_up()
        case "database":
            life.faults.fail("write", _AWAY, after_effect=rest == "after")
        case "look":
            scheduler.reconcile()
        case "wake":
            scheduler.wake()
        case "lose":
            board.lose(EngineEventKind(rest))
        case "twice":
            board.duplicate(EngineEventKind(rest))
        case "hold":
            board.hold()
        case "release":
            board.release()
        case _:
            error = EngineTimeoutError("not answered") if rest else EngineUnavailableError("not sent")
            stage.engine.faults.fail(verb, error, after_effect=bool(rest))


@given(first=_TROUBLES, then=_TROUBLES)
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
def test_troubles_in_any_order_are_got_over(first: list[str], then: list[str]) -> None:
    """A run ends, no try is started twice, and what does not succeed is a loss that nobody could rule out."""
    with tempfile.TemporaryDirectory() as folder, staged(Path(folder), HastyClock()) as stage:
        stage.script.programs = dict.fromkeys("abcd", Program(files={RESULT: b"[1]"}, output=says("o\n").output))
        life = Life()
        stage.begin(life)
        run = stage.trigger(dag(task("a", container=with_files()), task("b", "a"), task("c", "a"), task("d", "b")))
        for word in first:
            trouble(stage, life, word)
        stage.heard.wait_for(lambda: bool(stage.view(run).tries), "a first try")
        for word in then:
            trouble(stage, life, word)
        stage.engine.board.release()
        stage.engine.come_up()
        view = stage.wait(run)
        stage.check_end(view)
        lost = [each for each in view.tries if each.outcome is not None and each.outcome != "success"]
        assert {each.reason.code for each in lost if each.reason} <= {ReasonCode.CONTAINER_LOST}
        if not lost:
            assert view.run.state is RunState.SUCCESS
            assert all(view.results[each] == [1] for each in "abcd")
