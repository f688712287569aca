"""The log pump after crashes, broken streams and lost containers: made whole, or told."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pump_stage import ERR, KEY, OUT, SOON, Prefixed, Scene, Writes, of, text_writes

from orchestrator.errors import EngineUnavailableError
from orchestrator.ids import ContainerId, TryKey
from orchestrator.ports import LogFlag, Stream
from orchestrator.testing.fake_engine import Outage


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture(scope="module")
def new_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    return lambda: tmp_path_factory.mktemp("logs")


@settings(max_examples=60)
@given(first=text_writes, unseen=text_writes, then=text_writes, piece=st.integers(1, 50))
def test_after_a_crash_another_pump_makes_the_same_log(
    new_folder: Callable[[], Path], first: Writes, unseen: Writes, then: Writes, piece: int
) -> None:
    scene = Scene(new_folder(), piece=piece)
    with scene.pump() as pump:
        scene.launch(pump)
        scene.write(first)
    scene.write(unseen)
    with scene.pump() as pump:
        pump.adopt(KEY, scene.engine, scene.container)
        scene.write(then)
        scene.engine.finish("box")
        assert scene.finish(pump)
    for stream in Stream:
        assert scene.stored(stream) == of(stream, first + unseen + then)


def test_what_was_read_back_is_marked_and_what_was_attached_is_not(scene: Scene) -> None:
    with scene.pump() as pump:
        scene.launch(pump)
        scene.write([(OUT, b"exact \xff\n")])
        scene.wait_until_stored(b"\n")
    scene.write([(OUT, b"back \xff\n")])
    with scene.pump() as pump:
        pump.adopt(KEY, scene.engine, scene.container)
        scene.engine.finish("box")
        assert scene.finish(pump)
    kinds = [(record.flags, record.data) for record in scene.logs.records(KEY)]
    assert kinds[0] == (LogFlag.NONE, b"exact \xff\n")
    assert kinds[1][0] is LogFlag.SYSTEM
    assert kinds[2] == (LogFlag.READ_BACK, "back \ufffd\n".encode())


def test_a_container_that_ran_and_ended_unseen_is_read_back(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.engine.start(scene.container)
    scene.write([(OUT, b"one\ntwo"), (ERR, b"three\n")])
    scene.engine.finish("box")
    with scene.pump() as pump:
        assert scene.finish(pump)
    assert (scene.stored(OUT), scene.stored(ERR)) == (b"one\ntwo", b"three\n")
    assert scene.flags() == {LogFlag.READ_BACK}


def test_the_last_line_of_an_adopted_try_is_there_once_it_is_complete(scene: Scene) -> None:
    scene.engine.start(scene.container)
    with scene.pump() as pump:
        pump.adopt(KEY, scene.engine, scene.container)
        scene.engine.go_down()
        scene.write([(OUT, b"the result")])
        scene.engine.come_up()
        scene.engine.finish("box")
        assert not pump.wait_end(KEY, SOON)
        assert pump.complete(KEY, scene.engine, scene.container)
        assert pump.complete(KEY, scene.engine, scene.container)
        assert scene.logs.last_line(KEY, OUT, 100) == b"the result"
        assert pump.wait_end(KEY, 0)
        assert scene.engine.calls.count("read_logs") == 1


def test_an_open_stream_is_not_adopted_again(scene: Scene) -> None:
    with scene.pump() as pump:
        scene.launch(pump)
        pump.adopt(KEY, scene.engine, scene.container)
        scene.write([(OUT, b"\xff\n")])
        scene.engine.finish("box")
        assert pump.wait_end(KEY, SOON)
        pump.adopt(KEY, scene.engine, scene.container)
        assert scene.finish(pump)
    assert scene.stored() == b"\xff\n"
    assert scene.engine.calls.count("follow_logs") == 0


def test_an_engine_that_went_away_leaves_logs_that_are_read_back(scene: Scene) -> None:
    with scene.pump() as pump:
        scene.launch(pump)
        scene.write([(OUT, b"before\nand ")])
        scene.engine.go_down(Outage.CONNECTION)
        pump.doubt()
        scene.write([(OUT, b"meanwhile\n")])
        scene.ended.wait_for(lambda: scene.ended.keys == [KEY])
        with pytest.raises(EngineUnavailableError):
            scene.finish(pump)
        scene.engine.come_up()
        scene.engine.finish("box")
        assert scene.finish(pump)
    assert scene.stored() == b"before\nand meanwhile\n"


def test_an_engine_that_went_away_while_it_was_attached_leaves_a_log_that_is_read_back(scene: Scene) -> None:
    with scene.pump() as pump:
        doubts = pump.doubts
        stream = scene.engine.attach_logs(scene.container)
        scene.engine.go_down(Outage.CONNECTION)
        pump.doubt()
        pump.attach(KEY, stream, doubts=doubts)
        scene.engine.come_up()
        scene.engine.start(scene.container)
        scene.write([(OUT, b"all of it\n")])
        scene.engine.finish("box")
        assert scene.finish(pump)
    assert scene.stored() == b"all of it\n"


def test_a_stream_that_broke_is_told_and_can_be_followed_again_at_once(scene: Scene) -> None:
    with scene.pump() as pump:
        scene.launch(pump)
        scene.engine.go_down(Outage.CONNECTION)
        pump.doubt()
        scene.ended.wait_for(lambda: scene.ended.keys == [KEY])
        scene.engine.come_up()
        pump.adopt(KEY, scene.engine, scene.container)
        scene.write([(OUT, b"seen while it runs\n")])
        scene.wait_until_stored(b"runs\n")


def test_a_stream_that_outlives_its_container_is_given_up_and_read_back(scene: Scene) -> None:
    with scene.pump(impatient=True) as pump:
        scene.launch(pump)
        scene.write([(OUT, b"one\n")])
        assert scene.finish(pump)
        assert scene.ended.keys == []
    assert scene.stored() == b"one\n"


def test_a_container_that_is_gone_leaves_a_log_that_says_so(scene: Scene) -> None:
    with scene.pump() as pump:
        scene.launch(pump)
        scene.write([(OUT, b"one\nhalf")])
        pump.doubt()
        scene.engine.remove(scene.container, force=True)
        assert not scene.finish(pump)
    assert scene.stored() == b"one\nhalf"
    assert scene.flags() == {LogFlag.NONE, LogFlag.SYSTEM | LogFlag.TRUNCATED}


def test_a_log_nobody_ever_wrote_whose_container_is_gone_is_not_whole(scene: Scene) -> None:
    with scene.pump() as pump:
        assert not pump.finish(KEY, scene.engine, ContainerId("gone"))
    assert scene.flags() == {LogFlag.SYSTEM | LogFlag.TRUNCATED}


@pytest.mark.parametrize("gone", [True, False])
def test_what_an_earlier_life_finished_is_whole_whether_or_not_its_container_is_still_there(
    scene: Scene, *, gone: bool
) -> None:
    with scene.pump() as pump:
        scene.launch(pump)
        scene.write([(OUT, b"exact \xff\nhalf")])
        scene.engine.finish("box")
        assert scene.finish(pump)
    if gone:
        scene.engine.remove(scene.container)
    asked = scene.engine.calls.mark()
    with scene.pump() as pump:
        assert scene.finish(pump)
    assert scene.engine.calls.since(asked) == ()
    assert scene.stored() == b"exact \xff\nhalf"
    assert scene.flags() == {LogFlag.NONE}


def test_a_try_without_a_container_misses_nothing(scene: Scene) -> None:
    with scene.pump() as pump:
        assert pump.finish(KEY, scene.engine, None)


def test_a_damaged_stream_is_read_back(scene: Scene) -> None:
    with scene.pump() as pump:
        stream = scene.engine.attach_logs(scene.container)
        pump.attach(KEY, Prefixed(stream, b"HTTP/1.1 200 OK\r\n"))
        scene.engine.start(scene.container)
        scene.write([(OUT, b"one\n")])
        scene.ended.wait_for(lambda: scene.ended.keys == [KEY])
        scene.engine.finish("box")
        assert scene.finish(pump)
    assert scene.stored() == b"one\n"


def test_what_is_asked_about_a_try_while_it_is_adopted_waits_for_that(scene: Scene) -> None:
    scene.engine.start(scene.container)
    scene.write([(OUT, b"one\n")])
    scene.engine.finish("box")
    hangs = scene.engine.faults.pause("follow_logs")
    with scene.pump() as pump:
        adopting = threading.Thread(target=pump.adopt, args=(KEY, scene.engine, scene.container))
        finishing = threading.Thread(target=scene.finish, args=(pump,))
        adopting.start()
        assert hangs.reached.wait(SOON)
        finishing.start()
        other = TryKey(KEY.task, 2)
        assert pump.finish(other, scene.engine, None)
        hangs.proceed.set()
        adopting.join(SOON)
        finishing.join(SOON)
        assert scene.engine.calls.count("follow_logs") == 1
        pump.close(KEY)
    assert scene.stored() == b"one\n"
