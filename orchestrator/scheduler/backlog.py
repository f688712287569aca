"""What has been read from log streams and is not stored yet. It separates the reader, which never waits, from
the writer, which waits for the disk; for each stream and for all of them together it is bounded."""

import threading
from collections import deque
from collections.abc import Hashable
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

K = TypeVar("K", bound=Hashable)

#: Bytes that are handed out at one time, about: one busy stream does not hold up the others for long.
_BATCH_BYTES = 1 << 20
#: Bytes up to which what comes in small pieces is put together: a piece of its own costs some 150 bytes.
_CHUNK_BYTES = 64 << 10
#: How many streams at their limit all streams together may be worth.
_FULL_STREAMS = 4


class Batch(msgspec.Struct, Generic[K], frozen=True):
    """The next bytes of one stream. `at` is when the first of them came; `ended`: none will follow."""

    key: K
    data: bytes
    at: datetime
    ended: bool


class _Waiting(msgspec.Struct):
    chunks: deque[tuple[bytearray, datetime]] = msgspec.field(default_factory=deque)
    size: int = 0  #: bytes waiting, and bytes taken that are not stored yet
    ended_at: datetime | None = None
    listed: bool = False
    full: bool = False  #: who brings bytes was told to bring no more


class Backlog(Generic[K]):
    """A queue for each stream, handed out in turn. Safe for any number of threads that put, one that takes."""

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of one stream that may wait. Where four times as many wait of all streams together, only
        those that have less than an even share of that may bring more."""
        self._limit = limit
        self._total = _FULL_STREAMS * limit
        self._size = 0
        self._changed = threading.Condition()
        self._waiting: dict[K, _Waiting] = {}
        self._ready: deque[K] = deque()
        self._closed = False

    def put(self, key: K, data: bytes, at: datetime) -> bool:
        """Add bytes; False where a limit is reached now and the caller must bring no more."""
        with self._changed:
            waiting = self._list(key)
            if waiting.chunks and len(waiting.chunks[-1][0]) + len(data) <= _CHUNK_BYTES:
                waiting.chunks[-1][0].extend(data)
            else:
                waiting.chunks.append((bytearray(data), at))
            waiting.size += len(data)
            self._size += len(data)
            waiting.full = self._is_full(waiting)
            return not waiting.full

    def end(self, key: K, at: datetime) -> None:
        """Nothing more will come of this stream."""
        with self._changed:
            self._list(key).ended_at = at

    def take(self) -> Batch[K] | None:
        """Wait for the next batch; None when the backlog is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._closed)
            if not self._ready:
                return None
            key = self._ready.popleft()
            waiting = self._waiting[key]
            batch = _next_batch(key, waiting)
            waiting.listed = bool(waiting.chunks)
            if waiting.listed:
                self._ready.append(key)
            return batch

    def stored(self, batch: Batch[K]) -> bool:
        """Its bytes need no memory any more. True where the stream was at a limit and now has room again."""
        with self._changed:
            waiting = self._waiting[batch.key]
            waiting.size -= len(batch.data)
            self._size -= len(batch.data)
            if batch.ended:
                del self._waiting[batch.key]
            relieved = waiting.full and not self._is_full(waiting)
            waiting.full = waiting.full and not relieved
            return relieved

    def close(self) -> None:
        """Hand out what is there, then None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _is_full(self, waiting: _Waiting) -> bool:
        above_share = waiting.size * max(len(self._waiting), 1) >= self._total
        return waiting.size >= self._limit or (self._size >= self._total and above_share)

    def _list(self, key: K) -> _Waiting:
        waiting = self._waiting.setdefault(key, _Waiting())
        if not waiting.listed:
            waiting.listed = True
            self._ready.append(key)
            self._changed.notify()
        return waiting


def _next_batch(key: K, waiting: _Waiting) -> Batch[K]:
    chunks: list[bytearray] = []
    size = 0
    at = waiting.ended_at
    while waiting.chunks and size < _BATCH_BYTES:
        data, arrived = waiting.chunks.popleft()
        at = arrived if not chunks else at
        chunks.append(data)
        size += len(data)
    if at is None:
        raise AssertionError("a stream without bytes or end was listed")
    return Batch(key, b"".join(chunks), at, waiting.ended_at is not None and not waiting.chunks)
