"""Logs on disk: exact bytes, sound after a crash at any byte, readable while written."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import FileTooLargeError, LogUnavailableError
from orchestrator.ids import TaskKey, TryKey
from orchestrator.ports import LogFlag, LogRecord, LogStore, Stream
from orchestrator.tasklogs.files import files_of
from orchestrator.tasklogs.index import MAX_LENGTH, RECORD_SIZE
from orchestrator.tasklogs.store import FileLogStore

OUT, ERR = Stream.STDOUT, Stream.STDERR
AT = datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=UTC)
KEY = TryKey(TaskKey("d", "manual__2024-01-01T00:00:00+00:00", "t"), 1)

Write = tuple[Stream, bytes]
line_bytes = st.lists(st.sampled_from([b"a", b"\n", b"\xff", b"\xc3\xa9", b"\r", b" "]), max_size=12).map(b"".join)
writes = st.lists(st.tuples(st.sampled_from(Stream), line_bytes), max_size=12)


@pytest.fixture
def store(tmp_path: Path) -> FileLogStore:
    return FileLogStore(tmp_path)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> "Fresh":
    return Fresh(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="module", autouse=True)
def synced() -> Iterator[list[int]]:
    """Inodes that were synced, only noted: a busy disk takes its time for the real thing."""
    inodes: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda fd: inodes.append(os.fstat(fd).st_ino))
        yield inodes


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


def test_a_record_comes_back_as_it_was_written(store: FileLogStore) -> None:
    writer = store.writer(KEY)
    writer.append([(ERR, b"\xff\x00 no newline")], AT, LogFlag.READ_BACK)
    writer.close()
    assert list(store.records(KEY)) == [
        LogRecord(offset=0, data=b"\xff\x00 no newline", stream=ERR, at=AT, flags=LogFlag.READ_BACK)
    ]


@given(what=writes)
def test_the_log_file_holds_the_payload_in_order_of_arrival_and_nothing_else(
    fresh: Fresh, what: list[Write]
) -> None:
    store = fresh.store()
    fill(store, what)
    assert (fresh.files() / "1.log").read_bytes() == b"".join(data for _, data in what)
    assert all(content(store, stream) == of(stream, what) for stream in Stream)


def test_system_lines_stand_between_the_tasks_own_and_not_in_the_log_file(
    store: FileLogStore, tmp_path: Path
) -> None:
    writer = store.writer(KEY)
    writer.append([(OUT, b"before\n")], AT)
    writer.note("adopted", AT)
    writer.append([(OUT, b"after\n")], AT)
    writer.note("cut short", AT, LogFlag.TRUNCATED)
    writer.close()
    shown = [(record.data, record.flags) for record in store.records(KEY)]
    assert shown == [
        (b"before\n", LogFlag.NONE),
        (b"adopted\n", LogFlag.SYSTEM),
        (b"after\n", LogFlag.NONE),
        (b"cut short\n", LogFlag.SYSTEM | LogFlag.TRUNCATED),
    ]
    assert (files_of(tmp_path, KEY).log).read_bytes() == b"before\nafter\n"


def test_reading_goes_on_where_the_last_record_ended_and_shows_nothing_twice(store: FileLogStore) -> None:
    writer = store.writer(KEY)
    seen, start = [], 0
    steps = [
        lambda: writer.append([(OUT, b"one\n")], AT),
        lambda: writer.note("two", AT),
        lambda: writer.append([(ERR, b"three\n")], AT),
    ]
    for step in steps:
        step()
        for record in store.records(KEY, start):
            seen.append(record.data)
            start = record.offset + len(record.data)
    writer.close()
    assert seen == [b"one\n", b"two\n", b"three\n"]


@given(what=writes, start=st.integers(min_value=0, max_value=80))
def test_reading_may_start_at_any_byte(fresh: Fresh, what: list[Write], start: int) -> None:
    store = fresh.store()
    fill(store, what)
    whole = b"".join(data for _, data in what)
    assert b"".join(record.data for record in store.records(KEY, start)) == whole[start:]


def test_a_stretch_larger_than_a_record_is_split(store: FileLogStore) -> None:
    data = b"x" * (2 * MAX_LENGTH + 5)
    fill(store, [(OUT, data)])
    assert [len(record.data) for record in store.records(KEY)] == [MAX_LENGTH, MAX_LENGTH, 5]
    assert content(store, OUT) == data


def test_a_log_that_was_never_written_is_empty(store: FileLogStore) -> None:
    assert list(store.records(KEY)) == []
    assert store.last_line(KEY, OUT, 10) is None
    assert store.tail(KEY, 5) == ()
    store.remove(KEY)


def test_a_second_writer_goes_on_where_the_first_stopped(store: FileLogStore) -> None:
    fill(store, [(OUT, b"one\n")])
    fill(store, [(ERR, b"two\n")])
    assert [(record.offset, record.data) for record in store.records(KEY)] == [(0, b"one\n"), (4, b"two\n")]


def test_a_closed_log_is_synced_to_the_disk_if_anything_was_written(
    store: FileLogStore, tmp_path: Path, synced: list[int]
) -> None:
    fill(store, [(OUT, b"one\n")])
    files = files_of(tmp_path, KEY)
    assert {files.log.stat().st_ino, files.index.stat().st_ino} <= set(synced)
    before = len(synced)
    fill(store, [])
    assert len(synced) == before


# --- crashes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["1.log", "1.idx", "1.sys"])
def test_after_a_file_was_cut_short_at_any_byte_what_remains_is_a_prefix_and_writing_goes_on(
    tmp_path: Path, name: str
) -> None:
    store = FileLogStore(tmp_path / "whole")
    writer = store.writer(KEY)
    for step in range(4):
        writer.append([(OUT, b"out%d\n" % step)], AT)
        writer.note(f"note{step}", AT)
        writer.append([(ERR, b"\xffe%d" % step)], AT)
    writer.close()
    whole = b"".join(record.data for record in store.records(KEY))
    size = (files_of(tmp_path / "whole", KEY).folder / name).stat().st_size
    for keep in range(size):
        folder = tmp_path / f"{keep}"
        shutil.copytree(tmp_path / "whole", folder)
        with (files_of(folder, KEY).folder / name).open("r+b") as file:
            file.truncate(keep)
        torn = FileLogStore(folder)
        fill(torn, [(OUT, b"new\n")])
        shown = b"".join(record.data for record in torn.records(KEY))
        assert shown.endswith(b"new\n")
        assert whole.startswith(shown.removesuffix(b"new\n"))
        if name == "1.idx":
            assert len(list(torn.records(KEY))) == keep // RECORD_SIZE + 1
        shutil.rmtree(folder)


@pytest.mark.parametrize("rubbish", [b"\0" * 100, b"\xff" * 64, b"torn"])
def test_rubbish_behind_the_index_or_the_log_is_cut_off_on_open(
    store: FileLogStore, tmp_path: Path, rubbish: bytes
) -> None:
    fill(store, [(OUT, b"one\n")])
    files = files_of(tmp_path, KEY)
    for path in (files.index, files.log):
        with path.open("ab") as file:
            file.write(rubbish)
    fill(store, [(OUT, b"two\n")])
    assert content(store, OUT) == b"one\ntwo\n"
    assert files.log.read_bytes() == b"one\ntwo\n"


def test_bytes_without_a_record_are_not_shown(store: FileLogStore, tmp_path: Path) -> None:
    fill(store, [(OUT, b"one\n")])
    with files_of(tmp_path, KEY).log.open("ab") as file:
        file.write(b"not covered")
    assert content(store, OUT) == b"one\n"


@pytest.mark.parametrize("room", [0, 3, 8, 8 + 10, 8 + RECORD_SIZE, 8 + RECORD_SIZE + 1])
def test_a_full_disk_is_told_and_leaves_a_log_that_goes_on(
    store: FileLogStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    writer = store.writer(KEY)
    writer.append([(OUT, b"one\n")], AT)
    left = room

    def nearly_full(fd: int, data: memoryview, at: int) -> int:
        nonlocal left
        if not left:
            raise OSError(28, "No space left on device")
        written = genuine(fd, data[:left], at)
        left -= written
        return written

    genuine = os.pwrite
    with monkeypatch.context() as patch:
        patch.setattr("os.pwrite", nearly_full)
        with pytest.raises(LogUnavailableError, match="No space left"):
            writer.append([(OUT, b"two\n"), (ERR, b"err\n")], AT)
    assert content(store, OUT) == b"one\n"
    writer.append([(OUT, b"2\n")], AT)
    writer.close()
    assert files_of(tmp_path, KEY).log.read_bytes() == b"one\n2\n"
    assert content(store, OUT) == b"one\n2\n"


def test_a_closed_writer_writes_into_no_file_that_was_opened_since(store: FileLogStore) -> None:
    writer = store.writer(KEY)
    writer.close()
    writer.close()
    other = store.writer(TryKey(KEY.task, 2))
    for use in (lambda: writer.append([(OUT, b"x")], AT), lambda: writer.note("x", AT), writer.rewind):
        with pytest.raises(LogUnavailableError):
            use()
    other.close()
    assert content(store, OUT) == b""


# --- cutting back -------------------------------------------------------------------------------------


@given(what=writes)
def test_rewind_keeps_the_complete_lines_of_each_stream_and_counts_them(fresh: Fresh, what: list[Write]) -> None:
    store = fresh.store()
    fill(store, what)
    writer = store.writer(KEY)
    counts = writer.rewind()
    writer.append([(OUT, b"next\n")], AT)
    writer.close()
    for stream in Stream:
        kept = complete_lines(of(stream, what))
        assert counts[stream] == kept.count(b"\n")
        assert content(store, stream) == kept + (b"next\n" if stream is OUT else b"")
    assert (fresh.files() / "1.log").stat().st_size == sum(len(record.data) for record in payload(store))
    assert sorted(path.suffix for path in fresh.files().iterdir()) == [".idx", ".log"]


def test_rewind_keeps_what_was_known_of_the_lines_that_stay(store: FileLogStore) -> None:
    writer = store.writer(KEY)
    writer.append([(OUT, b"half a ")], AT)
    writer.note("note", AT)
    writer.append([(ERR, b"error\nand")], AT + timedelta(seconds=1), LogFlag.READ_BACK)
    assert writer.rewind() == {OUT: 0, ERR: 1}
    writer.close()
    assert [(record.data, record.stream, record.at, record.flags) for record in store.records(KEY)] == [
        (b"note\n", OUT, AT, LogFlag.SYSTEM),
        (b"error\n", ERR, AT + timedelta(seconds=1), LogFlag.READ_BACK),
    ]


@given(what=writes)
def test_a_follower_misses_nothing_that_comes_after_a_rewind(fresh: Fresh, what: list[Write]) -> None:
    store = fresh.store()
    fill(store, what)
    start = max((record.offset + len(record.data) for record in store.records(KEY)), default=0)
    writer = store.writer(KEY)
    writer.rewind()
    writer.append([(ERR, b"new")], AT)
    writer.close()
    assert content(store, ERR, start) == b"new"


def test_a_crash_anywhere_in_a_rewind_is_made_good_by_the_next_open(fresh: Fresh) -> None:
    crashes = 0
    while _rewind_with_a_crash(fresh, crashes):
        crashes += 1
    assert crashes > 10


def _rewind_with_a_crash(fresh: Fresh, calls: int) -> bool:
    """Whether a rewind makes more than `calls` calls that change files; it is killed before the next one."""
    store = fresh.store()
    fill(store, [(OUT, b"one\nhalf"), (ERR, b"two\nthree\nhalf"), (OUT, b"still half"), (ERR, b"\nfour\n")])
    writer = store.writer(KEY)
    left = iter(range(calls))
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((os, "pwrite"), (os, "ftruncate"), (os, "fsync"), (Path, "rename"), (Path, "unlink")):
            patch.setattr(owner, name, _counted(getattr(owner, name), left))
        crashed = False
        try:
            writer.rewind()
        except Killed:
            crashed = True
    assert b"one\nhalfstill half".startswith(content(store, OUT))
    assert b"two\nthree\nhalf\nfour\n".startswith(content(store, ERR))
    again = store.writer(KEY)
    assert again.rewind() == {OUT: 1, ERR: 4}
    again.close()
    assert content(store, OUT) == b"one\n"
    assert content(store, ERR) == b"two\nthree\nhalf\nfour\n"
    assert (fresh.files() / "1.log").read_bytes() == b"one\ntwo\nthree\nhalf\nfour\n"
    return crashed


class Killed(BaseException):
    """Stands for kill -9: nothing handles it."""


def _counted(call: Callable[..., object], left: Iterator[int]) -> Callable[..., object]:
    def guarded(*arguments: object, **options: object) -> object:
        if next(left, None) is None:
            raise Killed
        return call(*arguments, **options)

    return guarded


# --- reading ------------------------------------------------------------------------------------------


def test_what_is_read_while_another_thread_writes_is_always_a_prefix(store: FileLogStore) -> None:
    data = [b"%d: %s\n" % (number, b"x" * (number % 97)) for number in range(1500)]
    whole = b"".join(data)
    writer = store.writer(KEY)
    done = threading.Event()

    def write() -> None:
        for each in data:
            writer.append([(OUT, each)], AT)
        writer.close()
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen, start = b"", 0
    while not done.is_set() or len(seen) < len(whole):
        for record in store.records(KEY, start):
            assert record.offset == len(seen)
            seen += record.data
            start = record.offset + len(record.data)
        assert whole.startswith(seen)
    thread.join()
    assert seen == whole


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ([], None),
        ([(OUT, b"\n  \n\t\n")], None),
        ([(OUT, b"one\ntwo\n")], b"two"),
        ([(OUT, b"one\ntwo")], b"two"),
        ([(OUT, b"one\r\ntwo\r\n")], b"two"),
        ([(OUT, b"one\n"), (ERR, b"other\n"), (OUT, b" \n\n")], b"one"),
        ([(OUT, b"on"), (ERR, b"x\n"), (OUT, b"e  "), (OUT, b"  \n"), (OUT, b"\n")], b"one    "),
        ([(OUT, b"a\nbegun "), (OUT, b"here "), (OUT, b"ended")], b"begun here ended"),
    ],
)
def test_the_last_line_is_the_last_that_is_not_blank(
    store: FileLogStore, what: list[Write], expected: bytes | None
) -> None:
    fill(store, what)
    assert store.last_line(KEY, OUT, 100) == expected


@given(what=writes)
def test_the_last_line_is_what_splitting_the_stream_would_give(fresh: Fresh, what: list[Write]) -> None:
    store = fresh.store()
    fill(store, what)
    lines = [line for line in of(OUT, what).split(b"\n") if line.strip()]
    assert store.last_line(KEY, OUT, 1000) == (lines[-1].removesuffix(b"\r") if lines else None)


def test_a_last_line_may_be_as_long_as_the_limit_and_no_longer(store: FileLogStore) -> None:
    fill(store, [(OUT, b"short\n"), (OUT, b"x" * 60), (OUT, b"y" * 40), (OUT, b"\n"), (OUT, b"\n" * 500)])
    assert store.last_line(KEY, OUT, 100) == b"x" * 60 + b"y" * 40
    with pytest.raises(FileTooLargeError):
        store.last_line(KEY, OUT, 99)


def test_the_tail_shows_the_last_lines_of_both_streams_as_text(store: FileLogStore) -> None:
    fill(store, [(OUT, b"one\ntw"), (ERR, b"err\xff\n"), (OUT, b"o\r\nend")])
    assert store.tail(KEY, 3) == ("err\ufffd", "two", "end")
    assert store.tail(KEY, 0) == ()
    assert store.tail(KEY, 99) == ("one", "err\ufffd", "two", "end")


# --- places -------------------------------------------------------------------------------------------


@given(ids=st.lists(st.sampled_from(["..", ".", "a/b", "%2e", "a" * 250, "é" * 200, "x:y", "a"]), min_size=3))
def test_no_id_leads_out_of_the_folder_and_no_two_share_a_file(tmp_path_factory: object, ids: list[str]) -> None:
    root = Path("/logs")
    dag, run, task = ids[:3]
    path = files_of(root, TryKey(TaskKey(dag, run, task), 1)).log
    assert path.parts[:2] == root.parts
    assert len(path.parts) == 6
    assert ".." not in path.parts
    assert all(len(part) <= 200 for part in path.parts)
    swapped = files_of(root, TryKey(TaskKey(run, dag, task), 1)).log
    assert (swapped == path) == (dag == run)


def test_a_mapped_instance_has_a_folder_of_its_own(store: FileLogStore, tmp_path: Path) -> None:
    task = KEY.task
    mapped = TryKey(TaskKey(task.dag_id, task.run_id, task.task_id, 7), 2)
    assert files_of(tmp_path, mapped).log == tmp_path / "d" / "manual__2024-01-01T00%3A00%3A00%2B00%3A00/t/7/2.log"


def test_remove_takes_the_files_and_the_folders_that_are_empty_then(store: FileLogStore, tmp_path: Path) -> None:
    fill(store, [(OUT, b"one\n")])
    other = store.writer(TryKey(TaskKey("d", "other", "t"), 1))
    other.note("only a note", AT)
    other.close()
    store.remove(KEY)
    assert list(store.records(KEY)) == []
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["other"]
    store.remove(TryKey(TaskKey("d", "other", "t"), 1))
    assert list(tmp_path.iterdir()) == []
