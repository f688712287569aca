"""A proxy between a scheduler process and the engine: it passes every byte on as it came, keeps a record of what
it saw, and stops time for one connection at a chosen moment, so that a test can kill the scheduler just there.
"""

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from pathlib import Path
from typing import Any, Self

import msgspec
from http_wire import Answer, Request, Source, read_answer, read_request

from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.dial import dial
from orchestrator.ids import ContainerId
from orchestrator.spec.value import Value

#: Seconds after which something that has to come is missing.
PATIENCE = 60
#: Bytes of a request's body that are passed on together at most: a body that is copied in has several.
_PIECE = 4096


class Step(Enum):
    """Where on its way something is. All but the last are seen before the bytes are passed on."""

    ASKED = auto()  #: the head of a request came from the scheduler
    SENDING = auto()  #: a part of a request's body was passed on to the engine, and more is here
    ANSWERED = auto()  #: the head of the engine's answer came
    EVENT = auto()  #: a line of the event stream came
    PASSED = auto()  #: an answer was passed on whole


class Sighting(Value, frozen=True, kw_only=True):
    """Something that the proxy saw. `container` is the name of the container that it is about, if any."""

    step: Step
    request: Request
    container: str = ""
    answer: Answer | None = None
    event: dict[str, Any] = {}

    @property
    def action(self) -> str:
        """What an event tells of: start, die, ..."""
        return str(self.event.get("Action", ""))


class Moment:
    """One sighting that is waited for. Once it comes, its connection stands still until `let_go`."""

    def __init__(self, matches: Callable[[Sighting], bool], wanted: str) -> None:
        self.matches = matches
        self._wanted = wanted
        self._come = threading.Event()
        self._go = threading.Event()

    def wait(self) -> None:
        assert self._come.wait(PATIENCE), f"the proxy never saw: {self._wanted}"

    def let_go(self) -> None:
        self._go.set()

    def come(self) -> None:
        """In the connection's own thread: stand still."""
        self._come.set()
        self._go.wait(PATIENCE)


class EngineProxy:
    """Listens on `path` for an engine at `address`; a context manager."""

    def __init__(self, address: Address, path: Path) -> None:
        self.url = f"unix://{path}"
        self._address = address
        self._lock = threading.Lock()
        self._seen: list[Sighting] = []
        self._moments: list[Moment] = []
        self._armed: list[Moment] = []
        self._names: dict[ContainerId, str] = {}
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(128)

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        """End every connection."""
        for moment in self._moments:
            moment.let_go()
        with self._lock:
            sockets = [self._listener, *self._sockets]
        for sock in sockets:
            _shut(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listener.close()

    @property
    def seen(self) -> tuple[Sighting, ...]:
        """Everything so far, in the order in which it was seen."""
        with self._lock:
            return tuple(self._seen)

    def at(self, step: Step, wanted: str, matches: Callable[[Sighting], bool]) -> Moment:
        """Arm a moment: the first sighting of this step from now on that matches. `wanted` says it in words."""
        moment = Moment(lambda sighting: sighting.step is step and matches(sighting), wanted)
        with self._lock:
            self._moments.append(moment)
            self._armed.append(moment)
        return moment

    def at_call(self, step: Step, method: str, ending: str, container: str) -> Moment:
        """A moment of a call whose path ends so, about a container whose name has this part."""
        return self.at(
            step,
            f"{method} ...{ending} about {container}, {step.name}",
            lambda it: (
                it.request.method == method and it.request.path.endswith(ending) and container in it.container
            ),
        )

    def at_event(self, action: str, container: str) -> Moment:
        """The moment when the event stream tells that this happened to a container."""
        return self.at(
            Step.EVENT,
            f"event {action} of {container}",
            lambda it: it.action == action and container in it.container,
        )

    # --- connections ------------------------------------------------------------------------------------

    def _spawn(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was shut
            while True:
                client, _ = self._listener.accept()
                self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        """One connection, until both directions have ended."""
        engine = dial(self._address, PATIENCE)
        engine.settimeout(None)
        with client, engine, self._known(client, engine):
            asked: queue.SimpleQueue[Request] = queue.SimpleQueue()
            back = threading.Thread(target=self._answers, args=(engine, client, asked), daemon=True)
            back.start()
            with suppress(OSError):
                self._requests(client, engine, asked)
            _shut(engine, socket.SHUT_WR)
            back.join()

    @contextmanager
    def _known(self, *sockets: socket.socket) -> Iterator[None]:
        with self._lock:
            self._sockets.update(sockets)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.difference_update(sockets)

    def _requests(self, client: socket.socket, engine: socket.socket, asked: "queue.SimpleQueue[Request]") -> None:
        source = Source(client, _PIECE)
        while head := source.head():
            if not head.endswith(b"\r\n\r\n"):
                engine.sendall(head)  # the client went away within a head
                return
            request = read_request(head)
            self._see(Step.ASKED, request)
            asked.put(request)
            engine.sendall(head)
            for number, piece in enumerate(source.body(request.framing, request.length)):
                if number:
                    self._see(Step.SENDING, request)
                engine.sendall(piece)

    def _answers(self, engine: socket.socket, client: socket.socket, asked: "queue.SimpleQueue[Request]") -> None:
        with suppress(OSError):
            source = Source(engine)
            while head := source.head():
                request = asked.get()
                answer = read_answer(head, request)
                while answer.interim:
                    client.sendall(head)
                    head = source.head()
                    answer = read_answer(head, request)
                self._answer(source, client, request, answer, head)
        _shut(client, socket.SHUT_WR)

    def _answer(self, source: Source, client: socket.socket, request: Request, answer: Answer, head: bytes) -> None:
        if request.path == "/events":
            client.sendall(head)
            for line in source.lines():
                self._see_event(request, line)
                client.sendall(line)
            return
        pieces = source.body(answer.framing, answer.length)
        if request.path == "/containers/create":
            body = b"".join(pieces)
            self._learn_name(request, body)
            pieces = iter((body,))
        self._see(Step.ANSWERED, request, answer)
        client.sendall(head)
        for piece in pieces:
            client.sendall(piece)
        self._see(Step.PASSED, request, answer)

    # --- what is seen -----------------------------------------------------------------------------------

    def _see(self, step: Step, request: Request, answer: Answer | None = None) -> None:
        container = request.query.get("name", "") if request.path == "/containers/create" else self._name(request)
        self._sight(Sighting(step=step, request=request, container=container, answer=answer))

    def _see_event(self, request: Request, line: bytes) -> None:
        event = msgspec.json.decode(line, type=dict[str, Any]) if line.strip() else {}
        name = event.get("Actor", {}).get("Attributes", {}).get("name", "")
        self._sight(Sighting(step=Step.EVENT, request=request, container=name, event=event))

    def _sight(self, sighting: Sighting) -> None:
        with self._lock:
            self._seen.append(sighting)
            moment = next((each for each in self._armed if each.matches(sighting)), None)
            if moment is not None:
                self._armed.remove(moment)
        if moment is not None:
            moment.come()

    def _learn_name(self, request: Request, body: bytes) -> None:
        made = msgspec.json.decode(body, type=dict[str, Any])
        if "Id" in made:
            with self._lock:
                self._names[ContainerId(made["Id"])] = request.query.get("name", "")

    def _name(self, request: Request) -> str:
        parts = request.path.split("/")
        with self._lock:
            return self._names.get(ContainerId(parts[2]), "") if len(parts) > 2 else ""


def _shut(sock: socket.socket, how: int) -> None:
    with suppress(OSError):
        sock.shutdown(how)
