"""The log pump over the fake engine: exact while attached, made whole after anything, bounded, never in the way."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.clock import SystemClock
from orchestrator.errors import EngineUnavailableError, LogUnavailableError
from orchestrator.ids import ContainerId, TaskKey, TryKey
from orchestrator.ports import ByteStream, LogFlag, LogStore, LogWriter, Stream
from orchestrator.scheduler.pump import LogPump
from orchestrator.spec.container import ContainerSpec
from orchestrator.tasklogs.store import FileLogStore
from orchestrator.testing.fake_engine import FakeEngine, Outage
from orchestrator.testing.programs import Output, Program

OUT, ERR = Stream.STDOUT, Stream.STDERR
KEY = TryKey(TaskKey("dag", "run", "task"), 1)
SOON = 20.0

Writes = list[tuple[Stream, bytes]]
raw_writes = st.lists(st.tuples(st.sampled_from(Stream), st.binary(min_size=1, max_size=30)), max_size=12)
text_writes = st.lists(
    st.tuples(st.sampled_from(Stream), st.sampled_from(["a", "b\n", "\n", "cé\nd", "€"]).map(str.encode)),
    max_size=12,
)


class Impatient(SystemClock):
    """Waits for nothing that has not happened yet."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.is_set()


class Listener:
    """Counts what the pump tells, and lets a test wait for it."""

    def __init__(self) -> None:
        self._told = threading.Condition()
        self.keys: list[TryKey] = []

    def __call__(self, key: TryKey) -> None:
        with self._told:
            self.keys.append(key)
            self._told.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self._told:
            assert self._told.wait_for(condition, SOON)


class Scene:
    """An engine with one container that stays, a pump, and the log."""

    def __init__(
        self, folder: Path, *, tty: bool = False, piece: int = 65536, logs: LogStore | None = None
    ) -> None:
        self.clock = SystemClock()
        self.engine = FakeEngine(self.clock, lambda _: Program(stays=True), piece=piece)
        self.logs = logs or FileLogStore(folder)
        self.grown, self.ended = Listener(), Listener()
        self.container = self.create("box", tty=tty)

    def create(self, name: str, *, tty: bool = False) -> ContainerId:
        return self.engine.create(ContainerSpec(name=name, image="i", image_name="i", tty=tty))

    @contextmanager
    def pump(self, *, impatient: bool = False, limit: int = 1 << 20) -> Iterator[LogPump]:
        clock = Impatient() if impatient else self.clock
        pump = LogPump(self.logs, clock, self.grown, on_ended=self.ended, backlog_limit=limit)
        pump.start()
        try:
            yield pump
        finally:
            pump.stop()

    def launch(self, pump: LogPump) -> None:
        pump.attach(KEY, self.engine.attach_logs(self.container))
        self.engine.start(self.container)

    def write(self, what: Writes) -> None:
        for stream, data in what:
            self.engine.write(self.container, data, stream)

    def finish(self, pump: LogPump) -> bool:
        return pump.finish(KEY, self.engine, self.container)

    def stored(self, stream: Stream = OUT, key: TryKey = KEY) -> bytes:
        records = self.logs.records(key)
        return b"".join(each.data for each in records if each.stream is stream and not each.flags & LogFlag.SYSTEM)

    def flags(self) -> set[LogFlag]:
        return {record.flags for record in self.logs.records(KEY)}

    def wait_until_stored(self, data: bytes) -> None:
        self.grown.wait_for(lambda: self.stored().endswith(data))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture(scope="module")
def new_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    return lambda: tmp_path_factory.mktemp("logs")


def of(stream: Stream, what: Writes) -> bytes:
    return b"".join(data for each, data in what if each is stream)


# --- attached -----------------------------------------------------------------------------------------


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


# --- read back ----------------------------------------------------------------------------------------


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


class Prefixed:
    """A stream with bytes in front of it."""

    def __init__(self, stream: ByteStream, first: bytes) -> None:
        self.tty, self.fileno, self.close = stream.tty, stream.fileno, stream.close
        self._stream, self._first = stream, first

    def recv(self) -> bytes | None:
        first, self._first = self._first, b""
        return first or self._stream.recv()


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


# --- trouble with the disk ----------------------------------------------------------------------------


class Disk:
    """A log store on a disk that can be slow or full."""

    def __init__(self, folder: Path) -> None:
        self._files = FileLogStore(folder)
        self.records, self.last_line = self._files.records, self._files.last_line
        self.tail, self.remove = self._files.tail, self._files.remove
        self.free = threading.Event()
        self.free.set()
        self.full = False

    def writer(self, key: TryKey) -> LogWriter:
        return SlowWriter(self, self._files.writer(key))


class SlowWriter:
    def __init__(self, disk: Disk, writer: LogWriter) -> None:
        self._disk, self._writer = disk, writer
        self.note, self.rewind, self.close = writer.note, writer.rewind, writer.close

    def append(
        self, stretches: Sequence[tuple[Stream, bytes]], at: datetime, flags: LogFlag = LogFlag.NONE
    ) -> None:
        assert self._disk.free.wait(SOON)
        if self._disk.full:
            raise LogUnavailableError("the disk is full")
        self._writer.append(stretches, at, flags)


class Watched:
    """A stream that tells what was asked of it; `enough` bytes set `had_enough`."""

    def __init__(self, stream: ByteStream, enough: int = 0) -> None:
        self.tty, self.fileno, self._stream = stream.tty, stream.fileno, stream
        self.given = 0
        self._enough, self.had_enough = enough, threading.Event()
        self.closed = threading.Event()
        self.idle = threading.Event()

    def recv(self) -> bytes | None:
        data = self._stream.recv()
        self.given += len(data or b"")
        if self.given >= self._enough:
            self.had_enough.set()
        if data is None:
            self.idle.set()
        return data

    def close(self) -> None:
        self._stream.close()
        self.closed.set()


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


# --- the pump's own end -------------------------------------------------------------------------------


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
