"""A log in parts, one for each container of a try: what belongs to the last one, and what nothing touches again."""

from datetime import timedelta

from log_bench import AT, ERR, KEY, OUT

from orchestrator.ports import LogFlag
from orchestrator.tasklogs.store import FileLogStore


def in_parts(store: FileLogStore, *parts: bytes) -> None:
    """A log whose parts have ended, but for the last one."""
    writer = store.writer(KEY)
    for number, part in enumerate(parts, 1):
        if part:
            writer.append([(OUT, part)], AT)
        if number < len(parts):
            writer.note(f"look {number}", AT, LogFlag.PART)
    writer.close()


def shown(store: FileLogStore) -> bytes:
    return b"".join(record.data for record in store.records(KEY))


def test_cutting_back_leaves_earlier_parts_as_they_are(store: FileLogStore) -> None:
    in_parts(store, b"one\nno end", b"two\nthr")
    writer = store.writer(KEY)
    assert writer.rewind() == {OUT: 1, ERR: 0}
    writer.append([(OUT, b"three\n")], AT)
    writer.close()
    assert shown(store) == b"one\nno endlook 1\ntwo\nthree\n"


def test_cutting_back_a_part_in_which_nothing_stands_cuts_nothing(store: FileLogStore) -> None:
    in_parts(store, b"one\nno end", b"")
    writer = store.writer(KEY)
    assert writer.rewind() == {OUT: 0, ERR: 0}
    writer.close()
    assert shown(store) == b"one\nno endlook 1\n"


def test_a_part_can_be_written_anew_and_no_offset_is_used_twice(store: FileLogStore) -> None:
    in_parts(store, b"one\n", b"two\n")
    seen = max(record.offset + len(record.data) for record in store.records(KEY))
    writer = store.writer(KEY)
    writer.restart()
    writer.append([(ERR, b"TWO\n")], AT + timedelta(seconds=1))
    writer.close()
    assert shown(store) == b"one\nlook 1\nTWO\n"
    assert [record.data for record in store.records(KEY, seen)] == [b"TWO\n"]


def test_a_log_without_parts_begins_anew_as_a_whole(store: FileLogStore) -> None:
    in_parts(store, b"one\n")
    writer = store.writer(KEY)
    writer.restart()
    writer.close()
    assert shown(store) == b""


def test_it_is_known_which_parts_are_whole(store: FileLogStore) -> None:
    in_parts(store, b"one\n", b"two\n", b"three\n")
    assert [store.ended(KEY, part) for part in (1, 2, 3)] == [True, True, False]
    writer = store.writer(KEY)
    writer.end(AT)
    writer.close()
    assert store.ended(KEY, 3)


def test_the_last_line_is_one_of_the_last_part(store: FileLogStore) -> None:
    in_parts(store, b"early\n", b"")
    assert store.last_line(KEY, OUT, 100) is None
    assert store.tail(KEY, 1) == ("early",)
    in_parts(store, b"late\n")
    assert store.last_line(KEY, OUT, 100) == b"late"


def test_the_ends_of_its_streams_are_those_of_the_newest_part(store: FileLogStore) -> None:
    in_parts(store, b"one\n", b"two\n")
    writer = store.writer(KEY)
    for stretch in ((ERR, b"error\n"), (OUT, b"three\n"), (OUT, b"four\n")):
        writer.append([stretch], AT)
    writer.note("a line of ours", AT)
    writer.close()
    assert store.ends(KEY, 100) == {OUT: b"two\nthree\nfour\n", ERR: b"error\n"}
    assert store.ends(KEY, 7) == {OUT: b"e\nfour\n", ERR: b"error\n"}


def test_where_there_is_no_log_there_are_no_ends(store: FileLogStore) -> None:
    assert store.ends(KEY, 100) == {OUT: b"", ERR: b""}
