"""`<home>/run/scheduler.sock`: faces on this machine wake the scheduler through it, follow its notices, and ask it
why something does not run.

On the wire: messages of a 4-byte big-endian length and msgpack. A client says `Hello` once; a follower then
only listens. The socket's folder is the owner's alone (0700).
"""

import os
import secrets
import selectors
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, Self

import msgspec
import structlog

from orchestrator.clock import SystemClock
from orchestrator.planning.explain import Explained, Question
from orchestrator.scheduler.notices import Notice, RequestAnswered
from orchestrator.spec.value import Value

_log = structlog.get_logger()

#: Bytes of notices that may wait for one follower before it is cut off (it then starts anew from the database).
_BACKLOG = 8 * 1024 * 1024
#: The same for all followers together: beyond it the slowest are cut off.
_BACKLOGS = 64 * 1024 * 1024
#: Bytes that a client may say at one time.
_LONGEST_HELLO = 4096
#: Connections at one time; more wait until one ends.
_MOST_CLIENTS = 256
#: Seconds until a connection is taken again after one could not be.
_ACCEPT_AGAIN = 1.0
#: Seconds that a client waits for the scheduler to take its connection.
_GREETING = 5.0
_HEAD = struct.Struct("!I")
_TIMEVAL = struct.Struct("ll")  #: seconds and microseconds, as the kernel takes them
#: Bytes that `sun_path` holds on every platform, less the closing zero (unix(7): 108 on Linux, 104 on BSD).
_LONGEST_PATH = 103


#: Takes a question, and by its second argument, from any thread, its answer.
Asked = Callable[[Question, Callable[[Explained], None]], None]


class Hello(Value, frozen=True, kw_only=True):
    """What a client says first: `wake` (look at the requests), `follow` (send me notices), or `explain` (answer
    this question)."""

    wants: Literal["wake", "follow", "explain"]
    question: Question | None = None


