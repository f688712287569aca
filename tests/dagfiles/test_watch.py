"""Watching a real folder. Each test waits for a batch, never for a time."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from authoring_project import make_project, write

from orchestrator.clock import SystemClock
from orchestrator.dagfiles.watch import DagFolder
from orchestrator.ports import Batch
from orchestrator.settings import Project
from orchestrator.spec.dag import ParsedFile, Problem


class Watched:
    """A folder's batches, taken one at a time."""

    def __init__(self, project: Project) -> None:
        self.folder = DagFolder(project, SystemClock())
        self._stop = threading.Event()
        self._batches = self.folder.batches(self._stop)
        self._thread = ThreadPoolExecutor(1)

    def next(self) -> Batch:
        return self._thread.submit(next, self._batches).result(20)

    def changed_until(self, file: str) -> set[str]:
        """What has changed when that file has, in however many batches."""
        seen: set[str] = set()
        while file not in seen:
            seen |= set(self.next().changed)
        return seen

    def close(self) -> list[Batch]:
        self._stop.set()
        rest = self._thread.submit(list, self._batches).result(20)
        self._thread.shutdown()
        return rest


@pytest.fixture
def watched(empty_project: Project) -> Iterator[Watched]:
    for file in ("a.py", "b.py"):
        write(empty_project, file, "1")
    each = Watched(empty_project)
    assert each.next() == Batch(changed=("a.py", "b.py"))
    yield each
    each.close()


def test_the_first_batch_comes_even_where_there_is_nothing(empty_project: Project) -> None:
    empty = Watched(empty_project)
    assert empty.next() == Batch()
    assert empty.close() == []


def test_new_changed_and_removed_files_are_told(empty_project: Project, watched: Watched) -> None:
    write(empty_project, "c/new.py", "1")
    assert watched.next() == Batch(changed=("c/new.py",))
    write(empty_project, "a.py", "22")
    assert watched.next() == Batch(changed=("a.py",))
    (empty_project.dags_folder / "b.py").unlink()
    assert watched.next() == Batch(gone=("b.py",))


def test_a_file_that_is_replaced_by_a_rename_is_changed(empty_project: Project, watched: Watched) -> None:
    new = empty_project.root / "new"
    new.write_text("2")
    new.rename(empty_project.dags_folder / "a.py")
    assert watched.next() == Batch(changed=("a.py",))


def test_files_that_depend_on_what_changed_are_parsed_again(empty_project: Project, watched: Watched) -> None:
    write(empty_project, "limits.yaml", "1")
    outside = empty_project.root / "outside.txt"
    outside.write_text("1")
    watched.folder.parsed(
        ParsedFile(file="a.py", dependencies=("dags/limits.yaml", "dags/later.txt", "outside.txt"))
    )
    for change in (
        lambda: write(empty_project, "limits.yaml", "22"),
        lambda: outside.write_text("22"),
        lambda: write(empty_project, "later.txt", "1"),
        (empty_project.dags_folder / "limits.yaml").unlink,
    ):
        change()
        assert watched.next() == Batch(changed=("a.py",))


def test_a_broken_file_is_parsed_again_when_anything_changes(empty_project: Project, watched: Watched) -> None:
    problem = Problem(file="a.py", rule="import", text="no module helper")
    watched.folder.parsed(ParsedFile(file="a.py", problems=(problem,)))
    write(empty_project, "helper.py", "1")
    assert watched.next() == Batch(changed=("a.py", "helper.py"))
    watched.folder.parsed(ParsedFile(file="a.py"))
    write(empty_project, "helper.py", "22")
    assert watched.next() == Batch(changed=("helper.py",))


def test_an_ignore_file_that_comes_takes_files_away(empty_project: Project, watched: Watched) -> None:
    write(empty_project, ".orchestratorignore", "b.py\n")
    assert watched.next() == Batch(gone=("b.py",))


def test_every_file_is_parsed_again_after_a_while(empty_project: Project) -> None:
    write(empty_project, "a.py", "1")
    project = make_project(empty_project.root, reparse_every=0.0)
    again = Watched(project)
    assert [again.next(), again.next()] == [Batch(changed=("a.py",))] * 2
    again.close()


def test_without_notices_of_the_system_a_look_each_second_is_enough(
    empty_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object, **__: object) -> Iterator[None]:
        raise OSError("no more watches")

    monkeypatch.setattr("watchfiles.watch", cannot)
    blind = Watched(empty_project)
    assert blind.next() == Batch()
    write(empty_project, "a.py", "1")
    assert blind.next() == Batch(changed=("a.py",))
    blind.close()
