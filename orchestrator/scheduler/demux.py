"""From an engine's raw log bytes to the bytes of each stream. Pure and incremental: a border between two chunks
may lie anywhere."""

import struct

from orchestrator.errors import LogStreamDamagedError
from orchestrator.ports import Stream

#: Stream number, three zero bytes, length of the payload that follows.
_HEAD = struct.Struct(">BxxxI")
_STREAMS = {1: Stream.STDOUT, 2: Stream.STDERR}


class Demultiplexer:
    """Splits frames (see `ports.ByteStream`) into stretches of one stream. With a tty all bytes are stdout."""

    def __init__(self, *, tty: bool) -> None:
        self._tty = tty
        self._head = b""
        self._stream = Stream.STDOUT
        self._left = 0

    @property
    def at_border(self) -> bool:
        """Whether all frames so far were complete: what a stream that ends well ends with."""
        return not self._head and not self._left

    def feed(self, data: bytes) -> list[tuple[Stream, bytes]]:
        """The payload in `data`, in order; what a stream sent in a row is one stretch.

        Raises `LogStreamDamagedError` where a frame is neither stdout nor stderr."""
        if self._tty:
            return [(Stream.STDOUT, data)] if data else []
        stretches: list[tuple[Stream, bytes]] = []
        parts: list[memoryview] = []
        view, at, end, current = memoryview(data), 0, len(data), self._stream
        while at < end:
            if not self._left:
                at = self._take_head(data, at)
                continue
            if self._stream is not current:
                if parts:
                    stretches.append((current, b"".join(parts)))
                parts, current = [], self._stream
            stop = min(end, at + self._left)
            parts.append(view[at:stop])
            self._left -= stop - at
            at = stop
        if parts:
            stretches.append((current, b"".join(parts)))
        return stretches

    def _take_head(self, data: bytes, at: int) -> int:
        """Read a frame's head, or as much of it as there is; returns where its payload starts."""
        stop = at + _HEAD.size - len(self._head)
        head = self._head + data[at:stop]
        if len(head) < _HEAD.size:
            self._head = head
            return len(data)
        number, length = _HEAD.unpack(head)
        if number not in _STREAMS:
            raise LogStreamDamagedError(f"the engine sent a log frame of the unknown stream {number}")
        self._head, self._stream, self._left = b"", _STREAMS[number], length
        return stop
