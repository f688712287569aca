"""The event stream: one connection for all containers of a deployment, re-made whenever it is lost."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import msgspec

from orchestrator.clock import Clock
from orchestrator.engines.docker.client import Client
from orchestrator.engines.docker.facts import engine_event
from orchestrator.engines.docker.faults import refused
from orchestrator.engines.docker.streams import Refused, open_socket
from orchestrator.errors import EngineError
from orchestrator.ids import DEPLOYMENT_LABEL, DeploymentId
from orchestrator.spec.container import EngineEvent, EngineEventKind
from orchestrator.spec.value import Json

#: Seconds before the first attempt to reconnect; doubled each time up to the last.
FIRST_DELAY, LAST_DELAY = 0.1, 5.0

_KINDS = ("create", "start", "oom", "kill", "stop", "die", "destroy")
_READ = 64 * 1024


class EventStreams:
    """Event streams that can be ended together from another thread."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    def listen(self, deployment: DeploymentId) -> Iterator[EngineEvent]:
        """See `Engine.events`. An outage is told once, however many attempts to reconnect fail."""
        delay, told = FIRST_DELAY, False
        while not self._stop.is_set():
            try:
                sock = self._connect(deployment)
                delay, told = FIRST_DELAY, False
                yield from self._drain(sock)
                lost = "the engine ended the event stream"
            except EngineError as error:
                lost = error.message
            if self._stop.is_set():
                return
            if not told:
                yield EngineEvent(kind=EngineEventKind.DISCONNECTED, detail=lost)
                told = True
            self._clock.wait(self._stop, delay)
            delay = min(delay * 2, LAST_DELAY)

    def close(self) -> None:
        self._stop.set()
        with self._lock:
            for sock in self._open:
                _wake(sock)

    def _connect(self, deployment: DeploymentId) -> socket.socket:
        self._client.negotiate()
        filters: dict[str, list[str]] = {
            "type": ["container"],
            "label": [f"{DEPLOYMENT_LABEL}={deployment}"],
            "event": list(_KINDS),
        }
        try:
            sock = open_socket(self._client, "/events", {"filters": msgspec.json.encode(filters).decode()})
        except Refused as answer:
            raise refused(answer.reply) from answer
        sock.settimeout(None)
        with self._lock:
            self._open.add(sock)
            if self._stop.is_set():
                _wake(sock)
        return sock

    def _drain(self, sock: socket.socket) -> Iterator[EngineEvent]:
        rest = b""
        try:
            yield EngineEvent(kind=EngineEventKind.CONNECTED)
            while data := _receive(sock):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    event = engine_event(msgspec.json.decode(line, type=dict[str, Json])) if line.strip() else None
                    if event is not None:
                        yield event
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()


def _receive(sock: socket.socket) -> bytes:
    try:
        return sock.recv(_READ)
    except OSError:
        return b""


def _wake(sock: socket.socket) -> None:
    """End a blocked read in another thread."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
