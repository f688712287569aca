"""Servers for tests of the wire: one that answers as scripted, and one that only passes bytes on."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from orchestrator.engines.docker.address import Address

#: What a scripted engine does with one request: send bytes, or nothing; and whether the connection stays.
Script = Callable[[str, socket.socket], bool]

VERSION = {"ApiVersion": "1.41", "MinAPIVersion": "1.12"}


def answer(body: object, status: str = "200 OK", *, close: bool = False) -> bytes:
    data = msgspec.json.encode(body)
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n"
    return (head + ("Connection: close\r\n" if close else "") + "\r\n").encode() + data


class Server:
    """Accepts connections and serves each in a thread; ends them all when closed."""

    def __init__(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        self._listener = listener
        self._tls = tls
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.connections = 0
        self._spawn(self._accept)

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def cut(self) -> None:
        """Break every connection there is."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def track(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.append(connection)

    def _spawn(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._spawn(lambda connection=connection: self._serve(connection))

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self.track(connection)
            self.serve(connection)
        connection.close()


class ScriptedEngine(Server):
    """Answers /version by itself, and every other request by the script it was given."""

    def __init__(self, folder: Path, script: Script, version: dict[str, str] = VERSION) -> None:
        self.path = folder / "engine.sock"
        self._script = script
        self._version = version
        self.requests: list[str] = []
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen()
        super().__init__(listener)

    @property
    def address(self) -> Address:
        return Address(url=f"unix://{self.path}")

    def serve(self, connection: socket.socket) -> None:
        while True:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                byte = connection.recv(1)
                if not byte:
                    return
                head += byte
            first = head.decode().split("\r\n")[0]
            self.requests.append(first)
            if "/version " in first:
                connection.sendall(answer(self._version))
            elif not self._script(first, connection):
                return


class Relay(Server):
    """Passes bytes between its clients and another socket, with TLS on its own side if told so."""

    def __init__(self, upstream: str, tls: ssl.SSLContext | None = None) -> None:
        self._upstream = upstream
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        super().__init__(listener, tls)

    def serve(self, connection: socket.socket) -> None:
        upstream = socket.socket(socket.AF_UNIX)
        upstream.connect(self._upstream)
        self.track(upstream)
        self._spawn(lambda: self._pass(upstream, connection))
        self._pass(connection, upstream)

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        if source.family == socket.AF_UNIX:
            source.close()
