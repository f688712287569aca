"""Files in and out of containers as the tar archives that the engine's archive API speaks."""

import io
import posixpath
import stat
import tarfile
from base64 import b64decode
from collections.abc import Sequence
from datetime import datetime
from typing import BinaryIO

import msgspec

from orchestrator.errors import FileTooLargeError, NoSuchFileError
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


def read_only_member(source: BinaryIO, path: str, limit: int) -> bytes:
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


def pack(files: Sequence[InputFile], at: datetime) -> dict[str, bytes]:
    """An archive for each place where one must be unpacked: `/`, and volumes of read-only containers. Files
    and directories stand in the order given, dated `at`."""
    return {
        volume: _archive(volume, [file for file in files if file.volume == volume], at)
        for volume in dict.fromkeys(file.volume for file in files)
    }


def _archive(folder: str, files: Sequence[InputFile], at: datetime) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in files:
            entry = tarfile.TarInfo(posixpath.relpath(file.path, folder))
            entry.mode, entry.uid, entry.gid = stat.S_IMODE(file.mode), file.uid, file.gid
            entry.mtime = int(at.timestamp())
            if file.data is None:
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
            else:
                entry.size = len(file.data)
                archive.addfile(entry, io.BytesIO(file.data))
    return packed.getvalue()
