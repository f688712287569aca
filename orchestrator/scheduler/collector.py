"""From a container's end to its outcome.

On the way: the die event, the result file. The engine is asked for more only where an exit code other than 0
needs explaining, or where what ended had begun before this process listened.
"""

import threading
from collections.abc import Callable

import msgspec
import structlog

from orchestrator.clock import Clock
from orchestrator.errors import (
    AuthoringServerError,
    EngineError,
    EngineUnavailableError,
    LogUnavailableError,
    NoSuchContainerError,
)
from orchestrator.ids import TRY_LABEL, ContainerId, TryKey
from orchestrator.planning.events import Exited
from orchestrator.planning.outcome import ending_of
from orchestrator.planning.rows import Reason, TryOutcome
from orchestrator.ports import Engine
from orchestrator.scheduler.attempts import OpenAttempt, OpenAttempts
from orchestrator.scheduler.endings import Endings
from orchestrator.scheduler.inbox import Message
from orchestrator.scheduler.patience import Patience
from orchestrator.scheduler.results import Results
from orchestrator.scheduler.workers import Workers
from orchestrator.spec.container import ContainerFacts, EngineEvent, ExitFacts
from orchestrator.states import ReasonCode

_log = structlog.get_logger()

#: Seconds the event of an exit may lag behind the end of the log, or behind the removal of the container.
EVENT_SECONDS = 2.0
#: What an engine says of a container of whose end it knows nothing.
UNKNOWN_EXIT = 255
#: Threads that read results.
_COLLECTORS = 4


