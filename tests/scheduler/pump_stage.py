"""A stage for the log pump: the fake engine with one container, and streams and disks that misbehave."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from hypothesis import strategies as st

from orchestrator.clock import SystemClock
from orchestrator.errors import LogUnavailableError
from orchestrator.ids import ContainerId, TaskKey, TryKey
from orchestrator.ports import ByteStream, LogFlag, LogStore, LogWriter, Stream
from orchestrator.scheduler.masks import Mask, no_mask
from orchestrator.scheduler.pump import LogPump
from orchestrator.spec.container import ContainerSpec
from orchestrator.tasklogs.store import FileLogStore
from orchestrator.testing.fake_engine import FakeEngine
from orchestrator.testing.programs import Program

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
    def pump(
        self, *, impatient: bool = False, limit: int = 1 << 20, mask: Callable[[TryKey], Mask] = no_mask
    ) -> Iterator[LogPump]:
        clock = Impatient() if impatient else self.clock
        pump = LogPump(self.logs, clock, self.grown, on_ended=self.ended, backlog_limit=limit, mask=mask)
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


def of(stream: Stream, what: Writes) -> bytes:
    return b"".join(data for each, data in what if each is stream)


class Prefixed:
    """A stream with bytes in front of it."""

    def __init__(self, stream: ByteStream, first: bytes) -> None:
        self.tty, self.fileno, self.close = stream.tty, stream.fileno, stream.close
        self._stream, self._first = stream, first

    def recv(self) -> bytes | None:
        first, self._first = self._first, b""
        return first or self._stream.recv()


class Disk:
    """A log store on a disk that can be slow or full."""

    def __init__(self, folder: Path) -> None:
        self._files = FileLogStore(folder)
        self.records, self.last_line = self._files.records, self._files.last_line
        self.tail, self.remove, self.ended = self._files.tail, self._files.remove, self._files.ended
        self.ends = self._files.ends
        self.free = threading.Event()
        self.free.set()
        self.full = False

    def writer(self, key: TryKey) -> LogWriter:
        return SlowWriter(self, self._files.writer(key))


class SlowWriter:
    def __init__(self, disk: Disk, writer: LogWriter) -> None:
        self._disk, self._writer = disk, writer
        self.note, self.rewind = writer.note, writer.rewind
        self.end, self.close = writer.end, writer.close

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
