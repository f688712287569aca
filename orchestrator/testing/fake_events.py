"""The fake engine's event stream, with the faults of real ones: events come late, twice, or not at all."""

import queue
import threading
from collections import Counter
from collections.abc import Iterator

from orchestrator.ids import DEPLOYMENT_LABEL, DeploymentId
from orchestrator.spec.container import EngineEvent, EngineEventKind


class Subscription:
    """The events of one deployment, from now on; iterating it blocks, and ends after `close`."""

    def __init__(self, deployment: DeploymentId) -> None:
        self.deployment = deployment
        self._queue: queue.SimpleQueue[EngineEvent | None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[EngineEvent]:
        return iter(self._queue.get, None)

    def put(self, event: EngineEvent) -> None:
        self._queue.put(event)

    def close(self) -> None:
        self._queue.put(None)


class EventBoard:
    """Delivers events to subscribers. Nothing is kept for those who are not connected; `happened` is for tests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._happened: list[EngineEvent] = []
        self._subscriptions: list[Subscription] = []
        self._connected = True
        self._closed = False
        self._lose: Counter[EngineEventKind] = Counter()
        self._duplicate: Counter[EngineEventKind] = Counter()
        self._held: list[EngineEvent] | None = None

    @property
    def happened(self) -> tuple[EngineEvent, ...]:
        """All that ever happened, whether anybody was told or not."""
        with self._lock:
            return tuple(self._happened)

    def lose(self, kind: EngineEventKind, times: int = 1) -> None:
        """The next `times` events of this kind reach nobody."""
        with self._lock:
            self._lose[kind] += times

    def duplicate(self, kind: EngineEventKind, times: int = 1) -> None:
        """The next `times` events of this kind are delivered twice."""
        with self._lock:
            self._duplicate[kind] += times

    def hold(self) -> None:
        """From now on events wait, until `release`."""
        with self._lock:
            self._held = [] if self._held is None else self._held

    def release(self) -> None:
        """Deliver what waited, in order, and hold no longer."""
        with self._lock:
            held, self._held = self._held or [], None
            for event in held:
                self._deliver(event)

    def publish(self, event: EngineEvent) -> None:
        with self._lock:
            self._happened.append(event)
            if self._lose[event.kind]:
                self._lose[event.kind] -= 1
                return
            times = 2 if self._duplicate[event.kind] else 1
            self._duplicate[event.kind] -= times - 1
            for _ in range(times):
                if self._held is None:
                    self._deliver(event)
                else:
                    self._held.append(event)

    def disconnect(self, why: str) -> None:
        """All streams break; what is held or happens until `connect` is lost."""
        with self._lock:
            if self._connected:
                self._connected = False
                self._held = None if self._held is None else []
                self._tell_all(EngineEvent(kind=EngineEventKind.DISCONNECTED, detail=why))

    def connect(self) -> None:
        with self._lock:
            if not self._connected:
                self._connected = True
                self._tell_all(EngineEvent(kind=EngineEventKind.CONNECTED))

    def subscribe(self, deployment: DeploymentId) -> Subscription:
        """Attached at once, before the first event is asked for."""
        subscription = Subscription(deployment)
        with self._lock:
            kind = EngineEventKind.CONNECTED if self._connected else EngineEventKind.DISCONNECTED
            if self._closed:
                subscription.close()
            else:
                subscription.put(EngineEvent(kind=kind))
            self._subscriptions.append(subscription)
        return subscription

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for subscription in self._subscriptions:
                subscription.close()
            self._subscriptions.clear()

    def _deliver(self, event: EngineEvent) -> None:
        if self._connected:
            for subscription in self._subscriptions:
                if event.labels.get(DEPLOYMENT_LABEL) == subscription.deployment:
                    subscription.put(event)

    def _tell_all(self, event: EngineEvent) -> None:
        for subscription in self._subscriptions:
            subscription.put(event)
