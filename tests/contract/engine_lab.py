"""A bench for engines: the same small programs as shell scripts for a real one and as values for the fake."""

import queue
import selectors
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, ContainerId, DeploymentId
from orchestrator.ports import ByteStream, Engine, Stream
from orchestrator.spec.container import ContainerSpec, EngineEvent, EngineEventKind
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode
from orchestrator.testing.programs import Output, Program

#: Seconds after which something that has to come is missing.
PATIENCE = 30


class Play(Value, frozen=True, kw_only=True):
    """One program, twice."""

    sh: str
    program: Program


def _out(text: bytes) -> Output:
    return Output(data=text)


ONCE_MORE = Play(sh="echo again", program=Program(output=(_out(b"again\n"),)))
QUIET = Play(sh="true", program=Program())
TALK = Play(
    sh="echo out; echo err >&2; exit 3",
    program=Program(output=(_out(b"out\n"), Output(data=b"err\n", stream=Stream.STDERR)), exit_code=3),
)
COUNT = Play(
    sh="seq 1 3000",
    program=Program(output=(_out("".join(f"{n}\n" for n in range(1, 3001)).encode()),)),
)
RAW = Play(sh=r"printf '\377a\200\303\251\n'", program=Program(output=(_out(b"\xffa\x80\xc3\xa9\n"),)))
LONG = Play(
    sh="head -c 20000 /dev/zero | tr '\\0' x; echo; printf open",
    program=Program(output=(_out(b"x" * 20000 + b"\nopen"),)),
)
CUT = Play(
    sh=r"head -c 16383 /dev/zero | tr '\0' x; printf '\303\251\n'",
    program=Program(output=(_out(b"x" * 16383 + b"\xc3\xa9\n"),)),
)
RESULT = Play(
    sh="printf '[1]' > /tmp/result; ln -s result /tmp/link",
    program=Program(files={"/tmp/result": b"[1]", "/tmp/link": b"[1]"}),
)
SHELF = Play(
    sh="mkdir -p /out/deep; printf a > /out/a.txt; printf bb > /out/deep/b.txt; printf c > /vol/c.txt",
    program=Program(files={"/out/a.txt": b"a", "/out/deep/b.txt": b"bb", "/vol/c.txt": b"c"}),
)
OBEDIENT = Play(
    sh="trap 'exit 143' TERM; echo ready; while :; do sleep 60 & wait; done",
    program=Program(output=(_out(b"ready\n"),), stays=True),
)
DEAF = Play(
    sh="trap '' TERM; echo ready; exec sleep 600",
    program=Program(output=(_out(b"ready\n"),), stays=True, deaf_to=frozenset({"TERM"})),
)
NOWHERE = Play(sh="", program=Program(refused=ReasonCode.COMMAND_MISSING))
PLAYS = (ONCE_MORE, QUIET, TALK, COUNT, RAW, LONG, CUT, RESULT, SHELF, OBEDIENT, DEAF)


def script(spec: ContainerSpec) -> Program:
    """The fake's side: which program a spec stands for."""
    text = spec.command[-1] if spec.command else ""
    return next((play.program for play in PLAYS if play.sh == text), NOWHERE.program)


class Lab:
    """An engine, a deployment of its own, and its events; removes every container it made."""

    def __init__(self, engine: Engine, deployment: DeploymentId, image: str) -> None:
        self.engine = engine
        self.deployment = deployment
        self._image = image
        self._made: list[ContainerId] = []

    def spec(self, play: Play, **changes: Any) -> ContainerSpec:
        fields: dict[str, Any] = {
            "name": f"orc-{self.deployment}-{len(self._made)}",
            "image": self._image,
            "image_name": self._image,
            "command": ("sh", "-c", play.sh),
            "labels": {DEPLOYMENT_LABEL: self.deployment, KIND_LABEL: "try", "orchestrator.try_id": "0" * 16},
            "network": "none",
        }
        return ContainerSpec(**{**fields, **changes})

    def create(self, play: Play, **changes: Any) -> ContainerId:
        container = self.engine.create(self.spec(play, **changes))
        self._made.append(container)
        return container

    def finished(self, play: Play, **changes: Any) -> ContainerId:
        """A container that ran to its end."""
        container = self.create(play, **changes)
        with self.listening() as events:
            self.engine.start(container)
            events.expect(EngineEventKind.DIE, container)
        return container

    def running(self, play: Play) -> ContainerId:
        """A container that has said that it is ready."""
        container = self.create(play)
        stream = self.engine.attach_logs(container)
        try:
            self.engine.start(container)
            read(stream, until=b"ready\n")
        finally:
            stream.close()
        return container

    def listening(self) -> "Listener":
        return Listener(self.engine, self.deployment)

    def clear(self) -> None:
        for container in self._made:
            self.engine.remove(container, force=True)


class Listener:
    """Reads the event stream in a thread; entered once it is connected."""

    def __init__(self, engine: Engine, deployment: DeploymentId) -> None:
        self._seen: queue.Queue[EngineEvent] = queue.Queue()
        self._events = engine.events(deployment)
        self._left = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        assert self.next().kind is EngineEventKind.CONNECTED
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()

    def next(self) -> EngineEvent:
        return self._seen.get(timeout=PATIENCE)

    def expect(self, kind: EngineEventKind, container: ContainerId) -> EngineEvent:
        """The next event of this kind and container; others before it are passed over."""
        while True:
            event = self.next()
            if event.kind is kind and event.container_id == container:
                return event

    def until(self, kind: EngineEventKind, container: ContainerId) -> list[EngineEvent]:
        """Everything up to and with the event of this kind and container."""
        events: list[EngineEvent] = []
        while not events or (events[-1].kind, events[-1].container_id) != (kind, container):
            events.append(self.next())
        return events

    def _read(self) -> None:
        for event in self._events:
            self._seen.put(event)


def read(stream: ByteStream, until: bytes | None = None) -> bytes:
    """A stream to its end, or until its payload ends with `until`."""
    data = b""
    with waiting(stream) as selector:
        while until is None or not data.endswith(until):
            chunk = stream.recv()
            if chunk is None:
                assert selector.select(PATIENCE), f"nothing came after {data[-100:]!r}"
            elif chunk == b"":
                break
            else:
                data += chunk
    return data


@contextmanager
def waiting(stream: ByteStream) -> Iterator[selectors.BaseSelector]:
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        yield selector


def payload(data: bytes) -> dict[Stream, bytes]:
    """What each stream says, out of multiplexed frames."""
    said = {Stream.STDOUT: b"", Stream.STDERR: b""}
    while data:
        head, data = data[:8], data[8:]
        assert head[1:4] == bytes(3)
        size = int.from_bytes(head[4:], "big")
        stream = {1: Stream.STDOUT, 2: Stream.STDERR}[head[0]]
        said[stream] += data[:size]
        assert len(data) >= size, "a frame is cut off"
        data = data[size:]
    return said
