"""The output side of a fake container: live streams, and the log the engine keeps, with the real one's damage."""

import socket
import threading
from collections import deque

from orchestrator.ports import Stream

#: A real engine's `json-file` log cuts a line that is longer than this into entries of its own.
LONGEST_ENTRY = 16 * 1024

_STREAM_NUMBERS = {Stream.STDOUT: 1, Stream.STDERR: 2}


def frame(stream: Stream, data: bytes) -> bytes:
    """One multiplexed frame as an engine sends it."""
    return bytes((_STREAM_NUMBERS[stream], 0, 0, 0)) + len(data).to_bytes(4, "big") + data


class FakeStream:
    """A `ByteStream` whose bytes wait in memory; a socket pair only says whether there are any.

    `piece` is the most that one `recv` gives, so that a test can cut frames anywhere."""

    def __init__(self, *, tty: bool, piece: int) -> None:
        self.tty = tty
        self._piece = piece
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._ended = self._closed = False
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)

    def fileno(self) -> int:
        return self._reader.fileno()

    def recv(self) -> bytes | None:
        with self._lock:
            if self._closed:
                return b""
            if not self._waiting:
                return b"" if self._ended else None
            chunk = self._waiting.popleft()
            if len(chunk) > self._piece:
                self._waiting.appendleft(chunk[self._piece :])
            if not self._waiting and not self._ended:
                self._reader.recv(1)
            return chunk[: self._piece]

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._reader.close()
            self._writer.close()

    def write(self, stream: Stream, data: bytes) -> None:
        """The engine's side: deliver one write of the container."""
        with self._lock:
            if self._closed or self._ended or not data:
                return
            if not self._waiting:
                self._writer.send(b"!")
            self._waiting.append(data if self.tty else frame(stream, data))

    def end(self) -> None:
        """The engine's side: nothing more will come. The reader stays readable from now on."""
        with self._lock:
            if not self._ended and not self._closed:
                self._ended = True
                self._writer.send(b"!")


class KeptLog:
    """What a `json-file` log keeps of a container's output, entry by entry."""

    def __init__(self) -> None:
        self.entries: list[tuple[Stream, bytes]] = []
        self._open: dict[Stream, bytes] = {}

    def write(self, stream: Stream, data: bytes) -> None:
        """Take one write; whole lines become entries."""
        rest = self._open.pop(stream, b"") + data
        whole: list[bytes] = []
        while rest:
            end = rest.find(b"\n", 0, LONGEST_ENTRY) + 1 or (LONGEST_ENTRY if len(rest) >= LONGEST_ENTRY else 0)
            if not end:
                self._open[stream] = rest
                break
            whole.append(rest[:end])
            rest = rest[end:]
        self._keep(stream, whole)

    def end(self) -> None:
        """The container ended: unfinished lines become entries too."""
        for stream, rest in self._open.items():
            self._keep(stream, [rest])
        self._open = {}

    def _keep(self, stream: Stream, lines: list[bytes]) -> None:
        self.entries += [(stream, as_json_keeps(line)) for line in lines]


def as_json_keeps(data: bytes) -> bytes:
    """Bytes after a way through JSON text: every byte that is no UTF-8 becomes U+FFFD."""
    text = []
    while data:
        try:
            text.append(data.decode())
            break
        except UnicodeDecodeError as error:
            text.append(data[: error.start].decode() + "\ufffd")
            data = data[error.start + 1 :]
    return "".join(text).encode()
