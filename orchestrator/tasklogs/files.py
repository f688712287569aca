"""Which files make a log, where they stand, and how the operating system's faults are told."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import LogUnavailableError
from orchestrator.ids import TryKey, folder_of
from orchestrator.spec.value import Value


class TryFiles(Value, frozen=True, kw_only=True):
    """The files of one try's log. `cut` exists only while a cut is under way (see `cut.py`)."""

    folder: Path
    number: int

    @property
    def log(self) -> Path:
        return self.folder / f"{self.number}.log"

    @property
    def index(self) -> Path:
        return self.folder / f"{self.number}.idx"

    @property
    def system(self) -> Path:
        return self.folder / f"{self.number}.sys"

    @property
    def cut(self) -> Path:
        return self.folder / f"{self.number}.cut"

    @property
    def cut_draft(self) -> Path:
        return self.folder / f"{self.number}.cut.part"

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file there may be, in the order in which they can be deleted: a cut needs the others, and
        without the index they mean nothing."""
        files = (self.index, self.log, self.system)
        return (self.cut, self.cut_draft, *files, *map(draft_of, files))


def draft_of(path: Path) -> Path:
    """Where a file's copy is made that is to take its place (see `ownership.py`)."""
    return path.with_name(f"{path.name}.new")


def files_of(root: Path, key: TryKey) -> TryFiles:
    """`<root>/<dag>/<run>/<task>[/<map>]/<try>.*`"""
    return TryFiles(folder=root / folder_of(key.task), number=key.number)


@contextlib.contextmanager
def faults(path: Path) -> Iterator[None]:
    """Tell the operating system's faults as `LogUnavailableError`."""
    try:
        yield
    except OSError as error:
        raise LogUnavailableError(
            f"the log {path} cannot be used: {error.strerror or error}",
            fix=f"check free space and permissions of {path.parent}; the log is completed by itself afterwards",
        ) from error


def write_all(fd: int, data: bytes | memoryview, at: int) -> None:
    """Write every byte of `data` at position `at`."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, at)
        rest, at = rest[written:], at + written


def copy_range(source: int, start: int, length: int, target: int, at: int) -> None:
    """Copy `length` bytes between two open files, a MiB at a time; stops early where the source ends."""
    while length > 0:
        data = os.pread(source, min(length, 1 << 20), start)
        if not data:
            return
        write_all(target, data, at)
        start, at, length = start + len(data), at + len(data), length - len(data)
