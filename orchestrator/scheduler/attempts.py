"""The tries that are open in this process: what the launcher, the event thread, the stopper and the
collector each know of them, in one place. The loop opens an entry before anybody acts on a try, and closes
it when the try's outcome is committed. Whoever acts on a try claims it first, so that no two do the same.
"""

import signal as signals
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.ids import TRY_LABEL, ContainerId, TryId, TryKey
from orchestrator.planning.rows import Try
from orchestrator.spec.container import EngineEvent, EngineEventKind
from orchestrator.spec.dag import TaskSpec

#: Signals that end a process, besides the one its image or task names for that.
_ENDING_SIGNALS = frozenset({"SIGHUP", "SIGINT", "SIGQUIT", "SIGKILL", "SIGTERM"})


@dataclass(slots=True)
class OpenAttempt:
    """One open try. Each field has one writer; readers tolerate that it is set a moment later."""

    attempt: Try
    task: TaskSpec
    container_id: ContainerId | None = None
    launching: bool = False  #: in the launcher's hands: the reconciler keeps off
    create_sent: bool = False  #: this process has asked for its container, answered or not
    start_sent: bool = False  #: this process has asked for the start of the container it has now
    started: bool = False  #: its process is known to have started
    started_at: datetime | None = None  #: when, by the engine's clock
    told_started: bool = False  #: this process has told the loop that it runs
    clearing: bool = False  #: its unstarted container is being removed, and may have started meanwhile
    stop_requested: bool = False
    killed_by_others: bool = False
    oom: bool = False
    highest_memory: int | None = None  #: bytes, of the samples taken so far
    ending: threading.Event = field(default_factory=threading.Event)  #: somebody has its end in hand, or told it
    end_refused: bool = False  #: what was told of its end could not be recorded

    @property
    def try_id(self) -> TryId:
        return self.attempt.try_id

    @property
    def may_have_run(self) -> bool:
        return self.started or self.start_sent or self.clearing


@dataclass(slots=True)
class Fate:
    """What the event stream tells of a container that is being removed unstarted."""

    started: bool = False
    missed: bool = False  #: the stream broke, so nobody knows
    known: threading.Event = field(default_factory=threading.Event)  #: it is gone, or will never be told of


