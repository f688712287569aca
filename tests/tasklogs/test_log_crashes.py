"""Logs after a crash at any byte, on a full disk, and cut back to complete lines."""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from log_bench import AT, ERR, KEY, OUT, Fresh, Write, complete_lines, content, fill, of, payload, writes

from orchestrator.errors import LogUnavailableError
from orchestrator.ids import TryKey
from orchestrator.ports import LogFlag, Stream
from orchestrator.tasklogs.files import files_of
from orchestrator.tasklogs.index import RECORD_SIZE
from orchestrator.tasklogs.store import FileLogStore


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
