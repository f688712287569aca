"""An engine in this process, for tests: deterministic, without waiting, and with the faults of the real one.

The contract suite runs over this and the Docker engine alike, so what it does is what Docker does: a start of
an exited container runs it again, a name is taken until its container is removed, events reach only those who
are connected, the kept log is damaged where `json-file` damages it. Time-outs and errors come on demand.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from typing import IO, TypeVar

import msgspec

from orchestrator.clock import Clock
from orchestrator.errors import (
    ContainerRunningError,
    EngineUnavailableError,
    LaunchRefusedError,
    NameTakenError,
    NoSuchContainerError,
)
from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, TRY_KIND, ContainerId, DeploymentId
from orchestrator.ports import ByteStream, FoundFile, FoundKind, Stream
from orchestrator.spec.artifacts import ArtifactId, none_stored
from orchestrator.spec.container import (
    ContainerFacts,
    ContainerSpec,
    EngineCapacity,
    EngineEvent,
    EngineEventKind,
    EngineLife,
    InputFile,
    MountType,
    VolumeFacts,
)
from orchestrator.states import ReasonCode
from orchestrator.testing.call_log import CallLog
from orchestrator.testing.fake_container import FakeContainer, LogHabits, exit_code_of
from orchestrator.testing.fake_events import EventBoard
from orchestrator.testing.fake_volumes import FakeVolumes
from orchestrator.testing.faults import FaultPlan
from orchestrator.testing.programs import Program

T = TypeVar("T")
_Kind = EngineEventKind


class Outage(StrEnum):
    """What becomes of running containers while it is away. With live-restore only a power cut ends them."""

    CONNECTION = "connection"  #: only we lost it: they run on, and it stays the same engine
    STOPPED = "stopped"  #: in order: TERM to each, their ends are still told
    CRASHED = "crashed"  #: they run on until it comes up, which ends them before it answers anybody
    POWER = "power"  #: they end with it, and it knows no exit codes


class FakeEngine:
    """See the module. `script` says what each container does; `images` and `networks` are what exists
    (`images` None: every one); `piece` is the most bytes that one `recv` of a log stream gives;
    `follow_loses_tail`: who follows a log misses its last entry when the container ends."""

    def __init__(
        self,
        clock: Clock,
        script: Callable[[ContainerSpec], Program] = lambda _: Program(),
        *,
        images: frozenset[str] | None = None,
        networks: frozenset[str] = frozenset({"bridge", "host", "none"}),
        piece: int = 65536,
        follow_loses_tail: bool = False,
    ) -> None:
        self.calls = CallLog()
        self.faults = FaultPlan()
        self.board = EventBoard()
        self._clock = clock
        self._script = script
        self._images = images
        self._networks = networks
        self._log = LogHabits(piece=piece, follow_loses_tail=follow_loses_tail)
        self._lock = threading.RLock()
        self._containers: dict[str, FakeContainer] = {}
        self._volumes = FakeVolumes()
        self.stages: dict[str, dict[str, bytes]] = {}  #: by container: what waits for its promotion
        self.roots: dict[str, bytes] = {}  #: what was promoted: `<root>/<path>` -> content
        self._made = 0
        self._salt = str(id(self))  #: what tells its containers' ids from those of others
        self._down: str | None = None
        self._outage = Outage.CONNECTION
        self._since = clock.now() - _MOMENT
        self.live_restore = False
        self.tells_life = True  #: whether it says since when it is up

    # --- what a test does -----------------------------------------------------------------------------

    def container(self, name: str) -> FakeContainer:
        """The container of this name (or id), for looking inside; KeyError where there is none."""
        with self._lock:
            for container in self._containers.values():
                if name in (container.id, container.spec.name):
                    return container
        raise KeyError(name)

    @property
    def containers(self) -> tuple[FakeContainer, ...]:
        with self._lock:
            return tuple(self._containers.values())

    def write(self, name: str, data: bytes, stream: Stream = Stream.STDOUT) -> None:
        """A running container writes."""
        with self._lock:
            self.container(name).write(stream, data)

    def finish(self, name: str, exit_code: int | None = None) -> None:
        """A running container ends by itself, with its program's exit code unless another is given."""
        with self._lock:
            container = self.container(name)
            self._end(container, container.program.exit_code if exit_code is None else exit_code)

    def go_down(self, outage: Outage = Outage.CONNECTION) -> None:
        """From now on every call fails and all streams are cut, until `come_up`."""
        with self._lock:
            self._down, self._outage = f"the engine is down ({outage})", outage
            for container in self._containers.values():
                if container.runs and outage is Outage.STOPPED and not self.live_restore:
                    self._stop(container)
                if container.runs and outage is Outage.POWER:
                    container.end(_UNKNOWN_EXIT, self._clock.now())
                container.end_streams()
            self.board.disconnect(self._down)

    def come_up(self) -> None:
        with self._lock:
            if self._outage is not Outage.CONNECTION:
                self._begin_life()
            self._down, self._outage = None, Outage.CONNECTION
            self.board.connect()

    def _begin_life(self) -> None:
        """A new start of the engine; what it left running keeps it from making its network anew."""
        running = [container for container in self._containers.values() if container.runs]
        if not (self.live_restore and running):
            self._since = self._clock.now() + _MOMENT
        for container in () if self.live_restore else running:
            self._stop(container)

    def _stop(self, container: FakeContainer) -> None:
        """As an engine does that stops or starts: nobody is deaf to it."""
        signal = "TERM" if container.heeds("TERM") else "KILL"
        self._tell(_Kind.KILL, container, detail=str(exit_code_of(signal) - 128))
        self._end(container, container.exit_code_on(signal))

    # --- the port -------------------------------------------------------------------------------------

    def create(self, spec: ContainerSpec) -> ContainerId:
        return self._call("create", spec.name, lambda: self._create(spec))

    def start(self, container: ContainerId) -> None:
        self._call("start", container, lambda: self._start(self._find(container)))

    def signal(self, container: ContainerId, signal: str) -> bool:
        return self._call("signal", container, lambda: self._signal(container, signal))

    def remove(self, container: ContainerId, *, force: bool = False) -> bool:
        return self._call("remove", container, lambda: self._remove(container, force=force))

    def inspect(self, container: ContainerId) -> ContainerFacts:
        return self._call("inspect", container, lambda: self._find(container).facts)

    def memory(self, container: ContainerId) -> int | None:
        return self._call("memory", container, lambda: self._find(container).memory)

    def list_ours(self, deployment: DeploymentId) -> tuple[ContainerFacts, ...]:
        return self._call("list_ours", "", lambda: self._list(DEPLOYMENT_LABEL, deployment))

    def list_owned(self, label: str) -> tuple[ContainerFacts, ...]:
        return self._call("list_owned", "", lambda: self._owned(label))

    def list_volumes(self, deployment: DeploymentId) -> tuple[VolumeFacts, ...]:
        return self._call("list_volumes", "", lambda: self._volumes.labelled(DEPLOYMENT_LABEL, deployment))

    def list_owned_volumes(self, label: str) -> tuple[VolumeFacts, ...]:
        return self._call("list_owned_volumes", "", lambda: self._volumes.labelled(label))

    def remove_volume(self, name: str) -> bool:
        return self._call("remove_volume", name, lambda: self._volumes.remove(name, self.containers))

    def events(self, deployment: DeploymentId) -> Iterator[EngineEvent]:
        self.calls.add("events")
        return iter(self.board.subscribe(deployment))

    def attach_logs(self, container: ContainerId) -> ByteStream:
        return self._call("attach_logs", container, lambda: self._find(container).attach())

    def follow_logs(self, container: ContainerId) -> ByteStream:
        return self._call("follow_logs", container, lambda: self._find(container).follow())

    def read_logs(self, container: ContainerId) -> Iterator[bytes]:
        return iter(self._call("read_logs", container, lambda: self._find(container).log()))

    def read_file(self, container: ContainerId, path: str, limit: int) -> bytes:
        return self._call("read_file", container, lambda: self._find(container).read(path, limit))

    def file_size(self, container: ContainerId, path: str) -> int | None:
        return self._call("file_size", container, lambda: self._find(container).size(path))

    def changed_paths(self, container: ContainerId) -> tuple[str, ...]:
        return self._call("changed_paths", container, lambda: self._find(container).changed())

    def copy_out(
        self, container: ContainerId, path: str, take: Callable[[FoundFile, IO[bytes] | None], bool]
    ) -> None:
        found = self._call("copy_out", container, lambda: self._find(container).below(path))
        all(take(FoundFile(path=each, kind=FoundKind.FILE, size=len(data)), BytesIO(data)) for each, data in found)

    def put_files(
        self,
        container: ContainerId,
        files: Sequence[InputFile],
        artifact: Callable[[ArtifactId], IO[bytes]] = none_stored,
    ) -> None:
        filled = [_filled(file, artifact) for file in files]
        self._call("put_files", container, lambda: self._put(self._find(container), filled))

    def promote(self, spec: ContainerSpec) -> str | None:
        return self._call("promote", spec.name, lambda: self._promote(spec))

    def discard(self, spec: ContainerSpec) -> None:
        self._call("discard", spec.name, lambda: self.stages.pop(spec.name, None))

    def capacity(self) -> EngineCapacity:
        return self._call("capacity", "", lambda: _CAPACITY)

    def life(self) -> EngineLife:
        return self._call("life", "", self._life)

    def ping(self) -> None:
        self._call("ping", "", lambda: None)

    def close(self) -> None:
        with self._lock:
            self.board.close()
            for container in self._containers.values():
                container.end_streams()

    # --- inside ---------------------------------------------------------------------------------------

    def _call(self, verb: str, subject: str, act: Callable[[], T]) -> T:
        self.calls.add(verb, subject)
        return self.faults.around(verb, lambda: self._when_up(act))

    def _when_up(self, act: Callable[[], T]) -> T:
        with self._lock:
            if self._down is not None:
                raise EngineUnavailableError(self._down)
            return act()

    def _life(self) -> EngineLife:
        return EngineLife(since=self._since if self.tells_life else None, live_restore=self.live_restore)

    def _find(self, container: str) -> FakeContainer:
        found = self._containers.get(container)
        if found is None:
            raise NoSuchContainerError(f"No such container: {container}")
        return found

    def _create(self, spec: ContainerSpec) -> ContainerId:
        for other in self._containers.values():
            if other.spec.name == spec.name:
                raise NameTakenError(spec.name, other.id)
        if self._images is not None and spec.image not in self._images:
            raise LaunchRefusedError(ReasonCode.IMAGE_MISSING, f"No such image: {spec.image}")
        _refuse_excess(spec)
        for mount in spec.mounts:
            if mount.stage:
                self.stages.setdefault(spec.name, {})
            elif mount.type is MountType.BIND and not Path(mount.source).exists():
                text = f"bind source path does not exist: {mount.source}"
                raise LaunchRefusedError(ReasonCode.MOUNT_MISSING, text)
        self._volumes.make(spec, self._clock.now())
        self._made += 1
        made = ContainerId(hashlib.sha256(f"{self._salt} {self._made}".encode()).hexdigest())
        self._containers[made] = FakeContainer(made, spec, self._script(spec), self._log)
        self._tell(_Kind.CREATE, self._containers[made])
        return made

    def _start(self, container: FakeContainer) -> None:
        if container.runs:
            return
        program = container.program
        if container.spec.network is not None and container.spec.network not in self._networks:
            raise LaunchRefusedError(ReasonCode.NETWORK_MISSING, f"network {container.spec.network} not found")
        if program.refused is not None:
            raise LaunchRefusedError(program.refused, f"start refused as planned: {program.refused}")
        container.start(self._clock.now())
        if container.spec.name in self.stages:
            self.stages[container.spec.name] = container.staged()
        self._tell(_Kind.START, container)
        if not program.stays:
            if program.oom_killed:
                self._tell(_Kind.OOM, container)
            self._end(container, program.exit_code)

    def _end(self, container: FakeContainer, exit_code: int) -> None:
        container.end(exit_code, self._clock.now(), oom_killed=container.program.oom_killed)
        self._tell(_Kind.DIE, container, exit_code=exit_code)

    def _signal(self, container: ContainerId, signal: str) -> bool:
        found = self._containers.get(container)
        if found is None or not found.runs:
            return False
        self._tell(_Kind.KILL, found, detail=str(exit_code_of(signal) - 128))
        if found.heeds(signal):
            self._end(found, found.exit_code_on(signal))
        return True

    def _remove(self, container: ContainerId, *, force: bool) -> bool:
        found = self._containers.get(container)
        if found is None:
            return False
        if found.runs and not force:
            raise ContainerRunningError(f"container {container} runs")
        if found.runs:
            self._tell(_Kind.KILL, found, detail="9")
            self._end(found, exit_code_of("KILL"))
        if found.starts:  # the stream of one that never ran stays open
            found.end_streams()
        del self._containers[container]
        self._tell(_Kind.DESTROY, found)
        return True

    def _put(self, container: FakeContainer, files: Sequence[InputFile]) -> None:
        for file in files:
            container.put(file)

    def _promote(self, spec: ContainerSpec) -> str | None:
        """A promotion that was broken off is done when it is asked for again."""
        for place, data in self.stages.pop(spec.name, {}).items():
            self.roots[place] = data
        return None

    def _list(self, label: str, value: str) -> tuple[ContainerFacts, ...]:
        """Tries with this label."""
        return tuple(
            container.facts
            for container in self._containers.values()
            if container.spec.labels.get(KIND_LABEL) == TRY_KIND and container.spec.labels.get(label) == value
        )

    def _owned(self, label: str) -> tuple[ContainerFacts, ...]:
        return tuple(each.facts for each in self._containers.values() if label in each.spec.labels)

    def _tell(
        self, kind: EngineEventKind, container: FakeContainer, *, exit_code: int | None = None, detail: str = ""
    ) -> None:
        self.board.publish(
            EngineEvent(
                kind=kind,
                container_id=container.id,
                labels=container.spec.labels,
                at=self._clock.now(),
                exit_code=exit_code,
                detail=detail,
            )
        )


def _refuse_excess(spec: ContainerSpec) -> None:
    if (spec.memory or 0) > _CAPACITY.memory or (spec.cpus or 0) > _CAPACITY.cpus:
        raise LaunchRefusedError(ReasonCode.CREATE_REFUSED, "more than the engine has", fix="ask for less")


def _filled(file: InputFile, artifact: Callable[[ArtifactId], IO[bytes]]) -> InputFile:
    if file.artifact is None:
        return file
    with artifact(file.artifact) as content:
        return msgspec.structs.replace(file, data=content.read())


#: What an engine says of one whose end it did not see.
_UNKNOWN_EXIT = 255
#: What separates a start of the engine from what happens at the same instant of a clock that stands still.
_MOMENT = timedelta(microseconds=1)
_CAPACITY = EngineCapacity(
    cpus=4, memory=8 * 2**30, version="fake", api_version="1.41", architecture="x86_64", os="linux"
)
