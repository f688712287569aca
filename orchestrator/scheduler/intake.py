"""The one thread that reads all log streams. It never waits for anything but the streams: an engine whose
log connection is not read stalls the container behind it (spec images-and-engine 3)."""

import contextlib
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import EngineUnavailableError
from orchestrator.ports import ByteStream
from orchestrator.scheduler.backlog import Backlog
from orchestrator.scheduler.heartbeat import Beat

_log = structlog.get_logger()


class Source:
    """One stream on its way. `live`: the container waits for who reads it, so at the backlog's limit the stream
    is given up; else (the engine reads from its own disk) it is left unread for a while."""

    def __init__(self, stream: ByteStream, *, live: bool) -> None:
        self.stream = stream
        self.live = live
        self.given_up = False  #: ended by us at the backlog's limit, or by an error
        self.received = 0  #: bytes that came so far


S = TypeVar("S", bound=Source)


class Intake(Generic[S]):
    """Reads streams into a backlog, one `recv` each in turn."""

    def __init__(self, clock: Clock, backlog: Backlog[S], beat: Beat) -> None:
        self._clock = clock
        self._backlog = backlog
        self._beat = beat
        self._selector = selectors.DefaultSelector()
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ)
        self._lock = threading.Lock()
        self._orders: deque[Callable[[], None]] = deque()
        self._stopping = False
        self._open: set[S] = set()
        self._readable: set[S] = set()
        self._thread = threading.Thread(target=self._run, name="log-intake", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End all streams and the thread; their bytes so far are in the backlog."""
        with self._lock:
            self._stopping = True
            self._wake()
        self._thread.join()
        self._selector.close()
        self._wake_receiver.close()
        self._wake_sender.close()

    def add(self, source: S) -> None:
        """Read this stream until its end, from now on; any thread."""
        if not self._order(lambda: self._begin(source)):
            source.given_up = True
            source.stream.close()
            self._backlog.end(source, self._clock.now())

    def drop(self, source: S) -> None:
        """Give this stream up, if it has not ended yet; any thread."""
        self._order(lambda: self._give_up(source))

    def go_on(self, source: S) -> None:
        """There is room again for a stream that was left unread; any thread."""
        self._order(lambda: self._resume(source))

    def _order(self, act: Callable[[], None]) -> bool:
        with self._lock:
            if self._stopping:
                return False
            self._orders.append(act)
            self._wake()
            return True

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of wake-ups: it will wake
            self._wake_sender.send(b"!")

    def _run(self) -> None:
        while not self._stopping:
            if not self._readable:
                self._beat.rest()
            came = self._selector.select(0 if self._readable else None)
            self._beat.work()
            for key, _ in came:
                if key.data is None:
                    self._wake_receiver.recv(4096)
                else:
                    self._readable.add(key.data)
            self._obey()
            for source in tuple(self._readable):
                self._read(source)
        self._obey()
        for source in tuple(self._open):
            self._give_up(source)
        self._beat.rest()

    def _obey(self) -> None:
        while self._orders:
            self._orders.popleft()()

    def _read(self, source: S) -> None:
        try:
            data = source.stream.recv()
        except EngineUnavailableError as trouble:
            _log.warning("log.stream_broke", trouble=trouble.message)
            self._give_up(source)
            return
        except Exception:  # noqa: BLE001 - a loop's shell: one stream's fault must not stop the others
            _log.exception("log.read_broke")
            self._give_up(source)
            return
        source.received += len(data or b"")
        if data is None:
            self._readable.discard(source)
        elif not data:
            self._end(source)
        elif not self._backlog.put(source, data, self._clock.now()):
            if source.live:
                self._give_up(source)
            else:
                self._pause(source)

    def _begin(self, source: S) -> None:
        self._open.add(source)
        self._resume(source)

    def _resume(self, source: S) -> None:
        if source not in self._open or source in self._readable:
            return
        self._readable.add(source)  # some bytes may wait inside the stream, where no selector sees them
        with contextlib.suppress(KeyError):  # it is registered already
            self._selector.register(source.stream, selectors.EVENT_READ, source)

    def _pause(self, source: S) -> None:
        self._readable.discard(source)
        with contextlib.suppress(KeyError):  # it was not registered
            self._selector.unregister(source.stream)

    def _give_up(self, source: S) -> None:
        if source in self._open:
            source.given_up = True
            self._end(source)

    def _end(self, source: S) -> None:
        if source in self._open:
            self._open.remove(source)
            self._pause(source)
            source.stream.close()
            self._backlog.end(source, self._clock.now())