class _Client:
    """One connection on the server's side."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.heard = bytearray()
        self.unsent = bytearray()
        self.follows = False


class LocalSocket:
    """The server's side: one thread over all connections, which no client can hold up or end."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        self._on_wake: Callable[[], None] = lambda: None
        self._on_question: Asked = lambda _question, _answer: None
        self._selector = selectors.DefaultSelector()
        self._listener = _bound(path)
        self._inode = path.stat().st_ino
        self._accepting = False
        self._accepts_at = 0.0
        self._clock = SystemClock()
        self._bell, self._ear = socket.socketpair()
        self._lock = threading.Lock()
        self._queued: list[bytes] = []
        self._answers: list[tuple[_Client, bytes]] = []
        self._followers = 0
        self._closing = False
        self._clients: set[_Client] = set()
        self._thread = threading.Thread(target=self._run, name="local-socket", daemon=True)

    def start(self, on_wake: Callable[[], None], on_question: Asked) -> None:
        """Serve; both are called in this socket's thread."""
        self._on_wake = on_wake
        self._on_question = on_question
        self._listener.setblocking(False)
        self._ear.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._accept_from_now_on()
        self._thread.start()

    def publish(self, notice: Notice) -> None:
        """Send a notice to every follower; from any thread, never waits."""
        if not self._followers or self._closing:
            return
        frame = _frame(msgspec.msgpack.encode(notice))
        with self._lock:
            self._queued.append(frame)
        self._ring()

    def close(self) -> None:
        self._closing = True
        self._ring()
        if self._thread.is_alive():
            self._thread.join(2)
        for each in (*(client.connection for client in self._clients), self._listener, self._bell, self._ear):
            each.close()
        self._selector.close()
        with suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:  # else it is of who leads now
                self._path.unlink()

    def _ring(self) -> None:
        with suppress(OSError):
            self._bell.send(b"!", socket.MSG_DONTWAIT)

    def _run(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(None if self._accepting else _ACCEPT_AGAIN):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._ear:
                    self._ear.recv(4096)
                    self._spread()
                elif key.data in self._clients:  # else it was dropped just now
                    self._serve_safely(key.data)
            if not self._accepting and self._clock.monotonic() >= self._accepts_at:
                self._accept_from_now_on()

    def _accept_from_now_on(self) -> None:
        if not self._accepting and len(self._clients) < _MOST_CLIENTS:
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._accepting = True

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as trouble:  # no file handle is left: what waits to be taken would wake us for ever
            _log.warning("socket.accepts_later", trouble=str(trouble))
            self._accept_no_more()
            return
        connection.setblocking(False)
        client = _Client(connection)
        self._clients.add(client)
        self._selector.register(connection, selectors.EVENT_READ, client)
        if len(self._clients) >= _MOST_CLIENTS:
            self._accept_no_more()

    def _accept_no_more(self) -> None:
        """Not until a client goes, or some time has passed."""
        self._selector.unregister(self._listener)
        self._accepting = False
        self._accepts_at = self._clock.monotonic() + _ACCEPT_AGAIN

    def _spread(self) -> None:
        with self._lock:
            queued, self._queued = b"".join(self._queued), []
            answers, self._answers = self._answers, []
        for client, answer in answers:
            if client in self._clients:
                client.unsent += answer
                self._send(client)
        if queued:
            for client in [each for each in self._clients if each.follows]:
                client.unsent += queued
                self._send(client)
            self._cut_off_slowest()

    def _cut_off_slowest(self) -> None:
        while sum(len(each.unsent) for each in self._clients) > _BACKLOGS:
            slowest = max(self._clients, key=lambda each: len(each.unsent))
            _log.warning("socket.followers_too_slow", waiting=len(slowest.unsent))
            self._drop(slowest)

    def _serve_safely(self, client: _Client) -> None:
        try:
            self._serve(client)
        except Exception:  # noqa: BLE001 - a loop's shell: logged, and one client is dropped
            _log.exception("socket.client_broke")
            self._drop(client)

    def _serve(self, client: _Client) -> None:
        try:
            data = client.connection.recv(_LONGEST_HELLO)
        except BlockingIOError:
            self._send(client)
            return
        except OSError:
            data = b""
        client.heard += data
        if not data or len(client.heard) > _LONGEST_HELLO:
            self._drop(client)
            return
        self._obey(client)

    def _obey(self, client: _Client) -> None:
        for payload in _frames(client.heard):
            hello = msgspec.msgpack.decode(payload, type=Hello)
            if hello.wants == "wake":
                self._on_wake()
            elif hello.wants == "explain":
                if hello.question is not None:
                    self._on_question(hello.question, lambda answer: self._answer(client, answer))
            elif not client.follows:
                client.follows = True
                self._followers += 1
                client.unsent += _frame(b"\xc0")  # nil: from here on nothing is missed
        self._send(client)

    def _answer(self, client: _Client, answer: Explained) -> None:
        with self._lock:
            self._answers.append((client, _frame(msgspec.msgpack.encode(answer))))
        self._ring()

    def _send(self, client: _Client) -> None:
        try:
            sent = client.connection.send(client.unsent) if client.unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(client)
            return
        del client.unsent[:sent]
        if len(client.unsent) > _BACKLOG:
            _log.warning("socket.follower_too_slow", waiting=len(client.unsent))
            self._drop(client)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.unsent else 0)
        self._selector.modify(client.connection, wanted, client)

    def _drop(self, client: _Client) -> None:
        if client in self._clients:
            self._clients.discard(client)
            self._followers -= client.follows
            self._selector.unregister(client.connection)
            client.connection.close()
            self._accept_from_now_on()


def wake(path: Path) -> bool:
    """Tell the scheduler that a request waits; False where none listens."""
    try:
        with _connected(path) as connection:
            connection.sendall(_frame(msgspec.msgpack.encode(Hello(wants="wake"))))
    except OSError:
        return False
    return True


