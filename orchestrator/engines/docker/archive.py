"""Files in and out of containers as the tar archives that the engine's archive API speaks."""

import io
import posixpath
import stat
import tarfile
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import IO

import msgspec

from orchestrator.errors import FileTooLargeError, NoSuchFileError
from orchestrator.ports import FoundFile, FoundKind
from orchestrator.spec.artifacts import ArtifactId, none_stored
from orchestrator.spec.container import InputFile
from orchestrator.spec.value import Value

#: File types as the engine writes them: the bits of Go's `fs.FileMode`, not those of `stat`.
_GO_SYMLINK, _GO_STICKY, _GO_TYPES = 1 << 27, 1 << 20, 0x8F280000


class PathFacts(Value, frozen=True, kw_only=True):
    """What the engine says of a path before its bytes. `link` is where a symbolic link leads."""

    size: int
    regular: bool
    link: str = ""


def path_mode(header: str) -> int:
    """The permissions (and the sticky bit) in that header, as `chmod` takes them."""
    mode, _ = _told(header)
    return mode & 0o777 | (stat.S_ISVTX if mode & _GO_STICKY else 0)


def path_facts(header: str) -> PathFacts:
    """The `X-Docker-Container-Path-Stat` header of an archive answer."""
    mode, told = _told(header)
    return PathFacts(
        size=int(str(told["size"])),
        regular=not mode & _GO_TYPES,
        link=str(told.get("linkTarget", "")) if mode & _GO_SYMLINK else "",
    )


def _told(header: str) -> tuple[int, dict[str, object]]:
    told = msgspec.json.decode(b64decode(header), type=dict[str, object])
    return int(str(told["mode"])), told


def read_only_member(source: IO[bytes], path: str, limit: int) -> bytes:
    """The bytes of the one file in an archive, never more than `limit` of them.

    Raises `NoSuchFileError`, `FileTooLargeError`."""
    with tarfile.open(fileobj=source, mode="r|") as archive:
        member = archive.next()
        if member is None or not member.isreg():
            raise NoSuchFileError(f"{path} is not a regular file")
        if member.size > limit:
            raise FileTooLargeError(path, member.size, limit)
        content = archive.extractfile(member)
        return content.read() if content is not None else b""


def found_files(archive: tarfile.TarFile, path: str) -> Iterator[tuple[FoundFile, IO[bytes] | None]]:
    """What an archive of `path` holds, but for folders, by absolute paths; each with its bytes if it is a file. The
    first name of every member is that of `path` itself, or of where a link there leads."""
    for member in archive:
        if member.isdir():
            continue
        kind = FoundKind.HARD_LINK if member.islnk() else FoundKind.FILE if member.isreg() else FoundKind.OTHER
        found = FoundFile(
            path=_absolute(path, member.name),
            kind=kind,
            size=member.size if member.isreg() else 0,
            mode=stat.S_IMODE(member.mode),
            target=_absolute(path, member.linkname) if member.islnk() else "",
        )
        yield found, archive.extractfile(member) if member.isreg() else None


def _absolute(path: str, member: str) -> str:
    """A name that is no UTF-8 has its other bytes replaced."""
    below = posixpath.normpath(f"/{member}").partition("/")[2].partition("/")[2]
    joined = posixpath.join(path, below) if below else path
    return joined.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def pack(files: Sequence[InputFile], at: datetime) -> dict[str, bytes]:
    """An archive for each place where one must be unpacked: `/`, and volumes of read-only containers. Files
    and directories stand in the order given, dated `at`; none is an artifact."""
    return {volume: _packed(volume, files, at) for volume in dict.fromkeys(file.volume for file in files)}


def write_archive(
    target: IO[bytes],
    folder: str,
    files: Sequence[InputFile],
    at: datetime,
    artifact: Callable[[ArtifactId], IO[bytes]],
) -> None:
    """The archive of those files that are to be unpacked at `folder`; `artifact` opens a kept one."""
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in files:
            if file.volume == folder:
                _add(archive, folder, file, at, artifact)


def _packed(folder: str, files: Sequence[InputFile], at: datetime) -> bytes:
    packed = io.BytesIO()
    write_archive(packed, folder, files, at, none_stored)
    return packed.getvalue()


def _add(
    archive: tarfile.TarFile,
    folder: str,
    file: InputFile,
    at: datetime,
    artifact: Callable[[ArtifactId], IO[bytes]],
) -> None:
    entry = tarfile.TarInfo(posixpath.relpath(file.path, folder))
    entry.mode, entry.uid, entry.gid = stat.S_IMODE(file.mode), file.uid, file.gid
    entry.mtime = int(at.timestamp())
    if file.artifact is not None:
        with artifact(file.artifact) as content:
            entry.size = content.seek(0, io.SEEK_END)
            content.seek(0)
            archive.addfile(entry, content)
    elif file.data is None:
        entry.type = tarfile.DIRTYPE
        archive.addfile(entry)
    else:
        entry.size = len(file.data)
        archive.addfile(entry, io.BytesIO(file.data))
