"""The tries that are open in this process: what the launcher, the event thread, the stopper and the
collector each know of them, in one place. The loop opens an entry before anybody acts on a try, and closes
it when the try's outcome is committed.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.ids import ContainerId, TryId
from orchestrator.planning.rows import Try
from orchestrator.spec.container import EngineEvent, EngineEventKind
from orchestrator.spec.dag import TaskSpec

#: Signals that end a process; a `kill` event with another one is none of our business.
_ENDING_SIGNALS = frozenset({"2", "3", "9", "15", "SIGINT", "SIGQUIT", "SIGKILL", "SIGTERM"})


@dataclass(slots=True)
class OpenAttempt:
    """One open try. Each field has one writer; readers tolerate that it is set a moment later."""

    attempt: Try
    task: TaskSpec
    container_id: ContainerId | None = None
    launching: bool = False  #: in the launcher's hands: the reconciler keeps off
    started: bool = False  #: its process is known to have started
    started_at: datetime | None = None  #: when, by the engine's clock
    told_started: bool = False  #: this process has told the loop that it runs
    exiting: bool = False  #: its end is in the collector's hands
    stop_requested: bool = False
    killed_by_others: bool = False
    oom: bool = False
    exit_told: threading.Event = field(default_factory=threading.Event)

    @property
    def try_id(self) -> TryId:
        return self.attempt.try_id


@dataclass(slots=True)
class Fate:
    """What the event stream tells of a container that is being removed unstarted."""

    started: bool = False
    gone: threading.Event = field(default_factory=threading.Event)


class OpenAttempts:
    """Thread-safe registry of open tries, and of containers whose end is awaited."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[TryId, OpenAttempt] = {}
        self._fates: dict[ContainerId, Fate] = {}

    def open(self, attempt: Try, task: TaskSpec) -> OpenAttempt:
        """Register a try; the same try again keeps its entry."""
        with self._lock:
            entry = self._open.get(attempt.try_id)
            if entry is None:
                entry = OpenAttempt(
                    attempt,
                    task,
                    container_id=attempt.container_id,
                    started=attempt.started_at is not None,
                    stop_requested=attempt.stop_requested_at is not None,
                )
                self._open[attempt.try_id] = entry
            return entry

    def close(self, try_id: TryId) -> None:
        with self._lock:
            self._open.pop(try_id, None)

    def keep_only(self, attempts: Iterable[tuple[Try, TaskSpec]]) -> None:
        """After the world was rebuilt: exactly these are open; an end that was not committed may be
        collected anew."""
        wanted = {attempt.try_id: (attempt, task) for attempt, task in attempts}
        with self._lock:
            self._open = {try_id: entry for try_id, entry in self._open.items() if try_id in wanted}
            for entry in self._open.values():
                entry.exiting = False
                entry.told_started = False
                entry.exit_told.clear()
        for attempt, task in wanted.values():
            self.open(attempt, task)

    def get(self, try_id: str) -> OpenAttempt | None:
        with self._lock:
            return self._open.get(TryId(try_id))

    def all(self) -> tuple[OpenAttempt, ...]:
        with self._lock:
            return tuple(self._open.values())

    def begin_exit(self, try_id: TryId) -> OpenAttempt | None:
        """The entry, to exactly one caller; the others get None."""
        with self._lock:
            entry = self._open.get(try_id)
            if entry is None or entry.exiting:
                return None
            entry.exiting = True
            entry.exit_told.set()
            return entry

    def request_stop(self, attempt: Try) -> OpenAttempt | None:
        with self._lock:
            entry = self._open.get(attempt.try_id)
            if entry is not None:
                entry.attempt = attempt
                entry.stop_requested = True
            return entry

    def note(self, event: EngineEvent) -> None:
        """Take in what the event stream says of a container, beyond its end."""
        container = ContainerId(event.container_id)
        with self._lock:
            entry = self._open.get(TryId(event.labels.get("orchestrator.try_id", "")))
            fate = self._fates.get(container)
            match event.kind:
                case EngineEventKind.START:
                    if fate:
                        fate.started = True
                    if entry:
                        entry.started = True
                        entry.started_at = event.at
                case EngineEventKind.OOM if entry:
                    entry.oom = True
                case EngineEventKind.KILL if entry and not entry.stop_requested:
                    entry.killed_by_others = event.detail.upper() in _ENDING_SIGNALS or entry.killed_by_others
                case EngineEventKind.DESTROY if fate:
                    fate.gone.set()
                case _:
                    pass

    def watch(self, container: ContainerId) -> Fate:
        """Follow what happens to a container from now on; `unwatch` it afterwards."""
        with self._lock:
            return self._fates.setdefault(container, Fate())

    def unwatch(self, container: ContainerId) -> None:
        with self._lock:
            self._fates.pop(container, None)
