"""What each service does when something breaks in it: it is logged, nobody else is hurt, and it is tried again."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from scheduler_stage import SOON, Stage, dag, task, with_files

from orchestrator.clock import SystemClock
from orchestrator.errors import EngineUnavailableError, LogUnavailableError
from orchestrator.ids import ContainerId, DeploymentId, TryKey
from orchestrator.ports import Engine, LogWriter
from orchestrator.scheduler.attempts import OpenAttempts
from orchestrator.scheduler.engine_watch import EngineWatch
from orchestrator.scheduler.heartbeat import Beat
from orchestrator.scheduler.reconciler import PERIOD
from orchestrator.spec.container import EngineEvent, EngineEventKind
from orchestrator.states import ReasonCode, TaskState, TriggerRule
from orchestrator.tasklogs.store import FileLogStore
from orchestrator.testing.lives import Life
from orchestrator.testing.manual_clock import ManualClock
from orchestrator.testing.programs import Program, says

SUCCESS, FAILED, RUNNING = TaskState.SUCCESS, TaskState.FAILED, TaskState.RUNNING
_DEFECT = RuntimeError("a defect of ours")


@pytest.mark.parametrize("verb", ["create", "attach_logs", "put_files"])
def test_a_defect_while_launching_fails_its_try_and_leaves_nothing(stage: Stage, verb: str) -> None:
    stage.engine.faults.fail(verb, _DEFECT)
    stage.begin()
    run = stage.trigger(dag(task("a", container=with_files()), task("b", "a", trigger_rule=TriggerRule.ALL_DONE)))
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED, "b": SUCCESS})
    assert view.tries[0].reason is not None
    assert view.tries[0].reason.code is ReasonCode.CREATE_REFUSED
    assert "a defect of ours" in view.tries[0].reason.text


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_defect_at_the_start_has_the_engine_asked_what_happened(stage: Stage, *, after_effect: bool) -> None:
    stage.engine.faults.fail("start", _DEFECT, after_effect=after_effect)
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a"))))
    stage.check_end(view, {"a": SUCCESS})
    assert stage.creations("a") == (1 if after_effect else 2)


def test_a_defect_in_collecting_fails_its_try_and_no_other(stage: Stage) -> None:
    stage.engine.faults.fail("read_file", _DEFECT)
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a"), task("b", "a"), dag_id="one")))
    stage.check_end(view, {"a": FAILED, "b": TaskState.UPSTREAM_FAILED})
    assert view.tries[0].reason is not None
    assert view.tries[0].reason.code is ReasonCode.RESULT_INVALID
    stage.check_running(dag(task("a"), dag_id="other"))


def test_a_defect_in_tidying_is_got_over_at_the_next_look(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.engine.faults.fail("remove", _DEFECT, times=2)
    stage.begin()
    tidier = stage.scheduler._containers._tidier
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", SUCCESS)
    for tried in (1, 2):
        stage.heard.wait_for(lambda n=tried: bool(tidier._broken) and _removals(stage) == n, "the defect")
        clock.let_pass(PERIOD)
    stage.check_end(stage.wait(run), {"a": SUCCESS})


def test_a_defect_in_one_look_at_the_engine_does_not_end_the_looking(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", RUNNING)
    stage.engine.faults.fail("list_ours", _DEFECT)
    stage.engine.go_down()
    stage.engine.finish(stage.container("a").id)
    stage.engine.come_up()
    stage.engine.go_down()
    stage.engine.come_up()
    stage.check_end(stage.wait(run), {"a": SUCCESS})


def test_a_try_that_cannot_be_merged_harms_no_other(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True), "b": Program(stays=True)}
    first = stage.begin()
    run = stage.trigger(dag(task("a"), task("b")))
    for task_id in ("a", "b"):
        stage.wait_state(run, task_id, RUNNING)
    first.kill()
    stage.engine.faults.fail("follow_logs", _DEFECT)
    stage.begin()
    stage.heard.wait_for(lambda: all(each.adopted for each in stage.view(run).tries), "both adoptions")
    for task_id in ("a", "b"):
        stage.engine.finish(stage.container(task_id).id)
    stage.check_end(stage.wait(run), {"a": SUCCESS, "b": SUCCESS})


def test_what_is_tidied_twice_says_so_once_and_its_log_stays_whole(stage: Stage) -> None:
    """As after a recovery from trouble with the database, in which everything is asked for again."""
    stage.script.programs = {"a": says("out\n")}
    life = Life()
    stage.begin(life)
    removed = stage.engine.faults.pause("remove", after_effect=True)
    run = stage.trigger(dag(task("a")))
    assert removed.reached.wait(SOON)
    attempt = stage.view(run).tries[0]
    tidier = stage.scheduler._containers._tidier
    tidier.tidy(attempt)
    removed.proceed.set()
    view = stage.wait(run)
    tidier.tidy(attempt)
    tidier.tidy_broken()
    stage.check_running(dag(task("z"), dag_id="other"))
    stage.check_end(view, {"a": SUCCESS})
    assert stage.log(attempt) == b"out\n"
    assert stage.engine.calls.count("remove") == 2


def _removals(stage: Stage) -> int:
    return stage.engine.calls.count("remove")


class FullDisk(FileLogStore):
    """A log store whose disk is full until it is not."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.full = True
        self.refused = threading.Event()

    def writer(self, key: TryKey) -> LogWriter:
        if self.full:
            self.refused.set()
            raise LogUnavailableError("no space is left on the disk of the logs")
        return super().writer(key)


