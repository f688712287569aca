"""`ports.ArtifactStore` over a folder of files.

A try's folder has the contents under numbers, not under the names that a task chose: these may be too long, differ
in case only, or lead elsewhere. `harvest.json` says which is which. All is written into a draft beside it, and
appears by one rename.
"""

import contextlib
import glob
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import msgspec

from orchestrator.errors import ArtifactsUnavailableError, NoSuchFileError
from orchestrator.ids import TryKey, folder_of
from orchestrator.spec.artifacts import Artifact, ArtifactId, Harvest
from orchestrator.spec.value import Value

_INDEX = "harvest.json"
_CHUNK = 1 << 20


class _Index(Value, frozen=True, kw_only=True):
    """What `harvest.json` holds: the harvest, and the number of each artifact's content."""

    harvest: Harvest
    contents: tuple[int, ...]


class FileArtifactStore:
    """Harvests of tries under `folder`. Where several schedulers use it, `leads` tells whether this is the one that
    writes there now."""

    def __init__(self, folder: Path, leads: Callable[[], bool] = lambda: True) -> None:
        self._folder = folder
        self._leads = leads

    def draft(self, key: TryKey) -> "FileDraft":
        return FileDraft(self._place(key), self._leads)

    def harvest(self, key: TryKey) -> Harvest | None:
        index = self._index(key)
        return None if index is None else index.harvest

    def open(self, artifact: ArtifactId) -> IO[bytes]:
        path = self.path(artifact)
        with _faults(path):
            return path.open("rb")

    def path(self, artifact: ArtifactId) -> Path:
        """Where the content of a kept file lies. `NoSuchFileError`."""
        index = self._index(artifact.attempt)
        if index is not None:
            for kept, number in zip(index.harvest.artifacts, index.contents, strict=True):
                if kept.path == artifact.path:
                    return self._place(artifact.attempt) / str(number)
        task = artifact.attempt.task
        raise NoSuchFileError(f"nothing is kept of {artifact.path} of {task.task_id} in {task.run_id}")

    def remove(self, key: TryKey) -> None:
        place = self._place(key)
        with _faults(place):
            _remove(place)
            _remove_drafts(place)
            with contextlib.suppress(OSError):  # the first one that is not empty
                for folder in place.parents:
                    if folder == self._folder:
                        break
                    folder.rmdir()

    def _place(self, key: TryKey) -> Path:
        return self._folder / folder_of(key.task) / str(key.number)

    def _index(self, key: TryKey) -> _Index | None:
        path = self._place(key) / _INDEX
        with _faults(path):
            try:
                return msgspec.json.decode(path.read_bytes(), type=_Index)
            except (FileNotFoundError, NotADirectoryError):
                return None
            except msgspec.MsgspecError as error:
                raise ArtifactsUnavailableError(
                    f"{path} cannot be read: {error}", fix=f"remove {path.parent}, which loses what is kept there"
                ) from error


class FileDraft:
    """See `ports.ArtifactDraft`."""

    def __init__(self, place: Path, leads: Callable[[], bool]) -> None:
        self._place = place
        self._leads = leads
        self._draft = place.with_name(f"{place.name}.{secrets.token_hex(4)}.part")
        self._made = 0
        self._kept: dict[str, tuple[Artifact, int]] = {}
        self._check_lead()
        with _faults(self._draft):
            _remove_drafts(place)  # of a process that died, or leads no more
            self._draft.mkdir(parents=True)

    def add(self, path: str, content: IO[bytes], *, mode: int) -> int:
        number, self._made = self._made, self._made + 1
        digest, size = hashlib.sha256(), 0
        target = self._draft / str(number)
        with _faults(target), target.open("xb") as file:
            for chunk in iter(lambda: content.read(_CHUNK), b""):
                digest.update(chunk)
                size += file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        self._kept[path] = (Artifact(path=path, size=size, mode=mode, sha256=digest.hexdigest()), number)
        return size

    def repeat(self, path: str, target: str) -> bool:
        if target not in self._kept:
            return False
        artifact, number = self._kept[target]
        self._kept[path] = (msgspec.structs.replace(artifact, path=path), number)
        return True

    def commit(self, harvest: Harvest) -> None:
        kept = [self._kept[path] for path in sorted(self._kept)]
        whole = msgspec.structs.replace(harvest, artifacts=tuple(artifact for artifact, _ in kept))
        index = _Index(harvest=whole, contents=tuple(number for _, number in kept))
        path = self._draft / _INDEX
        self._check_lead()
        with _faults(path):
            with path.open("xb") as file:
                file.write(msgspec.json.encode(index))
                file.flush()
                os.fsync(file.fileno())
            _sync(self._draft)
            _remove(self._place)  # of an older life of this name
            self._draft.rename(self._place)
            _sync(self._place.parent)

    def discard(self) -> None:
        with _faults(self._draft):
            _remove(self._draft)

    def _check_lead(self) -> None:
        if not self._leads():
            raise ArtifactsUnavailableError(
                f"{self._place} is not this scheduler's: another one leads, or may do so",
                fix="nothing is to be done: who leads brings in what is missing",
            )


def _remove_drafts(place: Path) -> None:
    """All that were begun for a try and not put in its place."""
    for draft in place.parent.glob(f"{glob.escape(place.name)}.*part"):
        _remove(draft)


def _remove(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _faults(path: Path) -> Iterator[None]:
    """Tell the operating system's faults as `ArtifactsUnavailableError`."""
    try:
        yield
    except OSError as error:
        raise ArtifactsUnavailableError(
            f"{path} cannot be used: {error.strerror or error}",
            fix=f"check free space and permissions of {path.parent}; it goes on by itself afterwards",
        ) from error
