"""Kept files: whole or not at all, under names of ours, and readable by anyone at any time."""

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.artifacts.store import FileArtifactStore
from orchestrator.errors import ArtifactsUnavailableError, NoSuchFileError
from orchestrator.ids import TaskKey, TryId, TryKey
from orchestrator.spec.artifacts import Artifact, ArtifactId, Harvest

KEY = TryKey(TaskKey("d", "manual__2024-01-01T00:00:00+00:00", "t"), 1)
AT = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> FileArtifactStore:
    return FileArtifactStore(tmp_path / "artifacts")


def bring_in(store: FileArtifactStore, files: dict[str, bytes], try_id: str = "1") -> None:
    draft = store.draft(KEY)
    for path, data in files.items():
        assert draft.add(path, io.BytesIO(data), mode=0o644) == len(data)
    draft.commit(Harvest(try_id=TryId(try_id), at=AT, notes=("a note",)))
    draft.discard()


def content(store: FileArtifactStore, path: str) -> bytes:
    with store.open(ArtifactId(attempt=KEY, path=path)) as file:
        return file.read()


def test_what_was_brought_in_is_told_in_order_and_read_back(store: FileArtifactStore, tmp_path: Path) -> None:
    names = {"/out/b": b"2" * 3_000_000, "/out/B": b"1", "/out/" + "x" * 300: b"", "/out/../../etc/passwd": b"3"}
    bring_in(store, names)
    harvest = store.harvest(KEY)
    assert harvest is not None
    assert [artifact.path for artifact in harvest.artifacts] == sorted(names)
    assert harvest.notes == ("a note",)
    assert {path: content(store, path) for path in names} == names
    first = next(artifact for artifact in harvest.artifacts if artifact.path == "/out/B")
    digest = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    assert first == Artifact(path="/out/B", size=1, mode=0o644, sha256=digest)
    written = {path.name for path in (tmp_path / "artifacts").rglob("*") if path.is_file()}
    assert written == {"0", "1", "2", "3", "harvest.json"}


def test_nothing_is_seen_before_it_is_committed_nor_of_what_was_discarded(store: FileArtifactStore) -> None:
    draft = store.draft(KEY)
    draft.add("/out/a", io.BytesIO(b"1"), mode=0o600)
    assert store.harvest(KEY) is None
    with pytest.raises(NoSuchFileError):
        content(store, "/out/a")
    draft.discard()
    draft.discard()
    assert store.harvest(KEY) is None


def test_a_draft_that_a_crash_left_is_forgotten_by_the_next(store: FileArtifactStore) -> None:
    store.draft(KEY).add("/out/old", io.BytesIO(b"1"), mode=0o600)
    bring_in(store, {"/out/new": b"2"})
    harvest = store.harvest(KEY)
    assert harvest is not None
    assert [artifact.path for artifact in harvest.artifacts] == ["/out/new"]


def test_an_older_life_of_the_same_name_is_replaced(store: FileArtifactStore) -> None:
    bring_in(store, {"/out/a": b"old", "/out/b": b"old"})
    bring_in(store, {"/out/a": b"new"}, try_id="2")
    assert content(store, "/out/a") == b"new"
    with pytest.raises(NoSuchFileError, match="/out/b of t"):
        content(store, "/out/b")


def test_a_second_name_of_a_file_is_kept_once(store: FileArtifactStore) -> None:
    draft = store.draft(KEY)
    draft.add("/out/a", io.BytesIO(b"1"), mode=0o644)
    assert draft.repeat("/out/z", "/out/a")
    assert not draft.repeat("/out/y", "/out/other")
    draft.commit(Harvest(try_id=TryId("1"), at=AT))
    assert content(store, "/out/z") == b"1"


def test_an_index_that_is_damaged_is_told_with_its_place(store: FileArtifactStore, tmp_path: Path) -> None:
    bring_in(store, {"/out/a": b"1"})
    (index,) = (tmp_path / "artifacts").rglob("harvest.json")
    index.write_bytes(b"{")
    with pytest.raises(ArtifactsUnavailableError) as refused:
        store.harvest(KEY)
    assert str(index) in refused.value.message
    assert str(index.parent) in refused.value.fix


def test_a_disk_that_takes_nothing_is_trouble_that_may_pass(store: FileArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_bytes(b"in the way")
    with pytest.raises(ArtifactsUnavailableError, match="cannot be used"):
        store.draft(KEY)
    (tmp_path / "artifacts").unlink()
    bring_in(store, {"/out/a": b"1"})
    assert content(store, "/out/a") == b"1"


def test_what_is_removed_leaves_no_folder(store: FileArtifactStore, tmp_path: Path) -> None:
    bring_in(store, {"/out/a": b"1"})
    store.remove(KEY)
    store.remove(KEY)
    assert store.harvest(KEY) is None
    assert not list((tmp_path / "artifacts").iterdir())


def test_who_leads_no_more_brings_nothing_in(tmp_path: Path) -> None:
    leads = True
    before = FileArtifactStore(tmp_path / "artifacts", lambda: leads)
    now = FileArtifactStore(tmp_path / "artifacts")
    stalled = before.draft(KEY)
    stalled.add("/out/a", io.BytesIO(b"half"), mode=0o600)
    leads = False
    bring_in(now, {"/out/a": b"whole", "/out/b": b"too"})
    with pytest.raises(ArtifactsUnavailableError, match="another one leads"):
        stalled.commit(Harvest(try_id=TryId("1"), at=AT))
    with pytest.raises(ArtifactsUnavailableError, match="another one leads"):
        before.draft(KEY)
    assert content(now, "/out/a") == b"whole"
    assert content(now, "/out/b") == b"too"


def test_drafts_of_two_processes_do_not_mix(store: FileArtifactStore, tmp_path: Path) -> None:
    """Where one stood still between being asked whether it leads and what it does then."""
    stalled = FileArtifactStore(tmp_path / "artifacts").draft(KEY)
    stalled.add("/out/a", io.BytesIO(b"half"), mode=0o600)
    draft = store.draft(KEY)
    draft.add("/out/a", io.BytesIO(b"whole"), mode=0o600)
    with pytest.raises(ArtifactsUnavailableError):
        stalled.add("/out/b", io.BytesIO(b"more"), mode=0o600)
    draft.commit(Harvest(try_id=TryId("1"), at=AT))
    with pytest.raises(ArtifactsUnavailableError):
        stalled.commit(Harvest(try_id=TryId("1"), at=AT))
    assert content(store, "/out/a") == b"whole"
