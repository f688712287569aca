"""Who asked an engine for what, in which order; so that a test can prove that something was not asked."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from orchestrator.ids import ContainerId, DeploymentId
from orchestrator.ports import ByteStream, Engine, FoundFile
from orchestrator.spec.artifacts import ArtifactId, none_stored
from orchestrator.spec.container import (
    ContainerFacts,
    ContainerSpec,
    EngineCapacity,
    EngineEvent,
    InputFile,
)
from orchestrator.spec.value import Value


class Call(Value, frozen=True, kw_only=True):
    """One call: the port's verb and the container (for `create`, its name) it was about."""

    verb: str
    subject: str = ""


class CallLog:
    """Calls in the order in which they were made. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []

    def add(self, verb: str, subject: str = "") -> None:
        with self._lock:
            self._calls.append(Call(verb=verb, subject=subject))

    @property
    def all(self) -> tuple[Call, ...]:
        with self._lock:
            return tuple(self._calls)

    def mark(self) -> int:
        """How many calls there were so far; give it to `since` later."""
        with self._lock:
            return len(self._calls)

    def since(self, mark: int) -> tuple[Call, ...]:
        with self._lock:
            return tuple(self._calls[mark:])

    def count(self, verb: str) -> int:
        return Counter(call.verb for call in self.all)[verb]


class CountingEngine:
    """Any engine, with a log of the calls made to it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.calls = CallLog()

    def create(self, spec: ContainerSpec) -> ContainerId:
        self.calls.add("create", spec.name)
        return self._engine.create(spec)

    def start(self, container: ContainerId) -> None:
        self.calls.add("start", container)
        self._engine.start(container)

    def signal(self, container: ContainerId, signal: str) -> bool:
        self.calls.add("signal", container)
        return self._engine.signal(container, signal)

    def remove(self, container: ContainerId, *, force: bool = False) -> bool:
        self.calls.add("remove", container)
        return self._engine.remove(container, force=force)

    def inspect(self, container: ContainerId) -> ContainerFacts:
        self.calls.add("inspect", container)
        return self._engine.inspect(container)

    def memory(self, container: ContainerId) -> int | None:
        self.calls.add("memory", container)
        return self._engine.memory(container)

    def list_ours(self, deployment: DeploymentId) -> tuple[ContainerFacts, ...]:
        self.calls.add("list_ours")
        return self._engine.list_ours(deployment)

    def list_owned(self, label: str) -> tuple[ContainerFacts, ...]:
        self.calls.add("list_owned")
        return self._engine.list_owned(label)

    def events(self, deployment: DeploymentId) -> Iterator[EngineEvent]:
        self.calls.add("events")
        return self._engine.events(deployment)

    def attach_logs(self, container: ContainerId) -> ByteStream:
        self.calls.add("attach_logs", container)
        return self._engine.attach_logs(container)

    def follow_logs(self, container: ContainerId) -> ByteStream:
        self.calls.add("follow_logs", container)
        return self._engine.follow_logs(container)

    def read_logs(self, container: ContainerId) -> Iterator[bytes]:
        self.calls.add("read_logs", container)
        return self._engine.read_logs(container)

    def read_file(self, container: ContainerId, path: str, limit: int) -> bytes:
        self.calls.add("read_file", container)
        return self._engine.read_file(container, path, limit)

    def put_files(
        self,
        container: ContainerId,
        files: Sequence[InputFile],
        artifact: Callable[[ArtifactId], IO[bytes]] = none_stored,
    ) -> None:
        self.calls.add("put_files", container)
        self._engine.put_files(container, files, artifact)

    def file_size(self, container: ContainerId, path: str) -> int | None:
        self.calls.add("file_size", container)
        return self._engine.file_size(container, path)

    def changed_paths(self, container: ContainerId) -> tuple[str, ...]:
        self.calls.add("changed_paths", container)
        return self._engine.changed_paths(container)

    def copy_out(
        self, container: ContainerId, path: str, take: Callable[[FoundFile, IO[bytes] | None], bool]
    ) -> None:
        self.calls.add("copy_out", container)
        self._engine.copy_out(container, path, take)

    def promote(self, spec: ContainerSpec) -> str | None:
        self.calls.add("promote", spec.name)
        return self._engine.promote(spec)

    def discard(self, spec: ContainerSpec) -> None:
        self.calls.add("discard", spec.name)
        self._engine.discard(spec)

    def capacity(self) -> EngineCapacity:
        self.calls.add("capacity")
        return self._engine.capacity()

    def ping(self) -> None:
        self.calls.add("ping")
        self._engine.ping()

    def close(self) -> None:
        self._engine.close()
