"""Streams of the engine on sockets of their own: a container's output, and the event stream."""

import http.client
import socket
import ssl
from collections.abc import Mapping

from orchestrator.engines.docker.client import Client, Reply, read_head, read_rest
from orchestrator.errors import EngineTimeoutError, EngineUnavailableError

#: Large enough for a whole TLS record, so that none of one stays behind unseen by `selectors`.
_READ = 64 * 1024


class Refused(Exception):  # noqa: N818 - never leaves this package: the engine's answer on its way to `faults`
    """The engine answered a request for a stream with an error."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class SocketStream:
    """A `ByteStream` over a socket of any kind."""

    def __init__(self, sock: socket.socket, *, tty: bool) -> None:
        self.tty = tty
        self._sock = sock
        self._closed = False
        sock.setblocking(False)

    def fileno(self) -> int:
        return self._sock.fileno()

    def recv(self) -> bytes | None:
        """See the port."""
        if self._closed:
            return b""
        try:
            data = self._sock.recv(_READ)
            while isinstance(self._sock, ssl.SSLSocket) and data and self._sock.pending():
                data += self._sock.recv(_READ)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as error:
            raise EngineUnavailableError(f"the connection to a container's output broke: {error!r}") from error
        return data

    def close(self) -> None:
        self._closed = True
        self._sock.close()


def open_socket(client: Client, path: str, query: Mapping[str, str], *, hijack: bool = False) -> socket.socket:
    """Ask for a stream; returns the socket just behind the answer's head.

    With `hijack` the engine hands over the raw connection (attach); without, HTTP/1.0 keeps chunk borders
    out of the stream. Raises `Refused` and what dialling raises."""
    target = client.target(path, query)
    sock = client.dial()
    try:
        _ask(sock, _hijack(target) if hijack else _old_get(target))
    except OSError as error:
        sock.close()
        raise EngineTimeoutError(f"{path} was asked for and not answered: {error!r}") from error
    except BaseException:
        sock.close()
        raise
    return sock


def _ask(sock: socket.socket, request: bytes) -> None:
    sock.sendall(request)
    status, headers = read_head(sock)
    if status not in (http.client.SWITCHING_PROTOCOLS, http.client.OK):
        raise Refused(Reply(status=status, body=read_rest(sock, headers)))


def _old_get(target: str) -> bytes:
    return f"GET {target} HTTP/1.0\r\nHost: docker\r\n\r\n".encode()


def _hijack(target: str) -> bytes:
    head = "Host: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0"
    return f"POST {target} HTTP/1.1\r\n{head}\r\n\r\n".encode()
