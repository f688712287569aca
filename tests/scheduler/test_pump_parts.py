"""The log of a try that has several containers, one after the other: each adds to it, whatever comes in between."""

from pathlib import Path

import pytest
from pump_stage import KEY, OUT, Scene

from orchestrator.ids import ContainerId
from orchestrator.ports import LogFlag
from orchestrator.scheduler.pump import LogPump


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def shown(scene: Scene) -> list[bytes]:
    return [record.data for record in scene.logs.records(KEY)]


def look(scene: Scene, pump: LogPump, number: int, text: bytes, *, found: bool = False) -> ContainerId:
    """One container from its start to its collected end."""
    container = begun(scene, pump, number, text)
    scene.engine.finish(container, 0 if found else 75)
    following = "" if found else f"look {number}"
    assert pump.finish(KEY, scene.engine, container, part=number, following=following)
    scene.engine.remove(container)
    return container


def begun(scene: Scene, pump: LogPump, number: int, text: bytes) -> ContainerId:
    container = scene.create(f"look{number}")
    pump.attach(KEY, scene.engine.attach_logs(container), part=number)
    scene.engine.start(container)
    scene.engine.write(container, text, OUT)
    return container


def test_looks_follow_each_other_in_one_log(scene: Scene) -> None:
    with scene.pump() as pump:
        look(scene, pump, 1, b"not yet\n")
        look(scene, pump, 2, b"still not")
        look(scene, pump, 3, b"there\n", found=True)
    assert shown(scene) == [b"not yet\n", b"look 1\n", b"still not", b"look 2\n", b"there\n"]
    assert scene.logs.ended(KEY, 3)


def test_a_look_that_a_later_process_takes_over_is_read_back_by_itself(scene: Scene) -> None:
    with scene.pump() as pump:
        look(scene, pump, 1, b"a\nb\nc\n")
        container = begun(scene, pump, 2, b"d\npart")
        scene.wait_until_stored(b"part")
    scene.engine.write(container, b"ial\ne\n", OUT)
    with scene.pump() as pump:
        pump.adopt(KEY, scene.engine, container, part=2)
        scene.engine.finish(container, 75)
        assert pump.finish(KEY, scene.engine, container, part=2, following="look 2")
    assert scene.stored() == b"a\nb\nc\nd\npartial\ne\n"


def test_a_look_whose_end_a_later_process_meets_is_read_back_by_itself(scene: Scene) -> None:
    with scene.pump() as pump:
        look(scene, pump, 1, b"a\nb\n")
        container = scene.create("look2")
    scene.engine.start(container)
    scene.engine.write(container, b"unseen\n", OUT)
    scene.engine.finish(container, 75)
    with scene.pump() as pump:
        assert pump.finish(KEY, scene.engine, container, part=2, following="look 2")
    assert scene.stored() == b"a\nb\nunseen\n"


def test_a_look_that_was_finished_before_a_restart_is_not_finished_again(scene: Scene) -> None:
    with scene.pump() as pump:
        container = look(scene, pump, 1, b"a\n")
    with scene.pump() as pump:
        assert pump.finish(KEY, scene.engine, container, part=1, following="look 1")
    assert shown(scene) == [b"a\n", b"look 1\n"]


def test_the_log_of_a_look_that_never_ran_is_dropped_and_no_other(scene: Scene) -> None:
    with scene.pump() as pump:
        look(scene, pump, 1, b"a\n")
        container = begun(scene, pump, 2, b"gone\n")
        scene.wait_until_stored(b"gone\n")
        scene.engine.finish(container, 0)
        pump.close(KEY)
        scene.engine.remove(container)
        look(scene, pump, 2, b"there\n", found=True)
    assert shown(scene) == [b"a\n", b"look 1\n", b"there\n"]


def test_a_look_whose_container_vanished_ends_with_a_notice_and_the_next_one_follows(scene: Scene) -> None:
    with scene.pump() as pump:
        look(scene, pump, 1, b"a\n")
    gone = scene.create("gone")
    scene.engine.remove(gone)
    with scene.pump() as pump:
        assert not pump.finish(KEY, scene.engine, gone, part=2, following="look 2")
        look(scene, pump, 3, b"there\n", found=True)
    assert scene.stored() == b"a\nthere\n"
    assert LogFlag.SYSTEM | LogFlag.TRUNCATED in scene.flags()
    assert shown(scene)[-2:] == [b"look 2\n", b"there\n"]
