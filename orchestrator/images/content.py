"""What a task image is made of: the files of its folder that the engine gets to see, their digest, and the
archive that is sent. Both are the same on every machine that has the same files: times, owners, the order of
folders and empty folders (which git does not keep either) leave no trace.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from docker.utils.build import exclude_paths

from orchestrator.errors import ImageError
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode

DOCKERFILE = "Dockerfile"
#: What tools leave behind and nobody means to ship. A `!pattern` in .dockerignore brings it back.
_DEBRIS = (
    "**/__pycache__", "**/*.pyc", "**/.pytest_cache", "**/.mypy_cache", "**/.ruff_cache", "**/.DS_Store", ".git",
)  # fmt: skip
#: Archives of times before 1980 break tools that zip what they were given.
_MTIME = 315_619_200


class Reader(Protocol):
    """The part of a binary file that `tarfile` reads."""

    def read(self, size: int = -1, /) -> bytes: ...


class ContextFile(Value, frozen=True, kw_only=True):
    """One file of a build context: its path with forward slashes, and its target where it is a link."""

    path: str
    size: int
    executable: bool = False
    link: str | None = None


def source_digest(folder: Path) -> str:
    """Hex digest of a task image's own files. `ImageError` where one cannot be read."""
    return _walk(folder, None, None)


def pack(folder: Path, target: BinaryIO, dockerfile: str) -> str:
    """Write the context archive, with `dockerfile` in the place of the Dockerfile; returns the digest of the
    folder's files as they were read, so that a change in the meantime shows."""
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as archive:
        return _walk(folder, archive, dockerfile.encode())


def context_files(folder: Path) -> Iterator[ContextFile]:
    """The files that are sent, sorted by path."""
    patterns = [*_DEBRIS, *_ignored(folder)]
    for path in sorted(each.replace(os.sep, "/") for each in exclude_paths(str(folder), patterns)):
        full = folder / path
        status = full.lstat()
        if full.is_symlink():
            yield ContextFile(path=path, size=0, link=str(full.readlink()))
        elif full.is_file():
            yield ContextFile(path=path, size=status.st_size, executable=bool(status.st_mode & 0o100))


def _walk(folder: Path, archive: tarfile.TarFile | None, dockerfile: bytes | None) -> str:
    total = hashlib.sha256()
    try:
        for each in context_files(folder):
            content = hashlib.sha256()
            if each.link is not None:
                content.update(each.link.encode())
                if archive:
                    archive.addfile(_head(each))
            else:
                with (folder / each.path).open("rb") as file:
                    _take(each, _Hashed(file, content), archive, dockerfile)
            kind = "l" if each.link is not None else "x" if each.executable else "f"
            total.update(f"{each.path}\0{kind}\0{content.hexdigest()}\n".encode())
    except OSError as error:
        raise ImageError(
            ReasonCode.IMAGE_BUILD_FAILED,
            f"a file of the task image {folder.name} cannot be read: {error}",
            fix="make it readable, or name it in .dockerignore",
        ) from error
    return total.hexdigest()


def _take(each: ContextFile, source: "_Hashed", archive: tarfile.TarFile | None, dockerfile: bytes | None) -> None:
    """Read a file to its end, into the archive if there is one."""
    if archive is not None and each.path != DOCKERFILE:
        archive.addfile(_head(each), source)
    if archive is not None and dockerfile is not None and each.path == DOCKERFILE:
        replaced = ContextFile(path=DOCKERFILE, size=len(dockerfile))
        archive.addfile(_head(replaced), io.BytesIO(dockerfile))
    while source.read(1 << 20):
        pass


def _head(each: ContextFile) -> tarfile.TarInfo:
    head = tarfile.TarInfo(each.path)
    head.mtime = _MTIME
    head.mode = 0o755 if each.executable else 0o644
    head.size = each.size
    if each.link is not None:
        head.type, head.linkname, head.mode = tarfile.SYMTYPE, each.link, 0o777
    return head


class _Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, file: Reader, digest: "hashlib._Hash") -> None:
        self._file = file
        self._digest = digest

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        return data


def _ignored(folder: Path) -> list[str]:
    try:
        lines = (folder / ".dockerignore").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
