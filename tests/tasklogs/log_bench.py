"""What the tests of log files share: a store for each example, and what is in it."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import strategies as st

from orchestrator.ids import TaskKey, TryKey
from orchestrator.ports import LogFlag, LogRecord, LogStore, Stream
from orchestrator.tasklogs.files import files_of
from orchestrator.tasklogs.store import FileLogStore

OUT, ERR = Stream.STDOUT, Stream.STDERR
AT = datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=UTC)
KEY = TryKey(TaskKey("d", "manual__2024-01-01T00:00:00+00:00", "t"), 1)

Write = tuple[Stream, bytes]
line_bytes = st.lists(st.sampled_from([b"a", b"\n", b"\xff", b"\xc3\xa9", b"\r", b" "]), max_size=12).map(b"".join)
writes = st.lists(st.tuples(st.sampled_from(Stream), line_bytes), max_size=12)


class Fresh:
    """A new empty store for each example of a property."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0

    def store(self) -> FileLogStore:
        shutil.rmtree(self.folder / str(self._number), ignore_errors=True)
        self._number += 1
        return FileLogStore(self.folder / str(self._number))

    def files(self, key: TryKey = KEY) -> Path:
        return files_of(self.folder / str(self._number), key).folder


def fill(store: LogStore, what: list[Write]) -> None:
    writer = store.writer(KEY)
    for stream, data in what:
        writer.append([(stream, data)], AT)
    writer.close()


def content(store: LogStore, stream: Stream, start: int = 0) -> bytes:
    return b"".join(record.data for record in payload(store, start) if record.stream is stream)


def payload(store: LogStore, start: int = 0) -> list[LogRecord]:
    return [record for record in store.records(KEY, start) if not record.flags & LogFlag.SYSTEM]


def of(stream: Stream, what: list[Write]) -> bytes:
    return b"".join(data for each, data in what if each is stream)


def complete_lines(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]
