"""Appending to a log: first the bytes, then the record that covers them."""

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from orchestrator.ports import LogFlag, Stream
from orchestrator.tasklogs.cut import apply_cut, cut_to_lines
from orchestrator.tasklogs.files import TryFiles, faults, write_all
from orchestrator.tasklogs.index import MAX_LENGTH, RECORD_SIZE, Extent, covered, ended_parts, microseconds, packed
from orchestrator.tasklogs.ownership import Ownership

_OPEN = os.O_RDWR | os.O_CREAT
_MODE = 0o644
#: In place of a file descriptor: every use fails.
_CLOSED = -1
_FOLDER_ATTEMPTS = 10


class FileLogWriter:
    """Satisfies `ports.LogWriter`. Everything is written at known positions: an append that failed half-way
    leaves nothing that counts, and the next one goes over it. `ownership` where others may have written to it."""

    def __init__(self, files: TryFiles, ownership: Ownership | None = None) -> None:
        self._files = files
        self._ownership = ownership
        self._log = self._index = self._system = _CLOSED
        self._changed = False
        self._extent = Extent()
        with faults(files.log), self._closing_on_failure():
            self._open()

    def append(
        self, stretches: Sequence[tuple[Stream, bytes]], at: datetime, flags: LogFlag = LogFlag.NONE
    ) -> None:
        extent = self._extent
        records = _records(stretches, extent, microseconds(at), flags & ~LogFlag.SYSTEM)
        payload = b"".join([data for _, data in stretches])
        grown = Extent(
            records=extent.records + len(records),
            log=extent.log + len(payload),
            system=extent.system,
            offset=extent.offset + len(payload),
        )
        with self._growing_to(grown):
            write_all(self._log, payload, extent.log)
            write_all(self._index, b"".join(records), extent.records * RECORD_SIZE)

    def note(self, text: str, at: datetime, flags: LogFlag = LogFlag.NONE) -> None:
        extent = self._extent
        line = text.encode("utf-8", "replace")[: MAX_LENGTH - 1] + b"\n"
        record = packed(
            extent.offset, extent.system, microseconds(at), len(line), Stream.STDOUT, flags | LogFlag.SYSTEM
        )
        grown = Extent(
            records=extent.records + 1,
            log=extent.log,
            system=extent.system + len(line),
            offset=extent.offset + len(line),
        )
        with self._growing_to(grown):
            write_all(self._system_file(), line, extent.system)
            write_all(self._index, record, extent.records * RECORD_SIZE)

    def end(self, at: datetime) -> None:
        extent = self._extent
        record = packed(extent.offset, extent.log, microseconds(at), 0, Stream.STDOUT, LogFlag.END)
        with self._growing_to(msgspec.structs.replace(extent, records=extent.records + 1)):
            write_all(self._index, record, extent.records * RECORD_SIZE)

    def rewind(self) -> dict[Stream, int]:
        with faults(self._files.log), self._closing_on_failure(), self._changing():
            self._changed = True
            counts = cut_to_lines(self._files, self._log, self._index, self._extent)
            # Offsets go on where they were: none is used twice, so a follower misses nothing.
            self._extent = msgspec.structs.replace(self._covered(), offset=self._extent.offset)
        return counts

    def restart(self) -> None:
        with faults(self._files.log), self._closing_on_failure():
            self._changed = True
            kept = ended_parts(self._index, self._extent)
            self._extent = msgspec.structs.replace(kept, offset=self._extent.offset)
            self._cut_off_rest()

    def close(self) -> None:
        with faults(self._files.log):
            try:
                if self._changed:
                    for fd in self._open_fds():
                        os.fsync(fd)
            finally:
                self._changed = False
                self._close_files()

    def _open(self) -> None:
        """Again where the removal of another try's log took the empty folder away in between."""
        for _ in range(_FOLDER_ATTEMPTS):
            with contextlib.suppress(FileNotFoundError):
                self._files.folder.mkdir(parents=True, exist_ok=True)
                with self._changing():
                    self._open_files()
                return
        raise FileNotFoundError(errno.ENOENT, "its folder vanishes again and again", str(self._files.folder))

    def _open_files(self) -> None:
        if self._ownership is not None:
            self._ownership.take(self._files)
        self._log = os.open(self._files.log, _OPEN, _MODE)
        apply_cut(self._files)
        self._index = os.open(self._files.index, _OPEN, _MODE)
        if self._files.system.exists():
            self._system = os.open(self._files.system, _OPEN, _MODE)
        if self._ownership is not None:
            self._ownership.keep(self._files)
        self._extent = self._covered()
        self._cut_off_rest()

    def _changing(self) -> contextlib.AbstractContextManager[None]:
        """Within, files may be changed by name."""
        return contextlib.nullcontext() if self._ownership is None else self._ownership.changing(self._files)

    @contextlib.contextmanager
    def _closing_on_failure(self) -> Iterator[None]:
        """What stands in the files may differ from what we know of them: only a new open helps."""
        try:
            yield
        except BaseException:
            self._close_files()
            raise

    def _open_fds(self) -> tuple[int, ...]:
        return tuple(fd for fd in (self._log, self._index, self._system) if fd != _CLOSED)

    def _close_files(self) -> None:
        fds = self._open_fds()
        self._log = self._index = self._system = _CLOSED
        for fd in fds:
            os.close(fd)

    def _covered(self) -> Extent:
        system_size = 0 if self._system == _CLOSED else os.fstat(self._system).st_size
        return covered(self._index, os.fstat(self._log).st_size, system_size)

    def _cut_off_rest(self) -> None:
        """Drop whatever lies behind the last sound record."""
        os.ftruncate(self._index, self._extent.records * RECORD_SIZE)
        os.ftruncate(self._log, self._extent.log)
        if self._system != _CLOSED:
            os.ftruncate(self._system, self._extent.system)

    @contextlib.contextmanager
    def _growing_to(self, grown: Extent) -> Iterator[None]:
        """The log is as `grown` says if no fault occurs, else as it was."""
        with faults(self._files.log):
            self._changed = True
            try:
                yield
            except OSError:
                with contextlib.suppress(OSError):  # the first fault is the one to tell
                    self._cut_off_rest()
                raise
            self._extent = grown

    def _system_file(self) -> int:
        if self._system == _CLOSED and self._log != _CLOSED:
            self._system = os.open(self._files.system, _OPEN, _MODE)
        return self._system


def _records(stretches: Sequence[tuple[Stream, bytes]], extent: Extent, time: int, flags: LogFlag) -> list[bytes]:
    """The records of payload that follows `extent`."""
    offset, place, marks = extent.offset, extent.log, int(flags)
    records: list[bytes] = []
    for stream, data in stretches:
        left = len(data)
        while left:
            length = min(left, MAX_LENGTH)
            records.append(packed(offset, place, time, length, stream, marks))
            offset, place, left = offset + length, place + length, left - length
    return records
