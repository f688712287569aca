"""HTTP to the engine: kept-alive connections, one for each call under way, and one negotiated API version.

Own sockets under the standard library's HTTP client instead of docker-py: it tells a call that was never sent
from one that was sent and not answered, which is what the engine fence stands on, it gives streams whose
sockets can be waited for, and every way to an engine (unix, TCP, TLS, SSH) is one function, `dial`.
"""

import http.client
import io
import re
import select
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO
from urllib.parse import urlencode

import msgspec

from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.dial import dial
from orchestrator.errors import EngineError, EngineTimeoutError, EngineUnavailableError
from orchestrator.spec.value import Json, Value

#: The oldest API that has all we use (engine 20.10), and the newest whose answers we know.
OLDEST_API, NEWEST_API = (1, 41), (1, 47)

#: What is sent with a call: bytes, or a file that can be sought in.
Body = bytes | IO[bytes] | None

#: A signal is sent by whoever was asked to stop a try: two of them do not hurt, and none may come late.
_SIGNALS = "/kill"
_MAX_IDLE = 16
_MAX_HEAD = 64 * 1024


class Reply(Value, frozen=True, kw_only=True):
    """One answer of the engine, read whole."""

    status: int
    body: bytes = b""

    @property
    def text(self) -> str:
        """The engine's sentence, without the JSON around it."""
        try:
            message = msgspec.json.decode(self.body, type=dict[str, Json]).get("message", "")
            return str(message).strip()
        except msgspec.MsgspecError:
            return self.body.decode(errors="replace").strip()


class Client:
    """Speaks HTTP to one engine. Safe for many threads: a call never waits for another's connection."""

    def __init__(
        self, find: Callable[[], Address], timeout: float, may_change: Callable[[], bool] = lambda: True
    ) -> None:
        """`find` is asked until it names an address; `timeout` is how many seconds one answer may take; without
        `may_change` nothing is sent that makes, starts or removes anything."""
        self._find = find
        self._timeout = timeout
        self._may_change = may_change
        self._lock = threading.Lock()
        self._address: Address | None = None
        self._idle: list[_Connection] = []
        self._version: str | None = None
        self._closed = False

    @property
    def api_version(self) -> str:
        """The version spoken, agreed with the engine at the first call."""
        return self._version or self.negotiate()

    def negotiate(self) -> str:
        """Agree on an API version anew; of use after the engine was restarted."""
        reply = self._exchange("GET", "/version", None, {})
        if reply.status != http.client.OK:
            raise EngineUnavailableError(f"the engine does not tell its version: {reply.text}")
        facts = msgspec.json.decode(reply.body, type=dict[str, Json])
        theirs, least = _version(facts.get("ApiVersion")), _version(facts.get("MinAPIVersion"))
        if theirs < OLDEST_API:
            raise EngineError(
                f"the engine speaks API {theirs[0]}.{theirs[1]}, too old", fix="use Docker Engine 20.10 or newer"
            )
        agreed = max(min(theirs, NEWEST_API), least)
        self._version = f"{agreed[0]}.{agreed[1]}"
        return self._version

    def speaks(self, version: tuple[int, int]) -> bool:
        """Whether the API version agreed on is at least this one."""
        return _version(self.api_version) >= version

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Body = None,
        content_type: str = "application/json",
    ) -> Reply:
        """One call, its answer whole; a file is sent from its beginning. `EngineUnavailableError` where it was not
        sent, `EngineTimeoutError` where it was sent and not answered."""
        if method != "GET" and not path.endswith(_SIGNALS) and not self._may_change():
            raise EngineUnavailableError(
                f"{method} {path} was not sent: this scheduler cannot tell that it leads",
                fix="it goes on by itself once the database says so; if another one leads, that one does it",
            )
        headers = {"Content-Type": content_type}
        if body is not None and not isinstance(body, bytes):
            headers["Content-Length"] = str(body.seek(0, io.SEEK_END))
            body.seek(0)
        return self._exchange(method, self.target(path, query), body, headers)

    @contextmanager
    def open(
        self, path: str, query: Mapping[str, str], *, method: str = "GET"
    ) -> Iterator[http.client.HTTPResponse]:
        """A GET whose body the caller reads as far as it likes; or a HEAD."""
        connection = self._take()
        try:
            response = connection.ask(method, self.target(path, query), None, {})
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise EngineTimeoutError(f"the engine broke off its answer: {error!r}") from error
        finally:
            connection.leave(self._give)

    def dial(self) -> socket.socket:
        """A connection of its own."""
        return dial(self._where(), self._timeout)

    def target(self, path: str, query: Mapping[str, str] | None = None) -> str:
        return f"/v{self.api_version}{path}" + (f"?{urlencode(query)}" if query else "")

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _exchange(self, method: str, target: str, body: Body, headers: dict[str, str]) -> Reply:
        connection = self._take()
        try:
            response = connection.ask(method, target, body, headers)
            return Reply(status=response.status, body=response.read())
        except (OSError, http.client.HTTPException) as error:
            raise EngineTimeoutError(
                f"{method} {target.partition('?')[0]} was sent and not answered: {error!r}"
            ) from error
        finally:
            connection.leave(self._give)

    def _where(self) -> Address:
        if self._address is None:
            self._address = self._find()
        return self._address

    def _take(self) -> "_Connection":
        while True:
            with self._lock:
                if self._closed:
                    raise EngineUnavailableError("the connection to the engine was closed")
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return _Connection(self._where(), self._timeout)
            if connection.fresh:
                return connection
            connection.close()

    def _give(self, connection: "_Connection") -> bool:
        with self._lock:
            kept = not self._closed and len(self._idle) < _MAX_IDLE
            if kept:
                self._idle.append(connection)
            return kept


