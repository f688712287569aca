"""What every engine promises of files that are copied out, the fake and the real one alike."""

import io
from typing import IO

import pytest
from engine_lab import QUIET, SHELF, Lab

from orchestrator.errors import NoSuchContainerError, NoSuchFileError
from orchestrator.ids import ContainerId, TaskKey, TryKey
from orchestrator.ports import FoundFile, FoundKind
from orchestrator.spec.artifacts import ArtifactId
from orchestrator.spec.container import InputFile

NOBODY = ContainerId("0" * 64)


def copied(lab: Lab, container: ContainerId, path: str, most: int = 100) -> dict[str, bytes]:
    """What is handed out of a path, up to so many files."""
    taken: dict[str, bytes] = {}

    def take(found: FoundFile, content: IO[bytes] | None) -> bool:
        assert found.kind is FoundKind.FILE
        assert content is not None
        taken[found.path] = content.read()
        assert found.size == len(taken[found.path])
        return len(taken) < most

    lab.engine.copy_out(container, path, take)
    return taken


def test_a_file_or_all_below_a_folder_is_handed_out_after_the_end(lab: Lab) -> None:
    container = lab.finished(SHELF, volumes=("/vol",))
    assert copied(lab, container, "/out") == {"/out/a.txt": b"a", "/out/deep/b.txt": b"bb"}
    assert copied(lab, container, "/out/deep/b.txt") == {"/out/deep/b.txt": b"bb"}
    assert copied(lab, container, "/vol") == {"/vol/c.txt": b"c"}


def test_who_has_enough_is_handed_no_more(lab: Lab) -> None:
    container = lab.finished(SHELF, volumes=("/vol",))
    assert len(copied(lab, container, "/out", most=1)) == 1
    assert len(copied(lab, container, "/out")) == 2


def test_what_is_not_there_is_told(lab: Lab) -> None:
    container = lab.finished(QUIET)
    with pytest.raises(NoSuchFileError):
        copied(lab, container, "/out")
    with pytest.raises(NoSuchContainerError):
        copied(lab, NOBODY, "/out")
    with pytest.raises(NoSuchContainerError):
        lab.engine.changed_paths(NOBODY)


def test_what_a_container_changed_outside_its_mounts_is_told_with_sizes(lab: Lab) -> None:
    container = lab.finished(SHELF, volumes=("/vol",))
    changed = [path for path in lab.engine.changed_paths(container) if path.startswith(("/out", "/vol/"))]
    assert changed == ["/out/a.txt", "/out/deep/b.txt"]
    assert lab.engine.file_size(container, "/out/deep/b.txt") == 2
    assert lab.engine.file_size(container, "/vol/c.txt") == 1
    assert lab.engine.file_size(container, "/out") is None
    assert lab.engine.file_size(container, "/out/none") is None


def test_kept_files_are_put_in_from_where_they_are_kept(lab: Lab) -> None:
    kept = ArtifactId(attempt=TryKey(TaskKey("d", "r", "t"), 1), path="/out/large")
    content = b"x" * 3_000_000
    container = lab.create(QUIET)
    files = [InputFile(path="/in/large", artifact=kept), InputFile(path="/in/small", data=b"1")]
    lab.engine.put_files(container, files, {kept: io.BytesIO(content)}.__getitem__)
    assert lab.engine.read_file(container, "/in/large", len(content)) == content
    assert lab.engine.read_file(container, "/in/small", 1) == b"1"
    with pytest.raises(NoSuchFileError):
        lab.engine.put_files(container, files)
