"""Two schedulers at the same log files, one after the other, where the first one may wake up again: what it still
writes reaches no log, and it changes no file any more."""

from collections.abc import Callable
from pathlib import Path

import pytest
from log_bench import AT, ERR, KEY, OUT, content

from orchestrator.errors import LogUnavailableError
from orchestrator.tasklogs.files import files_of
from orchestrator.tasklogs.store import FileLogStore


class Lead:
    """Whether one of two leads."""

    def __init__(self) -> None:
        self.leads = True

    def __call__(self) -> bool:
        return self.leads


class Two:
    """The store of the leader before and that of the leader now; the first one does not know yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lead = Lead()
        self.before = FileLogStore(folder, self.lead)
        self.now = FileLogStore(folder, lambda: not self.lead.leads)

    def hand_over(self) -> None:
        self.lead.leads = False

    @property
    def files(self) -> dict[str, tuple[int, bytes]]:
        """Inode and bytes of every file of the log, by name."""
        found = files_of(self.folder, KEY).folder.iterdir()
        return {each.name: (each.stat().st_ino, each.read_bytes()) for each in found}


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


def test_what_the_one_before_writes_into_the_files_it_has_open_reaches_no_log(two: Two) -> None:
    stalled = two.before.writer(KEY)
    stalled.append([(OUT, b"one\ntwo\n"), (ERR, b"half a li")], AT)
    stalled.note("a line of ours", AT)
    two.hand_over()
    writer = two.now.writer(KEY)
    assert writer.rewind() == {OUT: 2, ERR: 0}
    stalled.append([(OUT, b"written by who woke up\n" * 3000)], AT)
    writer.append([(OUT, b"three\n")], AT)
    stalled.note("of who woke up", AT)
    stalled.append([(OUT, b"and again\n")], AT)
    writer.append([(ERR, b"a line\n")], AT)
    writer.end(AT)
    writer.close()
    stalled.end(AT)
    stalled.close()
    assert content(two.now, OUT) == b"one\ntwo\nthree\n"
    assert content(two.now, ERR) == b"a line\n"
    assert "who woke up" not in "".join(two.now.tail(KEY, 100))
    assert two.now.ended(KEY)


def test_bytes_that_had_come_in_before_are_there_for_who_goes_on(two: Two) -> None:
    stalled = two.before.writer(KEY)
    stalled.append([(OUT, b"x" * 3_000_000 + b"\n"), (ERR, b"y\n")], AT)
    two.hand_over()
    writer = two.now.writer(KEY)
    assert writer.rewind() == {OUT: 1, ERR: 1}
    assert content(two.now, OUT) == b"x" * 3_000_000 + b"\n"
    writer.close()
    stalled.close()


@pytest.mark.parametrize(
    "act",
    [
        lambda store: store.writer(KEY),
        lambda store: store.remove(KEY),
    ],
    ids=["open", "remove"],
)
def test_who_leads_no_more_changes_no_file(two: Two, act: Callable[[FileLogStore], object]) -> None:
    writer = two.before.writer(KEY)
    writer.append([(OUT, b"one\n")], AT)
    writer.close()
    two.hand_over()
    found = two.files
    with pytest.raises(LogUnavailableError, match="another one leads"):
        act(two.before)
    assert two.files == found


def test_who_leads_no_more_cuts_nothing_back(two: Two) -> None:
    stalled = two.before.writer(KEY)
    stalled.append([(OUT, b"one\nhalf")], AT)
    two.hand_over()
    found = two.files
    with pytest.raises(LogUnavailableError, match="another one leads"):
        stalled.rewind()
    assert two.files == found


def test_who_stands_still_while_it_changes_files_keeps_the_next_one_waiting(two: Two) -> None:
    two.before.writer(KEY).close()
    ownership = two.before._ownership
    assert ownership is not None
    with ownership.changing(files_of(two.folder, KEY)):
        two.hand_over()
        with pytest.raises(LogUnavailableError, match="does not go on"):
            two.now.writer(KEY)
    two.now.writer(KEY).close()


def test_a_log_is_copied_once_and_is_ours_then(two: Two) -> None:
    two.before.writer(KEY).close()
    first = two.files
    two.before.writer(KEY).close()
    assert two.files == first
    two.hand_over()
    two.now.writer(KEY).close()
    second = two.files
    assert {name: data for name, (_, data) in second.items()} == {name: data for name, (_, data) in first.items()}
    assert all(second[name][0] != first[name][0] for name in first)
    two.now.writer(KEY).close()
    assert two.files == second


def test_whoever_reads_meanwhile_sees_the_same_log_at_every_step(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    stalled = two.before.writer(KEY)
    stalled.append([(OUT, b"one\n"), (ERR, b"two\n")], AT)
    stalled.note("a line of ours", AT)
    stalled.close()
    two.hand_over()
    seen: list[tuple[str, ...]] = []
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        seen.append(two.now.tail(KEY, 9))
        moved = real(self, target)
        seen.append(two.now.tail(KEY, 9))
        return moved

    monkeypatch.setattr(Path, "rename", rename)
    two.now.writer(KEY).close()
    assert seen == [("one", "two")] * 6


@pytest.mark.parametrize("step", [1, 2, 3])
def test_who_dies_while_it_puts_copies_in_place_leaves_a_whole_log(
    two: Two, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = two.before.writer(KEY)
    writer.append([(OUT, b"one\n"), (ERR, b"two\n")], AT)
    writer.note("a line of ours", AT)
    writer.close()
    two.hand_over()
    left = [step]
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            two.now.writer(KEY)
    assert content(two.now, OUT) == b"one\n"
    after = FileLogStore(two.folder, lambda: True)
    going_on = after.writer(KEY)
    going_on.append([(OUT, b"three\n")], AT)
    going_on.close()
    assert after.tail(KEY, 9) == ("one", "two", "three")
    after.remove(KEY)
    assert not any(two.folder.iterdir())
