"""The log pump with a slow or full disk, and at its own end: bounded, never in a container's way."""

import contextlib
from pathlib import Path

import pytest
from pump_stage import KEY, OUT, SOON, Disk, Scene, Watched

from orchestrator.clock import SystemClock
from orchestrator.errors import LogUnavailableError
from orchestrator.ids import TryKey
from orchestrator.scheduler.masks import Mask
from orchestrator.scheduler.pump import LogPump
from orchestrator.testing.fake_engine import FakeEngine
from orchestrator.testing.programs import Output, Program


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


LINE = b"x" * 999 + b"\n"


def test_a_disk_that_stalls_costs_bounded_memory_and_never_stalls_the_container(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    scene = Scene(tmp_path, logs=disk, piece=1000)
    disk.free.clear()
    with scene.pump(limit=50_000) as pump:
        stream = Watched(scene.engine.attach_logs(scene.container))
        pump.attach(KEY, stream)
        scene.engine.start(scene.container)
        for _ in range(200):
            scene.write([(OUT, LINE)])
        assert stream.closed.wait(SOON)
        assert 50_000 <= stream.given <= 51_000
        assert scene.ended.keys == []
        disk.free.set()
        scene.ended.wait_for(lambda: scene.ended.keys == [KEY])
        scene.engine.finish("box")
        assert scene.finish(pump)
    assert scene.stored() == LINE * 200


def test_a_read_back_stream_waits_for_the_disk_instead_of_being_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path)
    scene = Scene(tmp_path, logs=disk, piece=1000)
    scene.engine.start(scene.container)
    for _ in range(200):
        scene.write([(OUT, LINE)])
    followed = Watched(scene.engine.follow_logs(scene.container), enough=50_000)
    monkeypatch.setattr(scene.engine, "follow_logs", lambda _: followed)
    disk.free.clear()
    with scene.pump(limit=50_000) as pump:
        pump.adopt(KEY, scene.engine, scene.container)
        assert followed.had_enough.wait(SOON)
        other = Watched(scene.engine.attach_logs(scene.create("other")))
        pump.attach(TryKey(KEY.task, 2), other)
        assert other.idle.wait(SOON)  # the intake went on to others
        assert 50_000 <= followed.given <= 51_000
        assert not followed.closed.is_set()
        disk.free.set()
        scene.grown.wait_for(lambda: scene.stored() == LINE * 200)
        scene.engine.finish("box")
        assert scene.finish(pump)
    assert scene.stored() == LINE * 200


def test_a_full_disk_costs_no_byte_once_it_has_room_again(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    scene = Scene(tmp_path, logs=disk)
    with scene.pump() as pump:
        scene.launch(pump)
        scene.write([(OUT, b"one\n")])
        scene.wait_until_stored(b"one\n")
        disk.full = True
        scene.write([(OUT, b"two\n")])
        scene.ended.wait_for(lambda: scene.ended.keys == [KEY])
        scene.engine.finish("box")
        with pytest.raises(LogUnavailableError):
            scene.finish(pump)
        disk.full = False
        assert scene.finish(pump)
    assert scene.stored() == b"one\ntwo\n"


def test_a_full_disk_at_adoption_is_made_up_for_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path)
    scene.engine.start(scene.container)
    scene.write([(OUT, b"one\n")])
    with scene.pump() as pump:
        with monkeypatch.context() as patch:
            patch.setattr("os.pwrite", _full)
            pump.adopt(KEY, scene.engine, scene.container)
        scene.engine.finish("box")
        assert scene.finish(pump)
    assert scene.stored() == b"one\n"


def _full(*_: object) -> int:
    raise OSError(28, "No space left on device")


def test_what_was_read_before_the_stop_is_stored(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    scene = Scene(tmp_path, logs=disk)
    with scene.pump() as pump:
        stream = Watched(scene.engine.attach_logs(scene.container))
        pump.attach(KEY, stream)
        scene.engine.start(scene.container)
        assert stream.idle.wait(SOON)
        disk.free.clear()
        stream.idle.clear()
        scene.write([(OUT, b"one\n")])
        assert stream.idle.wait(SOON)
        disk.free.set()
    assert scene.stored() == b"one\n"
    assert stream.closed.is_set()
    assert scene.ended.keys == []


def test_a_stopped_pump_takes_nothing_more(scene: Scene) -> None:
    with scene.pump() as pump:
        pass
    stream = Watched(scene.engine.attach_logs(scene.container))
    pump.attach(KEY, stream)
    assert stream.closed.is_set()
    assert not pump.wait_end(KEY, 0)
    pump.close(KEY)


def test_a_listener_that_fails_does_not_stop_the_logs(scene: Scene) -> None:
    def fail(_: TryKey) -> None:
        raise RuntimeError("listener")

    pump = LogPump(scene.logs, scene.clock, scene.grown, on_ended=fail)
    pump.start()
    scene.launch(pump)
    scene.engine.finish("box")
    assert pump.wait_end(KEY, SOON)
    other, box = TryKey(KEY.task, 2), scene.create("other")
    pump.attach(other, scene.engine.attach_logs(box))
    scene.engine.start(box)
    scene.engine.write(box, b"still here")
    scene.engine.finish(box)
    assert pump.finish(other, scene.engine, box)
    pump.stop()
    assert scene.stored(key=other) == b"still here"


def test_output_of_a_program_that_ends_at_once_is_whole(tmp_path: Path) -> None:
    engine = FakeEngine(SystemClock(), lambda _: Program(output=(Output(data=b"hello\n"),)))
    scene = Scene(tmp_path)
    scene.engine = engine
    scene.container = scene.create("quick")
    with scene.pump() as pump:
        scene.launch(pump)
        assert scene.finish(pump)
    assert scene.stored() == b"hello\n"


@pytest.mark.parametrize(
    "trouble", [LogUnavailableError("the store is away"), RuntimeError("a row cannot be read")]
)
def test_a_stream_is_closed_where_what_to_mask_cannot_be_told(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    def mask(_: TryKey) -> Mask:
        raise trouble

    scene.engine.start(scene.container)
    followed = Watched(scene.engine.follow_logs(scene.container))
    monkeypatch.setattr(scene.engine, "follow_logs", lambda _: followed)
    with scene.pump(mask=mask) as pump:
        with contextlib.suppress(RuntimeError):
            pump.adopt(KEY, scene.engine, scene.container)
        assert followed.closed.is_set()
    assert scene.stored() == b""
