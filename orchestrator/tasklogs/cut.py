"""Cutting each stream of a log back to its last complete line.

The two streams share one file, so the cut of one may lie before lines of the other that stay: everything from
the first cut on is written anew. What stays is first put into a file of its own, `<try>.cut`, which comes into
being whole by a rename; applying it is repeatable, so a crash at any instant is made good by the next open.
"""

import os
import struct
from collections.abc import Callable, Iterator

import msgspec

from orchestrator.ports import Stream
from orchestrator.tasklogs.files import TryFiles, copy_range, write_all
from orchestrator.tasklogs.index import RECORD_SIZE, Entry, Extent, entries

#: Bytes of the index and of the log that stay as they are, bytes of the records that follow.
_HEAD = struct.Struct("<QQQ")


class _StreamEnd(msgspec.Struct):
    """The end of a stream's last complete line: in which record, after how many of its bytes."""

    lines: int = 0
    record: int = -1
    length: int = 0


def cut_to_lines(files: TryFiles, log: int, index: int, extent: Extent) -> dict[Stream, int]:
    """Cut each stream of the newest part back to its last complete line; `log` and `index` are the open files.
    Returns how many complete lines of that part each stream keeps."""
    ends = _stream_ends(log, index, extent)
    kept = _kept(index, 0, extent, ends)
    first = next((number for number, (entry, length) in enumerate(kept) if length < entry.length), None)
    if first is not None:
        _draft(files, log, first, lambda: _kept(index, first, extent, ends))
        files.cut_draft.rename(files.cut)
        apply_cut(files)
    return {stream: end.lines for stream, end in ends.items()}


def apply_cut(files: TryFiles) -> None:
    """Finish a cut that is under way, if there is one. Readers see the log up to the cut meanwhile."""
    files.cut_draft.unlink(missing_ok=True)
    if not files.cut.exists():
        return
    cut = os.open(files.cut, os.O_RDONLY)
    log = os.open(files.log, os.O_RDWR)
    index = os.open(files.index, os.O_RDWR)
    try:
        index_size, log_size, records_size = _HEAD.unpack(os.pread(cut, _HEAD.size, 0))
        payload = _HEAD.size + records_size
        os.ftruncate(index, index_size)
        os.ftruncate(log, log_size)
        copy_range(cut, payload, os.fstat(cut).st_size - payload, log, log_size)
        os.fsync(log)
        copy_range(cut, _HEAD.size, records_size, index, index_size)
        os.fsync(index)
    finally:
        for fd in (cut, log, index):
            os.close(fd)
    files.cut.unlink()


def _stream_ends(log: int, index: int, extent: Extent) -> dict[Stream, _StreamEnd]:
    ends = {stream: _StreamEnd() for stream in Stream}
    for number, entry in enumerate(entries(index, 0, extent.records)):
        if entry.ends_part:
            ends = {stream: _StreamEnd(record=number) for stream in Stream}
        if entry.system:
            continue
        data = os.pread(log, entry.length, entry.place)
        lines = data.count(b"\n")
        if lines:
            end = ends[entry.stream]
            end.lines += lines
            end.record, end.length = number, data.rfind(b"\n") + 1
    return ends


def _kept(index: int, start: int, extent: Extent, ends: dict[Stream, _StreamEnd]) -> Iterator[tuple[Entry, int]]:
    """Each record from number `start` on, with the number of its bytes that stay."""
    for number, entry in enumerate(entries(index, start, extent.records), start):
        end = ends[entry.stream]
        if entry.system or number < end.record:
            yield entry, entry.length
        else:
            yield entry, end.length if number == end.record else 0


def _draft(files: TryFiles, log: int, first: int, kept: Callable[[], Iterator[tuple[Entry, int]]]) -> None:
    """Write what the log shall be from record `first` on."""
    start = _log_position(kept())
    records_size = RECORD_SIZE * sum(1 for _, length in kept() if length)
    draft = os.open(files.cut_draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        write_all(draft, _HEAD.pack(first * RECORD_SIZE, start, records_size), 0)
        record_at, place = _HEAD.size, start
        for entry, length in kept():
            if not length:
                continue
            moved = entry if entry.system else msgspec.structs.replace(entry, place=place, length=length)
            write_all(draft, moved.packed(), record_at)
            record_at += RECORD_SIZE
            if not entry.system:
                copy_range(log, entry.place, length, draft, _HEAD.size + records_size + place - start)
                place += length
        os.fsync(draft)
    finally:
        os.close(draft)


def _log_position(kept: Iterator[tuple[Entry, int]]) -> int:
    """Where in the log the first record with payload starts: the one that is cut first is one."""
    return next(entry.place for entry, _ in kept if not entry.system)