def test_a_full_disk_is_waited_for_and_costs_no_byte(stage: Stage, tmp_path: Path) -> None:
    disk = stage.logs = FullDisk(tmp_path / "full")
    stage.script.programs = {"a": says("first\nlast\n")}
    stage.begin()
    run = stage.trigger(dag(task("a"), task("b", "a")))
    assert disk.refused.wait(SOON)
    disk.full = False
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    assert view.results["a"] == "last"
    assert stage.log(view.tries[0]) == b"first\nlast\n"


# --- the event stream -----------------------------------------------------------------------------------------


class Streams:
    """An engine of which only event streams are asked; each call gives the next."""

    def __init__(self, *streams: list[EngineEvent | Exception]) -> None:
        self._streams = iter(streams)
        self.asked = 0

    def events(self, deployment: DeploymentId) -> Iterator[EngineEvent]:
        self.asked += 1
        for event in next(self._streams, []):
            if isinstance(event, Exception):
                raise event
            yield event


def watched(*streams: list[EngineEvent | Exception], on_exit: object = None) -> tuple[EngineWatch, list[object]]:
    told: list[object] = []

    def exited(event: EngineEvent) -> None:
        if isinstance(on_exit, Exception):
            raise on_exit
        told.append(event.kind)

    watch = EngineWatch(
        _as_engine(Streams(*streams)),
        DeploymentId("0123abcd"),
        OpenAttempts(),
        post=lambda message: told.append(type(message).__name__),
        on_exit=exited,
        on_gone=lambda event: told.append(event.kind),
        on_silence=lambda: told.append("silence"),
        clock=SystemClock(),
        beat=Beat(),
    )
    return watch, told


def _as_engine(streams: Streams) -> Engine:
    return streams  # type: ignore[return-value]  # nothing else of it is asked


@pytest.mark.parametrize("fault", [EngineUnavailableError("away"), ValueError("not JSON"), UnicodeError("no text")])
def test_a_stream_that_breaks_in_any_way_is_opened_anew(fault: Exception) -> None:
    connected, died = (EngineEvent(kind=kind) for kind in (EngineEventKind.CONNECTED, EngineEventKind.DIE))
    again = threading.Event()
    watch, told = watched([connected, fault], [connected, died])
    watch._on_exit = lambda _event: again.set()
    watch.start()
    assert again.wait(SOON)
    watch.close()
    assert watch.join(SOON)
    assert told[:3] == ["EngineConnected", "silence", "EngineConnected"]


def test_an_event_that_cannot_be_taken_has_the_engine_asked_instead() -> None:
    watch, told = watched([], on_exit=KeyError("a defect of ours"))
    watch._take_safely(EngineEvent(kind=EngineEventKind.DIE, container_id="c"))
    watch._take_safely(EngineEvent(kind=EngineEventKind.DESTROY, container_id=ContainerId("c")))
    assert told == ["EngineConnected", EngineEventKind.DESTROY]