class Collector:
    """Turns ends of containers into `Exited` events. `doubt` has the engine asked for everything of ours, where
    something ended and no event has told how."""

    def __init__(
        self,
        engine: Engine,
        attempts: OpenAttempts,
        endings: Endings,
        results: Results,
        *,
        post: Callable[[Message], None],
        doubt: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._attempts = attempts
        self._endings = endings
        self._results = results
        self._post = post
        self._doubt = doubt
        self._clock = clock
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._suspects: list[OpenAttempt] = []
        self._collecting = Workers(_COLLECTORS, "collect")
        self._doubting = Workers(1, "doubt")

    def exited(self, event: EngineEvent) -> None:
        """A `die` event; ones of tries that are not open, and second ones, are nothing new. Of a container that
        this process does not know yet the engine's list tells more surely."""
        entry = self._attempts.get(event.labels.get(TRY_LABEL, ""))
        if entry is None:
            return
        if entry.container_id is None:
            self._doubt()
        elif entry.container_id == event.container_id and self._attempts.claim_end(entry):
            facts = ExitFacts(
                exit_code=event.exit_code or 0,
                oom_killed=entry.oom,
                started_at=entry.started_at,
                finished_at=event.at,
            )
            self._submit(entry, entry.container_id, facts)

    def found_exited(self, entry: OpenAttempt, found: ContainerFacts) -> None:
        """The engine lists a try's container as exited, and no event told of it."""
        if self._attempts.claim_end(entry):
            facts = found.exit or ExitFacts(exit_code=0)
            facts = msgspec.structs.replace(facts, oom_killed=facts.oom_killed or entry.oom)
            self._submit(entry, ContainerId(found.id), facts, unheard=True)

    def stream_ended(self, key: TryKey) -> None:
        """A try's log stream ended: most likely its container has, of which an event will tell; if none does
        within a moment the engine is asked."""
        self._suspect(self._attempts.of(key))

    def gone(self, event: EngineEvent) -> None:
        """A container was removed: if it was that of an open try, its `die` event came before, or was lost."""
        entry = self._attempts.get(event.labels.get(TRY_LABEL, ""))
        if entry is not None and entry.container_id == event.container_id:
            self._suspect(entry)

    def close(self) -> None:
        """Take nothing more up; what is not collected is found by the next process."""
        self._stop.set()
        self._collecting.close()
        self._doubting.close()

    def join(self, seconds: float) -> bool:
        until = self._clock.monotonic() + seconds
        collected = self._collecting.join(seconds)
        return self._doubting.join(max(until - self._clock.monotonic(), 0.0)) and collected

    def _suspect(self, entry: OpenAttempt | None) -> None:
        if entry is None or entry.ending.is_set():
            return
        with self._lock:
            self._suspects.append(entry)
            first = len(self._suspects) == 1
        if first:
            self._doubting.submit(self._wait_for_events)

    def _wait_for_events(self) -> None:
        """One look for all that end at one time, as they do when the engine goes away."""
        self._clock.wait(self._stop, EVENT_SECONDS)
        with self._lock:
            suspects, self._suspects = self._suspects, []
        if any(self._attempts.is_open(entry) and not entry.ending.is_set() for entry in suspects):
            self._doubt()

    def _submit(
        self, entry: OpenAttempt, container: ContainerId, facts: ExitFacts, *, unheard: bool = False
    ) -> None:
        self._collecting.submit(lambda: self._run(entry, container, facts, unheard=unheard))

    def _run(self, entry: OpenAttempt, container: ContainerId, facts: ExitFacts, *, unheard: bool) -> None:
        try:
            self._patiently(entry, container, facts, unheard=unheard)
        except Exception as error:  # noqa: BLE001 - a loop's shell: logged, fails alone
            _log.exception("collect.broke", try_id=entry.try_id)
            text = f"collecting its result broke: {error!r}; the scheduler's log has the details"
            self._tell(entry, container, facts, Reason(code=ReasonCode.RESULT_INVALID, text=text))

    def _patiently(self, entry: OpenAttempt, container: ContainerId, facts: ExitFacts, *, unheard: bool) -> None:
        """Again and again while the engine, the disk or the authoring server is away."""
        patience = Patience(self._clock, self._stop)
        while not self._stop.is_set():
            try:
                if unheard and not entry.killed_by_others and self._is_doubtful(entry, container, facts):
                    return self._endings.engine_lost(entry, container, facts)
                return self._collect(entry, container, facts)
            except (EngineUnavailableError, LogUnavailableError, AuthoringServerError) as trouble:
                if patience.is_news():
                    _log.warning("collect.waits", try_id=entry.try_id, trouble=trouble.message)
                patience.wait()
        return None

    def _is_doubtful(self, entry: OpenAttempt, container: ContainerId, facts: ExitFacts) -> bool:
        """Whether the engine may have ended it, or only guesses how it ended, since it was restarted while it ran.
        That is asked after the exit was seen, so a restart in between counts. What left its result was done."""
        life = self._engine.life()
        if life.since is None or facts.started_at is None or facts.started_at >= life.since:
            return False
        if life.live_restore and facts.exit_code != UNKNOWN_EXIT:
            return False
        return facts.exit_code != 0 or not self._results.left(entry, container)

    def _collect(self, entry: OpenAttempt, container: ContainerId, facts: ExitFacts) -> None:
        if facts.exit_code != 0 or facts.started_at is None:  # None: started before this process listened
            facts = self._explained(container, facts)
        wanted = facts.exit_code == 0 and entry.task.push_result
        try:
            result = self._results.of(entry, container) if wanted else None
        except NoSuchContainerError:
            text = "its container was removed by others before its result was read"
            self._endings.tell_lost(entry, text, ran=True)
        else:
            failed = entry.stop_requested or facts.exit_code not in (0, *entry.task.skip_on_exit_code)
            last_line = self._results.last_line(entry.attempt.key) if failed else ""
            self._tell(entry, container, facts, result, last_line)

    def _tell(
        self,
        entry: OpenAttempt,
        container: ContainerId,
        facts: ExitFacts,
        result: bytes | Reason | None,
        last_line: str = "",
    ) -> None:
        event = Exited(
            try_id=entry.try_id,
            container_id=container,
            exit=msgspec.structs.replace(facts, highest_memory=entry.highest_memory),
            result=None if isinstance(result, Reason) else result,
            result_problem=result if isinstance(result, Reason) else None,
            stopped_externally=entry.killed_by_others,
            last_line=last_line,
        )
        self._post(self._promoted(event, entry))

    def _promoted(self, event: Exited, entry: OpenAttempt) -> Exited:
        """Where it has succeeded, what it wrote beside data roots is in them before anybody hears of it. Whoever is
        killed in between is followed by a process that collects it again, and goes on with what is left."""
        spec = entry.attempt.spec
        succeeded = ending_of(event, entry.attempt, entry.task).outcome is TryOutcome.SUCCESS
        if not succeeded or not any(mount.stage for mount in spec.mounts):
            return event
        try:
            problem = self._engine.promote(spec)
        except EngineUnavailableError:
            raise
        except EngineError as error:
            problem = error.sentence
        if problem is None:
            return msgspec.structs.replace(event, promoted=True)
        reason = Reason(code=ReasonCode.PROMOTION_FAILED, text=problem)
        return msgspec.structs.replace(event, result=None, result_problem=reason)

    def _explained(self, container: ContainerId, facts: ExitFacts) -> ExitFacts:
        """With the engine's own account; an `oom` event counts even where the engine forgot its flag."""
        try:
            told = self._engine.inspect(container).exit or facts
        except NoSuchContainerError:
            return facts
        return msgspec.structs.replace(told, oom_killed=told.oom_killed or facts.oom_killed)