class OpenAttempts:
    """Thread-safe registry of open tries, and of containers whose end is awaited."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[TryId, OpenAttempt] = {}
        self._fates: dict[ContainerId, Fate] = {}
        self._listening = False
        self._unheard: str | None = "it has not answered yet"

    # --- who is open ------------------------------------------------------------------------------------

    def open(self, attempt: Try, task: TaskSpec) -> OpenAttempt:
        """Register a try; the same try again keeps its entry."""
        with self._lock:
            return self._opened(attempt, task)

    def open_to_launch(self, attempt: Try, task: TaskSpec) -> OpenAttempt | None:
        """Register a try that is to be launched now; None where somebody launches it already."""
        with self._lock:
            entry = self._opened(attempt, task)
            return entry if self._claimed(entry) else None

    def close(self, try_id: TryId) -> None:
        with self._lock:
            self._open.pop(try_id, None)

    def keep_only(self, attempts: Iterable[tuple[Try, TaskSpec]]) -> None:
        """After the world was rebuilt: exactly these are open. Who has one in hand keeps it."""
        wanted = {attempt.try_id: (attempt, task) for attempt, task in attempts}
        with self._lock:
            self._open = {try_id: entry for try_id, entry in self._open.items() if try_id in wanted}
            for attempt, task in wanted.values():
                self._opened(attempt, task)

    def get(self, try_id: str) -> OpenAttempt | None:
        with self._lock:
            return self._open.get(TryId(try_id))

    def of(self, key: TryKey) -> OpenAttempt | None:
        with self._lock:
            return next((entry for entry in self._open.values() if entry.attempt.key == key), None)

    def all(self) -> tuple[OpenAttempt, ...]:
        with self._lock:
            return tuple(self._open.values())

    def is_open(self, entry: OpenAttempt) -> bool:
        """Whether this try has no outcome yet."""
        with self._lock:
            return self._open.get(entry.try_id) is entry

    # --- who acts ---------------------------------------------------------------------------------------

    def claim_launch(self, entry: OpenAttempt) -> bool:
        """Whether the caller, and nobody else, is to launch this try now."""
        with self._lock:
            return self._open.get(entry.try_id) is entry and self._claimed(entry)

    def release_launch(self, entry: OpenAttempt) -> None:
        entry.launching = False

    def claim_end(self, entry: OpenAttempt) -> bool:
        """Whether the caller, and nobody else, is to tell how this try ended."""
        with self._lock:
            if self._open.get(entry.try_id) is not entry or entry.ending.is_set():
                return False
            entry.ending.set()
            return True

    def refuse_end(self, try_id: TryId) -> None:
        """What was told of its end could not be recorded: it may be told again after `forgive_ends`."""
        entry = self.get(try_id)
        if entry is not None:
            entry.end_refused = True

    def forgive_ends(self) -> None:
        """Ends that could not be recorded may be told again."""
        with self._lock:
            for entry in self._open.values():
                if entry.end_refused:
                    entry.end_refused = False
                    entry.ending.clear()

    def request_stop(self, attempt: Try) -> OpenAttempt | None:
        with self._lock:
            entry = self._open.get(attempt.try_id)
            if entry is not None:
                entry.attempt = attempt
                entry.stop_requested = True
            return entry

    # --- what the event stream tells ----------------------------------------------------------------------

    @property
    def listening(self) -> bool:
        """Whether events arrive."""
        with self._lock:
            return self._listening

    @property
    def unheard(self) -> str | None:
        """Why no event arrives; None where they do."""
        with self._lock:
            return None if self._listening else self._unheard

    def hear(self) -> None:
        """Events arrive from now on."""
        with self._lock:
            self._listening = True

    def deafen(self, why: str = "") -> None:
        """No event arrives until `hear`."""
        with self._lock:
            self._listening = False
            self._unheard = why or self._unheard
            for fate in self._fates.values():
                fate.missed = True
                fate.known.set()

    def note(self, event: EngineEvent) -> None:
        """Take in what the event stream says of a container, beyond its end."""
        container = ContainerId(event.container_id)
        with self._lock:
            entry = self._open.get(TryId(event.labels.get(TRY_LABEL, "")))
            if entry is not None and entry.container_id not in (None, container):
                entry = None  # another container that carries the same labels
            self._note(event, entry, self._fates.get(container))

    def watch(self, container: ContainerId) -> Fate:
        """Follow what happens to a container from now on; `unwatch` it afterwards."""
        with self._lock:
            fate = self._fates.setdefault(container, Fate())
            if not self._listening:
                fate.missed = True
                fate.known.set()
            return fate

    def unwatch(self, container: ContainerId) -> None:
        with self._lock:
            self._fates.pop(container, None)

    def _note(self, event: EngineEvent, entry: OpenAttempt | None, fate: Fate | None) -> None:
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
                entry.killed_by_others = entry.killed_by_others or _ends(event.detail, entry.attempt)
            case EngineEventKind.DESTROY if fate:
                fate.known.set()
            case _:
                pass

    def _opened(self, attempt: Try, task: TaskSpec) -> OpenAttempt:
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

    @staticmethod
    def _claimed(entry: OpenAttempt) -> bool:
        if entry.launching or entry.ending.is_set():
            return False
        entry.launching = True
        return True


def _ends(signal: str, attempt: Try) -> bool:
    """Whether a signal, named or numbered by the engine, is one that ends this try's process."""
    name = _signal_name(signal)
    return name in _ENDING_SIGNALS or name == _signal_name(attempt.spec.stop_signal or "TERM")


def _signal_name(signal: str) -> str:
    if signal.isdigit():
        try:
            return signals.Signals(int(signal)).name
        except ValueError:
            return signal
    return f"SIG{signal.upper().removeprefix('SIG')}"
