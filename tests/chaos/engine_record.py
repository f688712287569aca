"""What really happened on the engine: a listener of its own, straight at the engine, beside whatever the scheduler
under test sees or does not see."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from engine_proxy import PATIENCE

from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.errors import EngineUnavailableError
from orchestrator.ids import KIND_LABEL, TRY_KIND, ContainerId, DeploymentId
from orchestrator.spec.container import ContainerFacts, EngineEvent, EngineEventKind

CREATED, STARTED, DIED, GONE = (
    EngineEventKind.CREATE,
    EngineEventKind.START,
    EngineEventKind.DIE,
    EngineEventKind.DESTROY,
)


class EngineRecord:
    """Every event of a deployment's tries, in order; a context manager, listening once it is entered. With `breaks`
    the engine may go away meanwhile: of what happens until it is heard again, only which containers were created
    and started is made up for."""

    def __init__(self, address: Address, deployment: DeploymentId, *, breaks: bool = False) -> None:
        self._engine = DockerEngine(lambda: address, SystemClock())
        self._deployment = deployment
        self._breaks = breaks
        self._made_up: set[tuple[EngineEventKind, str]] = set()
        self._events: list[EngineEvent] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._until(lambda: any(event.kind is EngineEventKind.CONNECTED for event in self._events), "a connection")
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.close()
        self._thread.join(PATIENCE)

    def containers(self, kind: EngineEventKind, task_id: str) -> list[ContainerId]:
        """The containers of a task that this happened to, once for each time."""
        with self._changed:
            return [ContainerId(event.container_id) for event in self._of(task_id) if event.kind is kind]

    def try_ids(self, task_id: str) -> set[str]:
        """The tries that a task's containers were made for."""
        with self._changed:
            return {event.labels["orchestrator.try_id"] for event in self._of(task_id)}

    def wait(self, kind: EngineEventKind, task_id: str) -> ContainerId:
        """The newest of a task's containers that this happened to, waiting for the first."""
        self._until(lambda: bool(self.containers(kind, task_id)), f"{kind} of {task_id}")
        return self.containers(kind, task_id)[-1]

    def wait_number(self, kind: EngineEventKind, task_id: str, number: int) -> ContainerId:
        """The `number`th of a task's containers that this happened to, waiting for it."""
        self._until(lambda: len(self.containers(kind, task_id)) >= number, f"{kind} {number} of {task_id}")
        return self.containers(kind, task_id)[number - 1]

    def count(self, kind: EngineEventKind) -> int:
        """How often this happened to any try's container."""
        with self._changed:
            return sum(event.kind is kind for event in self._events)

    def count_of(self, kind: EngineEventKind, epoch: int) -> int:
        """How often this happened to containers that were made in one leadership."""
        with self._changed:
            made = [event for event in self._events if event.labels.get("orchestrator.epoch") == str(epoch)]
            return sum(event.kind is kind for event in made)

    def wait_until(self, told: Callable[[], bool], what: str) -> None:
        """Until this holds, looked at with each event; `what` says it in words."""
        self._until(told, what)

    def wait_for(self, kind: EngineEventKind, container: ContainerId) -> None:
        """Until this happened to that container."""

        def told() -> bool:
            return any(event.kind is kind and event.container_id == container for event in self._events)

        self._until(told, f"{kind} of {container}")

    def events_of(self, kind: EngineEventKind, container: ContainerId) -> list[EngineEvent]:
        """What the engine told of this, with its own instants."""
        with self._changed:
            return [event for event in self._events if event.kind is kind and event.container_id == container]

    def _of(self, task_id: str) -> list[EngineEvent]:
        return [
            event
            for event in self._events
            if event.labels.get(KIND_LABEL) == TRY_KIND and event.labels.get("orchestrator.task_id") == task_id
        ]

    def _until(self, told: Callable[[], bool], what: str) -> None:
        with self._changed:
            assert self._changed.wait_for(told, PATIENCE), f"the engine never told of {what}"

    def _read(self) -> None:
        for event in self._engine.events(self._deployment):
            with self._changed:
                assert self._breaks or event.kind is not EngineEventKind.DISCONNECTED, event.detail
                if (event.kind, event.container_id) not in self._made_up:
                    self._events.append(event)
                self._changed.notify_all()
            if self._breaks and event.kind is EngineEventKind.CONNECTED:
                self._make_up()

    def _make_up(self) -> None:
        """The engine may be gone again: then the next connection does it."""
        with suppress(EngineUnavailableError):
            listed = self._engine.list_ours(self._deployment)
            with self._changed:
                for facts in listed:
                    self._take(facts)
                self._changed.notify_all()

    def _take(self, facts: ContainerFacts) -> None:
        heard = {event.kind for event in self._events if event.container_id == facts.id}
        for kind in (CREATED, STARTED) if facts.started_at is not None else (CREATED,):
            if kind not in heard:
                self._made_up.add((kind, facts.id))
                self._events.append(EngineEvent(kind=kind, container_id=facts.id, labels=facts.labels))
