"""Reading a log, perhaps while another process writes it: only what the index covers is seen."""

import contextlib
import os
from bisect import bisect_right
from collections.abc import Iterator

from orchestrator.errors import FileTooLargeError
from orchestrator.ports import LogFlag, LogRecord, Stream
from orchestrator.tasklogs.files import TryFiles
from orchestrator.tasklogs.index import Entry, entries, entries_backwards, record_count
from orchestrator.tasklogs.ownership import being_replaced

#: Bytes from the end of a log in which `tail` looks for lines.
_TAIL_BYTES = 65536
#: How often files are opened that are being replaced.
_OPEN_ATTEMPTS = 3


class LogReader:
    """The open files of one log, as long as its index was when it was opened."""

    def __init__(self, files: TryFiles, stack: contextlib.ExitStack) -> None:
        """Raises FileNotFoundError where there is no log. The files are closed with `stack`."""
        self._files = files
        self._stack = stack
        self._index = self._open(str(files.index))
        self._log = self._open(str(files.log))
        self._system: int | None = None
        self._count = record_count(self._index)

    @property
    def together(self) -> bool:
        """Whether index and log belong together: neither was put in the other's place while they were opened."""
        files = ((self._files.index, self._index), (self._files.log, self._log))
        return not being_replaced(self._files) and all(
            path.stat().st_ino == os.fstat(opened).st_ino for path, opened in files
        )

    def records(self, start: int) -> Iterator[LogRecord]:
        """Records from offset `start` on; the first one may be the rest of one."""
        first = bisect_right(range(self._count), start, key=self._end_of)
        for entry in entries(self._index, first, self._count):
            if entry.is_end:
                continue
            data = self._bytes(entry)
            if len(data) < entry.length:
                return  # cut back under our eyes: what replaces it has a later offset
            skip = max(0, start - entry.offset)
            yield LogRecord(
                offset=entry.offset + skip,
                data=data[skip:],
                stream=entry.stream,
                at=entry.at,
                flags=LogFlag(entry.flags),
            )

    def payload_backwards(self, *, newest_part: bool = False) -> Iterator[tuple[Stream, bytes]]:
        """Payload of both streams, the last record first."""
        for entry in entries_backwards(self._index, self._count):
            if newest_part and entry.ends_part:
                return
            if not entry.system and not entry.is_end:
                yield entry.stream, self._bytes(entry)

    def ends(self, limit: int) -> dict[Stream, bytes]:
        """See `ports.LogStore.ends`; reads no more of the log than it returns."""
        parts: dict[Stream, list[bytes]] = {stream: [] for stream in Stream}
        left = dict.fromkeys(Stream, limit)
        for entry in entries_backwards(self._index, self._count):
            if entry.ends_part or not any(left.values()):
                break
            if entry.system or entry.is_end or not left[entry.stream]:
                continue
            length = min(entry.length, left[entry.stream])
            parts[entry.stream].append(os.pread(self._log, length, entry.place + entry.length - length))
            left[entry.stream] -= length
        return {stream: b"".join(reversed(found)) for stream, found in parts.items()}

    def ended(self, part: int) -> bool:
        """Whether the last record says that the log is whole, or as many parts are."""
        if any(entry.is_end for entry in entries(self._index, max(0, self._count - 1), self._count)):
            return True
        return sum(entry.ends_part for entry in entries(self._index, 0, self._count)) >= part

    def _end_of(self, number: int) -> int:
        return next((entry.end for entry in entries(self._index, number, number + 1)), 0)

    def _bytes(self, entry: Entry) -> bytes:
        return os.pread(self._system_file() if entry.system else self._log, entry.length, entry.place)

    def _system_file(self) -> int:
        if self._system is None:
            self._system = self._open(str(self._files.system))
        return self._system

    def _open(self, path: str) -> int:
        fd = os.open(path, os.O_RDONLY)
        self._stack.callback(os.close, fd)
        return fd


def opened_together(files: TryFiles, stack: contextlib.ExitStack) -> LogReader:
    """A reader of files that belong together; `stack` closes them. FileNotFoundError where there is no log."""
    for _ in range(_OPEN_ATTEMPTS):
        with contextlib.ExitStack() as attempt:
            reader = LogReader(files, attempt)
            if reader.together:
                stack.push(attempt.pop_all())
                return reader
    return LogReader(files, stack)  # a process died while it replaced them: what it had copied is all there is


def last_line(reader: LogReader, stream: Stream, limit: int) -> bytes | None:
    """See `ports.LogStore.last_line`. Blank lines behind it are passed over, however many there are."""
    blank = b""
    parts: list[bytes] = []
    size = 0
    for of, data in reader.payload_backwards(newest_part=True):
        if of is not stream:
            continue
        text = data
        if not parts:
            text, blank = _without_blank_end(data + blank)
            if not text:
                _check(stream, len(blank), limit)
                continue
        start = text.rfind(b"\n") + 1
        parts.append(text[start:])
        size += len(text) - start
        _check(stream, size, limit)
        if start:
            break
    return b"".join(reversed(parts)).removesuffix(b"\r") if parts else None


def _without_blank_end(data: bytes) -> tuple[bytes, bytes]:
    """`data` to the end of its last line that is not blank, or nothing and what white space may belong to it."""
    text = len(data.rstrip())
    if text == 0:
        return b"", data[: data.find(b"\n") + 1] or data
    end = data.find(b"\n", text)
    return (data if end < 0 else data[:end]), b""


def _check(stream: Stream, size: int, limit: int) -> None:
    if size > limit:
        raise FileTooLargeError(f"the last line of {stream}", size, limit)


def tail(reader: LogReader, lines: int) -> tuple[str, ...]:
    """See `ports.LogStore.tail`; looks at the last 64 KiB only. Lines stand in the order in which they ended."""
    budget = _TAIL_BYTES
    pieces: list[tuple[Stream, bytes]] = []
    for stream, data in reader.payload_backwards():
        pieces.append((stream, data[-budget:]))
        budget -= len(data)
        if budget <= 0:
            break
    done: list[bytes] = []
    begun = dict.fromkeys(Stream, b"")
    for stream, data in reversed(pieces):
        *ended, begun[stream] = (begun[stream] + data).split(b"\n")
        done += ended
    done += [rest for rest in begun.values() if rest]
    return tuple(line.decode("utf-8", "replace").removesuffix("\r") for line in done[max(0, len(done) - lines) :])
