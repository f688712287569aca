"""One log stream that breaks by itself, while engine and events are there: what comes after is followed again, and
what was lost on the way is read back (invariant I7)."""

import contextlib
import socket
import threading
from pathlib import Path

import pytest
from pump_stage import KEY, OUT, SOON, Disk, Scene, Watched
from scheduler_stage import Stage, dag, task

from orchestrator.clock import SystemClock
from orchestrator.errors import EngineUnavailableError
from orchestrator.ids import ContainerId
from orchestrator.ports import ByteStream
from orchestrator.scheduler.masking import Patterns
from orchestrator.scheduler.masks import Mask
from orchestrator.states import TaskState
from orchestrator.testing.programs import Program


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


class Breakable:
    """A stream that ends, or breaks, at the next byte."""

    def __init__(self, stream: ByteStream) -> None:
        self.tty, self.fileno, self.close = stream.tty, stream.fileno, stream.close
        self._stream = stream
        self.broken_by: bytes | EngineUnavailableError | None = None

    def recv(self) -> bytes | None:
        data = self._stream.recv()
        if data is None or self.broken_by is None:
            return data
        if isinstance(self.broken_by, EngineUnavailableError):
            raise self.broken_by
        return self.broken_by


@pytest.mark.parametrize("breaks_by", [b"", EngineUnavailableError("reset by peer")])
def test_one_stream_that_broke_while_its_container_runs_is_followed_again(
    scene: Scene, breaks_by: bytes | EngineUnavailableError
) -> None:
    """Though it looks like an end: the engine is there, and nobody doubts."""
    with scene.pump() as pump:
        stream = Breakable(scene.engine.attach_logs(scene.container))
        pump.attach(KEY, stream)
        scene.engine.start(scene.container)
        scene.write([(OUT, b"before\n")])
        scene.wait_until_stored(b"before\n")
        stream.broken_by = breaks_by
        scene.write([(OUT, b"lost on the way\n")])
        scene.ended.wait_for(lambda: scene.ended.keys == [KEY])
        pump.adopt(KEY, scene.engine, scene.container, runs=True)
        scene.write([(OUT, b"after\n")])
        scene.engine.finish("box")
        assert scene.finish(pump)
    assert scene.stored() == b"before\nlost on the way\nafter\n"


def test_a_stream_that_broke_just_before_the_exit_is_made_up_for(scene: Scene) -> None:
    with scene.pump() as pump:
        stream = Breakable(scene.engine.attach_logs(scene.container))
        pump.attach(KEY, stream)
        scene.engine.start(scene.container)
        stream.broken_by = EngineUnavailableError("reset by peer")
        scene.write([(OUT, b"lost on the way\n")])
        scene.engine.finish("box")
        assert scene.finish(pump)
    assert scene.stored() == b"lost on the way\n"


def test_a_stream_that_is_behind_its_container_is_waited_for_while_anything_comes(tmp_path: Path) -> None:
    """An engine that is slow: each wait is in vain, but something came meanwhile."""
    scene = Scene(tmp_path, piece=300)
    stream = Lagging(scene.engine.attach_logs(scene.container))
    scene.clock = stream
    with scene.pump() as pump:
        pump.attach(KEY, stream)
        scene.engine.start(scene.container)
        scene.write([(OUT, b"no text: \xff\n" * 100)])
        scene.engine.finish("box")
        assert scene.finish(pump)
    assert scene.stored() == b"no text: \xff\n" * 100
    assert scene.engine.calls.count("read_logs") == 0


class Lagging(SystemClock):
    """A stream, and a clock: each wait lets one piece more through, and is over once that was taken in."""

    def __init__(self, stream: ByteStream) -> None:
        self.tty, self._stream = stream.tty, stream
        self._bell, self._ear = socket.socketpair()
        self._ear.setblocking(False)
        self._allowed, self._taken = threading.Semaphore(0), threading.Event()

    def fileno(self) -> int:
        return self._ear.fileno()

    def recv(self) -> bytes | None:
        if self._allowed.acquire(blocking=False):
            return self._stream.recv()
        with contextlib.suppress(BlockingIOError):
            self._ear.recv(100)
        self._taken.set()
        return None

    def close(self) -> None:
        self._stream.close()
        self._bell.close()
        self._ear.close()
        self._taken.set()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self._taken.clear()
        self._allowed.release()
        with contextlib.suppress(OSError):  # it has ended
            self._bell.send(b"!")
        assert self._taken.wait(SOON)
        return event.is_set()


def test_an_end_that_might_have_begun_a_secret_is_stored_however_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream has ended, the disk is behind, and nobody waits any longer."""
    disk = Disk(tmp_path)
    scene = Scene(tmp_path, logs=disk)
    disk.free.clear()
    with scene.pump(impatient=True, mask=lambda _: Mask(Patterns([b"correct horse"]))) as pump:
        stream, given_up = Watched(scene.engine.attach_logs(scene.container)), threading.Event()
        drop = pump._intake.drop
        monkeypatch.setattr(pump._intake, "drop", lambda flow: (drop(flow), given_up.set()))
        pump.attach(KEY, stream)
        scene.engine.start(scene.container)
        scene.write([(OUT, b"it is correct horse, it ends in corr")])
        scene.engine.finish("box")
        assert stream.closed.wait(SOON)
        whole: list[bool] = []
        finishing = threading.Thread(target=lambda: whole.append(scene.finish(pump)))
        finishing.start()
        assert given_up.wait(SOON)
        disk.free.set()
        finishing.join(SOON)
    assert whole == [True]
    assert scene.stored() == b"it is ***, it ends in corr"


def test_a_scheduler_looks_whether_a_container_whose_stream_ended_still_runs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event tells of an exit, so the engine is asked."""
    streams: list[Breakable] = []

    def attach(container: ContainerId) -> Breakable:
        streams.append(Breakable(attached(container)))
        return streams[-1]

    attached = stage.engine.attach_logs
    monkeypatch.setattr(stage.engine, "attach_logs", attach)
    stage.script.programs["a"] = Program(stays=True)
    stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", TaskState.RUNNING)
    attempt, container = stage.wait_open(run, "a"), stage.container("a")
    streams[0].broken_by = b""
    stage.engine.write(container.id, b"lost on the way\n")
    stage.heard.wait_for(lambda: stage.log(attempt) == b"lost on the way\n", "what was lost to be followed")
    stage.engine.finish(container.id)
    view = stage.wait(run)
    assert stage.log(attempt) == b"lost on the way\n"
    assert view.tries[0].log_complete