def ask(path: Path, question: Question, seconds: float) -> Explained | None:
    """The scheduler's answer; None where it gives none for so long. OSError where no scheduler listens."""
    end = SystemClock().monotonic() + seconds
    with _connected(path) as connection:
        connection.sendall(_frame(msgspec.msgpack.encode(Hello(wants="explain", question=question))))
        payload = next(_payloads(connection, bytearray(), end), None)
    return None if payload is None else msgspec.msgpack.decode(payload, type=Explained)


class Following:
    """The client's side of `follow`. Once there is one, no later notice is missed. A context manager."""

    def __init__(self, path: Path) -> None:
        """Connect; OSError where no scheduler listens, or the one that does is stuck."""
        self._heard = bytearray()
        self._connection = _connected(path)
        try:
            self._connection.sendall(_frame(msgspec.msgpack.encode(Hello(wants="follow"))))
            if next(self._payloads(_GREETING), None) is None:
                raise TimeoutError(f"nobody greets at {path}")
        except OSError:
            self._connection.close()
            raise

    @classmethod
    @contextmanager
    def if_any(cls, path: Path) -> "Iterator[Following | None]":
        """A following, or None where no scheduler listens."""
        try:
            following = cls(path)
        except OSError:
            yield None
            return
        with following:
            yield following

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def notices(self) -> Iterator[Notice]:
        """Notices as they come; ends when the scheduler goes away."""
        decoder = msgspec.msgpack.Decoder(Notice)
        for payload in self._payloads(None):
            yield decoder.decode(payload)

    def answer_to(self, request_id: int, seconds: float) -> bool:
        """Wait until a request is answered; False where that takes longer, or the scheduler goes away."""
        decoder = msgspec.msgpack.Decoder(Notice)
        for payload in self._payloads(seconds):
            notice = decoder.decode(payload)
            if isinstance(notice, RequestAnswered) and notice.request_id == request_id:
                return True
        return False

    def _payloads(self, seconds: float | None) -> Iterator[bytes]:
        end = None if seconds is None else SystemClock().monotonic() + seconds
        return _payloads(self._connection, self._heard, end)


def _payloads(connection: socket.socket, heard: bytearray, end: float | None) -> Iterator[bytes]:
    """What comes, until a monotonic instant or the other side's end; `heard` keeps what is not whole yet."""
    clock = SystemClock()
    while True:
        yield from _frames(heard)
        try:
            connection.settimeout(None if end is None else max(end - clock.monotonic(), 0.001))
            data = connection.recv(65536)
        except (ConnectionError, TimeoutError):
            return
        if not data:
            return
        heard += data


def _frame(payload: bytes) -> bytes:
    return _HEAD.pack(len(payload)) + payload


def _frames(heard: bytearray) -> Iterator[bytes]:
    """Take complete frames off the front of `heard`."""
    while len(heard) >= _HEAD.size:
        (length,) = _HEAD.unpack_from(heard)
        if len(heard) < _HEAD.size + length:
            return
        payload = bytes(heard[_HEAD.size : _HEAD.size + length])
        del heard[: _HEAD.size + length]
        yield payload


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # a socket with a timeout of Python's is refused at once where many wait to be taken; this one waits its turn
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(int(_GREETING), 0))
    try:
        with _short(path) as name:
            connection.connect(name)
        connection.settimeout(_GREETING)
    except OSError:
        connection.close()
        raise
    return connection


def _bound(path: Path) -> socket.socket:
    """A socket that listens at `path`, in place of that of a leader before, dead or woken up again."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    own = path.with_name(f".{secrets.token_hex(4)}")
    try:
        with _short(own) as name:
            listener.bind(name)
        listener.listen()
        own.rename(path)
    except OSError:
        own.unlink(missing_ok=True)
        listener.close()
        raise
    return listener


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A socket's path within the bytes that the kernel takes: over a short link to its folder, if need be."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="orc") as folder:
        link = Path(folder) / "run"
        link.symlink_to(path.parent.absolute(), target_is_directory=True)
        yield str(link / path.name)
