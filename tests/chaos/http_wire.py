"""HTTP as it passes: heads and bodies cut apart without changing, adding or losing a byte."""

import re
import socket
from collections.abc import Iterator
from enum import Enum, auto
from urllib.parse import parse_qs, urlsplit

from orchestrator.spec.value import Value

_READ = 64 * 1024
_END_OF_HEAD = b"\r\n\r\n"
_NO_BODY = (204, 304)
_SWITCHING = 101


class Framing(Enum):
    """How the end of a body is known."""

    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()
    TO_THE_END = auto()  #: of the connection


class Request(Value, frozen=True, kw_only=True):
    """A request's head. `path` is without the API version and the query."""

    method: str
    path: str
    query: dict[str, str]
    framing: Framing
    length: int = 0

    @property
    def call(self) -> str:
        """Method and path with ids left out, for counting and for people."""
        return f"{self.method} {re.sub(r'[0-9a-f]{64}', '<id>', self.path)}"


class Answer(Value, frozen=True, kw_only=True):
    """An answer's head."""

    status: int
    framing: Framing
    length: int = 0

    @property
    def interim(self) -> bool:
        """Whether another answer to the same request follows."""
        return self.status // 100 == 1 and self.status != _SWITCHING


def read_request(head: bytes) -> Request:
    """What a request's head says."""
    first, headers = _split(head)
    method, target, _ = first.split(" ", 2)
    url = urlsplit(target)
    framing = Framing.TO_THE_END if "upgrade" in headers else _framing(headers, Framing.NONE)
    return Request(
        method=method,
        path=re.sub(r"^/v\d+\.\d+(?=/)", "", url.path),
        query={name: values[-1] for name, values in parse_qs(url.query).items()},
        framing=framing,
        length=int(headers.get("content-length", 0)),
    )


def read_answer(head: bytes, request: Request) -> Answer:
    """What an answer's head says, `request` being what it answers."""
    first, headers = _split(head)
    status = int(first.split(" ")[1])
    if status == _SWITCHING:
        framing = Framing.TO_THE_END
    elif request.method == "HEAD" or status in _NO_BODY or status // 100 == 1:
        framing = Framing.NONE
    else:
        framing = _framing(headers, Framing.TO_THE_END)
    return Answer(status=status, framing=framing, length=int(headers.get("content-length", 0)))


def _split(head: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    return first, {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }


def _framing(headers: dict[str, str], otherwise: Framing) -> Framing:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return Framing.CHUNKED
    return Framing.LENGTH if "content-length" in headers else otherwise


class Source:
    """The bytes that one side of a connection sends, in pieces that add up to exactly them."""

    def __init__(self, sock: socket.socket, piece: int = _READ) -> None:
        """`piece`: how many bytes of a body are handed on together at most."""
        self._sock = sock
        self._piece = piece
        self._held = b""

    def head(self) -> bytes:
        """The next head with its empty line. At the connection's end: what is left, mostly nothing."""
        return self._through(_END_OF_HEAD)

    def body(self, framing: Framing, length: int) -> Iterator[bytes]:
        match framing:
            case Framing.NONE:
                return iter(())
            case Framing.LENGTH:
                return self._counted(length)
            case Framing.CHUNKED:
                return self._chunks()
            case Framing.TO_THE_END:
                return self._rest()

    def lines(self) -> Iterator[bytes]:
        """All that is left, line by line, the last one perhaps without its end."""
        while line := self._through(b"\n"):
            yield line

    def _through(self, mark: bytes) -> bytes:
        while mark not in self._held:
            if not self._more():
                return self._take(len(self._held))
        return self._take(self._held.index(mark) + len(mark))

    def _counted(self, length: int) -> Iterator[bytes]:
        while length and (self._held or self._more()):
            piece = self._take(min(length, self._piece))
            length -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while size := self._through(b"\r\n"):
            yield size
            length = int(size.partition(b";")[0], 16)
            if length == 0:
                break
            yield from self._counted(length + 2)
        while trailer := self._through(b"\r\n"):
            yield trailer
            if trailer == b"\r\n":
                return

    def _rest(self) -> Iterator[bytes]:
        while self._held or self._more():
            yield self._take(self._piece)

    def _take(self, size: int) -> bytes:
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def _more(self) -> bool:
        try:
            data = self._sock.recv(_READ)
        except OSError:
            data = b""
        self._held += data
        return bool(data)