class _Connection(http.client.HTTPConnection):
    """One kept-alive connection, dialled when first used."""

    def __init__(self, address: Address, timeout: float) -> None:
        super().__init__("docker")
        self._address, self._patience = address, timeout
        self._response: http.client.HTTPResponse | None = None

    def connect(self) -> None:
        self.sock = dial(self._address, self._patience)

    @property
    def fresh(self) -> bool:
        """Whether the engine keeps it open: an idle connection that is readable was closed over there."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0)

    def ask(self, method: str, target: str, body: Body, headers: dict[str, str]) -> http.client.HTTPResponse:
        """Send; the answer's head. Errors from here on mean: sent. `EngineUnavailableError`: not sent."""
        self._response = None
        try:
            self.request(method, target, body=body, headers=headers)
        except OSError as error:
            raise EngineUnavailableError(
                f"{method} {target.partition('?')[0]} cannot be sent: {error!r}"
            ) from error
        self._response = self.getresponse()
        return self._response

    def leave(self, give: "Callable[[_Connection], bool]") -> None:
        """Done with the answer: keep the connection if it was read to its end, else drop it."""
        done, self._response = self._response, None
        whole = done is not None and done.isclosed() and self.sock is not None
        if done is not None:
            done.close()
        if not (whole and give(self)):
            self.close()


def read_head(sock: socket.socket) -> tuple[int, Mapping[str, str]]:
    """The status and headers of an answer, taking not one byte of what follows them.

    Byte by byte: a head has some 150 bytes, and what would be read too much could not be waited for."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte or len(head) > _MAX_HEAD:
            raise EngineTimeoutError("the engine broke off its answer")
        head += byte
    first, *lines = head.decode("latin-1").split("\r\n")
    matched = re.match(r"HTTP/\d\.\d (\d{3})", first)
    if matched is None:
        raise EngineError(f"this is no engine: it answers {first!r}")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    return int(matched[1]), headers


def read_rest(sock: socket.socket, headers: Mapping[str, str]) -> bytes:
    """The body of an error answer: up to its length, or the end of the connection."""
    body = bytearray()
    length = int(headers.get("content-length", _MAX_HEAD))
    with suppress(OSError):
        while len(body) < length and (chunk := sock.recv(length - len(body))):
            body += chunk
    return bytes(body)


def _version(text: Json) -> tuple[int, int]:
    matched = re.fullmatch(r"(\d+)\.(\d+)", str(text))
    return (int(matched[1]), int(matched[2])) if matched else (0, 0)
