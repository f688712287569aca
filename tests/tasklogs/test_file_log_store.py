"""Logs on disk: exact bytes, in their places, readable while they are written."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_bench import AT, ERR, KEY, OUT, Fresh, Write, content, fill, of, writes

from orchestrator.errors import FileTooLargeError
from orchestrator.ids import TaskKey, TryKey
from orchestrator.ports import LogFlag, LogRecord, Stream
from orchestrator.tasklogs.files import files_of
from orchestrator.tasklogs.index import MAX_LENGTH
from orchestrator.tasklogs.store import FileLogStore


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


def test_a_log_says_that_it_is_whole_once_it_was_marked_so_and_nobody_is_shown_the_mark(
    store: FileLogStore,
) -> None:
    fill(store, [(OUT, b"one\n"), (ERR, b"two\n")])
    shown = list(store.records(KEY))
    assert not store.ended(KEY)
    writer = store.writer(KEY)
    writer.end(AT)
    writer.close()
    assert store.ended(KEY)
    assert list(store.records(KEY)) == shown
    assert store.last_line(KEY, OUT, 100) == b"one"
    assert store.tail(KEY, 5) == ("one", "two")


def test_a_log_without_a_byte_can_be_whole_and_one_that_goes_on_after_all_is_not(store: FileLogStore) -> None:
    assert not store.ended(KEY)
    writer = store.writer(KEY)
    writer.end(AT)
    writer.close()
    assert store.ended(KEY)
    fill(store, [(OUT, b"more")])
    assert not store.ended(KEY)
    assert content(store, OUT) == b"more"


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
