"""What a kill waits for: for nobody else's call to the engine, and not for ever for a log that cannot be stored.
Its room is free once it is stopped (invariant I6)."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from scheduler_stage import SOON, Stage, dag, task

from orchestrator.errors import LogUnavailableError
from orchestrator.ids import RunKey, TryKey
from orchestrator.ports import LogWriter
from orchestrator.settings import EngineSettings, SchedulingSettings
from orchestrator.states import RunState, TaskState
from orchestrator.tasklogs.store import FileLogStore
from orchestrator.testing.manual_clock import ManualClock
from orchestrator.testing.programs import Output, Program

_STAYS = Program(stays=True)


def test_it_is_not_behind_the_start_gate(stage: Stage) -> None:
    stage.settings = stage.with_settings(engine=EngineSettings(launchers=1))
    stage.script.programs = {"a": _STAYS}
    stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", TaskState.RUNNING)
    create = stage.engine.faults.pause("create")
    other = stage.trigger(dag(task("b"), task("c"), dag_id="other"))
    assert create.reached.wait(SOON)  # the only launcher stands there
    stage.cancel(run)
    view = stage.wait(run)
    assert view.run.state is RunState.FAILED
    assert not create.proceed.is_set()
    create.proceed.set()
    assert stage.wait(other).run.state is RunState.SUCCESS
    stage.check_end(view)


def test_a_signal_that_hangs_holds_up_no_other(stage: Stage) -> None:
    stage.script.programs = {"a": _STAYS, "b": _STAYS}
    stage.begin()
    runs = {}
    for name in ("a", "b"):
        runs[name] = stage.trigger(dag(task(name), dag_id=name))
        stage.wait_state(runs[name], name, TaskState.RUNNING)
    hanging = stage.engine.faults.pause("signal")
    stage.cancel(runs["a"])
    assert hanging.reached.wait(SOON)
    stage.cancel(runs["b"])
    assert stage.wait(runs["b"]).run.state is RunState.FAILED
    assert not hanging.proceed.is_set()
    hanging.proceed.set()
    stage.check_end(stage.wait(runs["a"]))


def test_its_slot_is_free_once_it_is_stopped_though_its_container_is_still_there(stage: Stage) -> None:
    stage.settings = stage.with_settings(scheduling=SchedulingSettings(parallelism=1))
    stage.script.programs = {"a": _STAYS}
    stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", TaskState.RUNNING)
    removal = stage.engine.faults.pause("remove")
    stage.cancel(run)
    assert removal.reached.wait(SOON)
    other = stage.wait(stage.trigger(dag(task("b"), dag_id="other")))
    assert other.run.state is RunState.SUCCESS
    assert not removal.proceed.is_set()
    removal.proceed.set()
    stage.check_end(stage.wait(run))


# --- a log that cannot be stored --------------------------------------------------------------------------------


class Writer:
    """A log's writer on a disk that is full, or that hangs."""

    def __init__(self, writer: LogWriter, disk: "Disk") -> None:
        self._writer = writer
        self._disk = disk

    def __getattr__(self, verb: str) -> object:
        self._disk.touch()
        return getattr(self._writer, verb)


class Disk(FileLogStore):
    """It takes what is written, or has no room, or does not answer."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.full = False
        self.answers = threading.Event()
        self.answers.set()

    def touch(self) -> None:
        self.answers.wait()
        if self.full:
            raise LogUnavailableError("no space left on the disk of the logs")

    def writer(self, key: TryKey) -> LogWriter:
        self.touch()
        return Writer(super().writer(key), self)  # type: ignore[return-value]  # all of it by __getattr__

    def ended(self, key: TryKey, part: int = 1) -> bool:
        self.touch()
        return super().ended(key, part)


@pytest.fixture
def disk(still_stage: Stage, tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "logs")
    still_stage.logs = made
    yield made
    made.full = False
    made.answers.set()


def running(stage: Stage) -> RunKey:
    stage.script.programs = {"a": Program(output=(Output(data=b"first\n"),), stays=True)}
    stage.begin()
    run = stage.trigger(dag(task("a", push_result=False)))
    stage.wait_state(run, "a", TaskState.RUNNING)
    return run


def wait_ended(stage: Stage, clock: ManualClock, run: RunKey, state: TaskState) -> None:
    """Until it has ended, while time passes: the last line of a log is waited for for a moment."""

    def ended() -> bool:
        clock.advance(0.1)
        return all(each.state is state for each in stage.store.tasks(run))

    stage.heard.wait_for(ended, f"it to be {state}")


@pytest.mark.parametrize("hangs", [False, True], ids=["full", "hangs"])
def test_a_container_goes_within_ten_minutes_though_its_log_cannot_be_stored(
    still_stage: Stage, clock: ManualClock, disk: Disk, *, hangs: bool
) -> None:
    stage = still_stage
    run = running(stage)
    if hangs:
        disk.answers.clear()
    disk.full = not hangs
    stage.engine.write(stage.container("a").id, b"second\n")
    stage.cancel(run)
    wait_ended(stage, clock, run, TaskState.FAILED)
    for _ in range(8):
        clock.let_pass(60.0)
    assert not stage.container("a").runs  # it is still there
    for _ in range(2):
        clock.let_pass(60.0)
    view = stage.wait(run)
    stage.check_end(view)
    (attempt,) = view.tries
    assert not attempt.log_complete


def test_a_log_that_can_be_stored_again_in_time_is_whole(
    still_stage: Stage, clock: ManualClock, disk: Disk
) -> None:
    stage = still_stage
    run = running(stage)
    disk.full = True
    stage.engine.write(stage.container("a").id, b"second\n")
    stage.cancel(run)
    wait_ended(stage, clock, run, TaskState.FAILED)
    for _ in range(7):
        clock.let_pass(60.0)
    disk.full = False
    clock.advance(5)
    view = stage.wait(run)
    stage.check_end(view)
    (attempt,) = view.tries
    assert attempt.log_complete
    assert stage.log(attempt) == b"first\nsecond\n"


def test_an_hour_in_which_the_machine_slept_costs_no_log(
    still_stage: Stage, clock: ManualClock, disk: Disk
) -> None:
    stage = still_stage
    run = running(stage)
    disk.full = True
    stage.engine.write(stage.container("a").id, b"second\n")
    stage.cancel(run)
    wait_ended(stage, clock, run, TaskState.FAILED)
    clock.jump(3600)
    for _ in range(2):
        clock.let_pass(60.0)
    assert not stage.container("a").runs  # it is still there
    disk.full = False
    clock.advance(5)
    view = stage.wait(run)
    stage.check_end(view)
    assert stage.log(view.tries[0]) == b"first\nsecond\n"


def test_nobody_but_the_stopped_loses_a_log_to_the_clock(
    still_stage: Stage, clock: ManualClock, disk: Disk
) -> None:
    stage = still_stage
    run = running(stage)
    disk.full = True
    stage.engine.write(stage.container("a").id, b"second\n")
    stage.engine.finish(stage.container("a").id)
    stage.wait_state(run, "a", TaskState.SUCCESS)
    for _ in range(30):
        clock.let_pass(60.0)
    assert not stage.container("a").runs  # it is still there
    disk.full = False
    clock.advance(5)
    view = stage.wait(run)
    stage.check_end(view)
    assert stage.log(view.tries[0]) == b"first\nsecond\n"
