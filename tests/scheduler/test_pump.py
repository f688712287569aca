"""The log pump over the fake engine while all is well: exact, live, two threads for all."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pump_stage import ERR, KEY, OUT, SOON, Scene, Writes, of, raw_writes

from orchestrator.ids import TaskKey, TryKey


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture(scope="module")
def new_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    return lambda: tmp_path_factory.mktemp("logs")


@settings(max_examples=60)
@given(written=raw_writes, piece=st.integers(1, 50), tty=st.booleans())
def test_a_log_attached_before_the_start_is_exact(
    new_folder: Callable[[], Path], written: Writes, piece: int, *, tty: bool
) -> None:
    scene = Scene(new_folder(), piece=piece, tty=tty)
    with scene.pump() as pump:
        scene.launch(pump)
        scene.write(written)
        scene.engine.finish("box")
        assert pump.wait_end(KEY, SOON)
        assert scene.finish(pump)
    assert scene.stored(OUT) == (b"".join(data for _, data in written) if tty else of(OUT, written))
    assert scene.stored(ERR) == (b"" if tty else of(ERR, written))
    assert scene.engine.calls.count("read_logs") == 0


def test_long_lines_broken_text_and_a_missing_last_newline_are_kept(scene: Scene) -> None:
    data = b"\xff\xfe" + b"x" * 100_000 + b"\r\n\x00" + "€".encode()[:2]
    with scene.pump() as pump:
        scene.launch(pump)
        scene.write([(OUT, data)])
        scene.engine.finish("box")
        assert scene.finish(pump)
    assert scene.stored() == data


def test_what_is_stored_can_be_read_while_the_container_runs(scene: Scene) -> None:
    with scene.pump() as pump:
        scene.launch(pump)
        scene.write([(OUT, b"one\n")])
        scene.grown.wait_for(lambda: scene.grown.keys == [KEY])
        assert scene.stored() == b"one\n"
        assert not pump.wait_end(KEY, 0)


def test_an_attach_begins_a_new_log(scene: Scene) -> None:
    writer = scene.logs.writer(KEY)
    writer.append([(OUT, b"of a container that never ran\n")], scene.clock.now())
    writer.close()
    with scene.pump() as pump:
        scene.launch(pump)
        scene.engine.finish("box")
        assert scene.finish(pump)
    assert scene.stored() == b""


def test_a_second_attach_of_a_try_takes_the_place_of_the_first(scene: Scene) -> None:
    with scene.pump() as pump:
        pump.attach(KEY, scene.engine.attach_logs(scene.container))
        scene.launch(pump)
        scene.write([(OUT, b"once\n")])
        scene.engine.finish("box")
        assert scene.finish(pump)
    assert scene.stored() == b"once\n"


def test_many_tries_share_two_threads_and_keep_apart(scene: Scene) -> None:
    keys = [TryKey(TaskKey("dag", "run", f"t{number}"), 1) for number in range(40)]
    boxes = [scene.create(f"box{number}") for number in range(40)]
    with scene.pump() as pump:
        before = threading.active_count()
        for key, box in zip(keys, boxes, strict=True):
            pump.attach(key, scene.engine.attach_logs(box))
            scene.engine.start(box)
        for turn in range(5):
            for number, box in enumerate(boxes):
                scene.engine.write(box, b"%d of %d\n" % (turn, number))
        assert threading.active_count() == before
        for box in boxes:
            scene.engine.finish(box)
        assert all(pump.finish(key, scene.engine, box) for key, box in zip(keys, boxes, strict=True))
    for number, key in enumerate(keys):
        assert scene.stored(key=key) == b"".join(b"%d of %d\n" % (turn, number) for turn in range(5))


def test_a_finished_log_costs_no_files_and_is_not_known_any_more(scene: Scene) -> None:
    descriptors = Path("/proc/self/fd")
    with scene.pump() as pump:
        before = len(list(descriptors.iterdir()))
        scene.launch(pump)
        scene.write([(OUT, b"x")])
        scene.engine.finish("box")
        assert scene.finish(pump)
        scene.engine.remove(scene.container)
        assert len(list(descriptors.iterdir())) == before
        assert not pump.wait_end(KEY, 0)


def test_the_log_of_a_container_that_never_ran_is_whole_at_once(scene: Scene) -> None:
    """Though its stream does not end when it is removed."""
    with scene.pump() as pump:
        pump.attach(KEY, scene.engine.attach_logs(scene.container))
        scene.engine.remove(scene.container)
        pump.finish_unstarted(KEY)
        assert scene.logs.ended(KEY)
        assert pump.finish(KEY, scene.engine, scene.container)
    assert list(scene.logs.records(KEY)) == []
