"""TERM ends a scheduler within 5 s, whatever its services are doing; its containers keep running."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from scheduler_stage import SOON, Stage, dag, task, templated

from orchestrator.clock import SystemClock
from orchestrator.errors import StoreUnavailableError
from orchestrator.scheduler import scheduler
from orchestrator.states import TaskState
from orchestrator.testing.lives import Life
from orchestrator.testing.programs import Program

_LIMIT = 5.0
_HERE = Path(__file__).parent


def quit_takes(stage: Stage) -> float:
    """Seconds from the wish to the end of the loop's thread."""
    clock = SystemClock()
    running = stage.lives[-1]
    begun = clock.monotonic()
    running.scheduler.quit()
    running.thread.join(SOON)
    assert not running.thread.is_alive()
    assert running.error == []
    return clock.monotonic() - begun


def ours() -> set[str]:
    """Threads of a scheduler that are there."""
    return {thread.name for thread in threading.enumerate() if thread is not threading.main_thread()}


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hangs is given up sooner; one test below shows the real patience."""
    monkeypatch.setattr(scheduler, "_CLOSE_SECONDS", 0.1)


def test_an_idle_scheduler_leaves_no_thread(stage: Stage) -> None:
    before = ours()
    stage.begin()
    stage.check_running(dag(task("a"), task("b", "a")))
    assert quit_takes(stage) < _LIMIT
    assert ours() <= before


def test_what_runs_is_left_running(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", TaskState.RUNNING)
    assert quit_takes(stage) < _LIMIT
    assert stage.container("a").runs
    stage.begin()
    stage.engine.finish(stage.container("a").id)
    stage.check_end(stage.wait(run), {"a": TaskState.SUCCESS})


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("verb", ["create", "start", "attach_logs", "read_file", "remove", "list_ours", "inspect"])
def test_a_call_that_hangs_in_the_engine_holds_nobody_up(stage: Stage, verb: str) -> None:
    pause = stage.engine.faults.pause(verb)
    stage.script.programs = {"a": Program(exit_code=1)} if verb == "inspect" else {}
    stage.begin()
    run = stage.trigger(dag(task("a")))
    assert pause.reached.wait(SOON)
    assert quit_takes(stage) < _LIMIT
    pause.proceed.set()
    stage.begin()
    view = stage.wait(run)
    assert stage.engine.containers == ()
    assert view.tasks[0].state is (TaskState.FAILED if verb == "inspect" else TaskState.SUCCESS)
    assert set(stage.starts().values()) == {1}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("hang", ["ensure", "pin", "render"])
def test_an_image_or_a_rendering_that_takes_long_holds_nobody_up(stage: Stage, hang: str) -> None:
    faults = stage.authoring.faults if hang == "render" else stage.images.faults
    pause = faults.pause(hang)
    stage.begin()
    stage.trigger(dag(task("a", container=templated("echo {{ ds }}"))))
    assert pause.reached.wait(SOON)
    assert quit_takes(stage) < _LIMIT
    pause.proceed.set()


def test_an_engine_that_is_away_holds_nobody_up(stage: Stage) -> None:
    stage.engine.go_down()
    stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_open(run, "a")
    assert quit_takes(stage) < _LIMIT


def test_nothing_is_started_once_it_ends(stage: Stage) -> None:
    pause = stage.engine.faults.pause("attach_logs")
    stage.begin()
    run = stage.trigger(dag(task("a")))
    assert pause.reached.wait(SOON)
    assert quit_takes(stage) < _LIMIT
    pause.proceed.set()
    stage.begin()
    stage.check_end(stage.wait(run), {"a": TaskState.SUCCESS})
    assert stage.creations("a") == 2


def test_a_scheduler_that_cannot_begin_leaves_no_thread(stage: Stage) -> None:
    before = ours()
    life = Life()
    life.faults.fail("load", StoreUnavailableError("the disk is gone"))
    running = stage.begin(life)
    running.thread.join(SOON)
    assert [type(error) for error in running.error] == [StoreUnavailableError]
    assert ours() <= before


_PROCESS = """
import sys, tempfile, threading
from pathlib import Path
from scheduler_stage import Stage, dag, task

stage = Stage(Path(tempfile.mkdtemp()))
pauses = {pauses}
stage.begin()
stage.trigger(dag(task("a")))
assert all(pause.reached.wait(20) for pause in pauses)
stage.scheduler.quit()
stage.lives[-1].thread.join()
print("the loop has ended", flush=True)
"""


@pytest.mark.parametrize(
    "pauses", ["[stage.images.faults.pause('ensure')]", "[stage.engine.faults.pause('start')]"]
)
def test_the_process_ends_with_it(pauses: str) -> None:
    """No thread that hangs is waited for when the interpreter ends."""
    with subprocess.Popen(
        [sys.executable, "-c", _PROCESS.format(pauses=pauses)],
        cwd=_HERE,
        env={"PYTHONPATH": str(_HERE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, said
    assert said.endswith("the loop has ended\n")
