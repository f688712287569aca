"""The index of a log: fixed records, one for each stretch of payload bytes or system line, in order.

Payload is written before the record that covers it, so at every instant a prefix of the index describes bytes
that are there. Whatever a crash left behind that prefix does not count.
"""

import os
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from orchestrator.ports import LogFlag, Stream

#: offset, place, microseconds since 1970, length with the stream in the highest bit, flags.
_RECORD = struct.Struct("<QQqII")
RECORD_SIZE = _RECORD.size
#: Bytes of payload in one record at most, so that a reader's memory is bounded.
MAX_LENGTH = 1 << 20

_STDERR_BIT = 1 << 31
_BATCH = 4096
_KNOWN_FLAGS = sum(LogFlag)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One record. `offset` as in `LogRecord`; `place` is where its bytes start in their file (`.sys` for system
    lines, else `.log`); `time` is microseconds since 1970 UTC; `length` is bytes."""

    offset: int
    place: int
    time: int
    length: int
    stream: Stream
    flags: int

    @property
    def end(self) -> int:
        return self.offset + self.length

    @property
    def system(self) -> bool:
        return bool(self.flags & LogFlag.SYSTEM)

    @property
    def is_end(self) -> bool:
        """Whether it is no stretch but the mark that the log is whole."""
        return bool(self.flags & LogFlag.END) and self.length == 0

    @property
    def ends_part(self) -> bool:
        """Whether it is the system line that ends a part of the log."""
        return bool(self.flags & LogFlag.PART)

    @property
    def at(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self.time)

    def packed(self) -> bytes:
        return packed(self.offset, self.place, self.time, self.length, self.stream, self.flags)


class Extent(msgspec.Struct, frozen=True, kw_only=True):
    """How far a log goes: number of records, bytes of `.log` and `.sys`, and the offset that comes next."""

    records: int = 0
    log: int = 0
    system: int = 0
    offset: int = 0


def packed(offset: int, place: int, time: int, length: int, stream: Stream, flags: int) -> bytes:
    """The bytes of one record, see `Entry`."""
    return _RECORD.pack(offset, place, time, length | _STDERR_BIT if stream is Stream.STDERR else length, flags)


def microseconds(at: datetime) -> int:
    """An aware instant as microseconds since 1970 UTC."""
    return (at - _EPOCH) // _MICROSECOND


def record_count(fd: int) -> int:
    """Whole records in an open index file; a torn last one does not count."""
    return os.fstat(fd).st_size // RECORD_SIZE


def entries(fd: int, start: int, stop: int) -> Iterator[Entry]:
    """Records number `start` to before `stop`, fewer where the file has shrunk."""
    for first in range(start, stop, _BATCH):
        wanted = min(_BATCH, stop - first) * RECORD_SIZE
        data = os.pread(fd, wanted, first * RECORD_SIZE)
        yield from _unpacked(data[: len(data) // RECORD_SIZE * RECORD_SIZE])
        if len(data) < wanted:
            return


def entries_backwards(fd: int, stop: int) -> Iterator[Entry]:
    """Records from number `stop - 1` down to the first."""
    for last in range(stop, 0, -_BATCH):
        yield from reversed(list(entries(fd, max(0, last - _BATCH), last)))


def covered(fd: int, log_size: int, system_size: int) -> Extent:
    """The longest sound prefix of the index: records that follow each other and whose bytes are there."""
    extent = Extent()
    for entry in entries(fd, 0, record_count(fd)):
        following = _following(extent, entry)
        if following is None or following.log > log_size or following.system > system_size:
            break
        extent = following
    return extent


def ended_parts(fd: int, extent: Extent) -> Extent:
    """How far all parts go that have ended, of a log that goes as far as `extent`."""
    reached = parts = Extent()
    for entry in entries(fd, 0, extent.records):
        following = _following(reached, entry)
        if following is None:
            break
        reached = following
        parts = reached if entry.ends_part else parts
    return parts


def _following(extent: Extent, entry: Entry) -> Extent | None:
    """The extent with one more record, None where the record cannot be the next."""
    place = extent.system if entry.system else extent.log
    sound = (
        entry.place == place
        and entry.offset >= extent.offset
        and (0 < entry.length <= MAX_LENGTH or entry.is_end)
        and not entry.flags & ~_KNOWN_FLAGS
    )
    if not sound:
        return None
    return Extent(
        records=extent.records + 1,
        log=extent.log + (0 if entry.system else entry.length),
        system=extent.system + (entry.length if entry.system else 0),
        offset=entry.end,
    )


def _unpacked(data: bytes) -> Iterator[Entry]:
    for offset, place, time, length, flags in _RECORD.iter_unpack(data):
        stream = Stream.STDERR if length & _STDERR_BIT else Stream.STDOUT
        yield Entry(offset=offset, place=place, time=time, length=length & ~_STDERR_BIT, stream=stream, flags=flags)
