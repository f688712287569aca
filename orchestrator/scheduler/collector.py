"""From a container's end to its outcome, and the tidying afterwards.

On the way to the outcome: the die event, the result file. The engine is asked for more only where an exit code
other than 0 needs explaining, or where what ended had begun before this process listened. In the background,
after the outcome is committed: the log to its end, then the container's removal (invariant I2).
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import structlog

from orchestrator.clock import Clock
from orchestrator.errors import (
    EngineUnavailableError,
    FileTooLargeError,
    LogUnavailableError,
    NoSuchContainerError,
    NoSuchFileError,
)
from orchestrator.ids import ContainerId, TryId, TryKey
from orchestrator.planning.events import Collected, Exited
from orchestrator.planning.rows import Reason, Try
from orchestrator.ports import Engine, LogFlag, LogStore, Stream
from orchestrator.scheduler.attempts import OpenAttempt, OpenAttempts
from orchestrator.scheduler.inbox import Message
from orchestrator.scheduler.patience import Patience
from orchestrator.scheduler.pump import LogPump
from orchestrator.spec.container import ContainerFacts, ContainerState, EngineEvent, ExitFacts
from orchestrator.spec.dag import ResultFrom
from orchestrator.states import ReasonCode

_log = structlog.get_logger()

#: Seconds a log's end may lag behind its container's before the log is read back for a result.
_LOG_END_SECONDS = 5.0
#: Seconds the event of an exit may lag behind the end of the log.
_EVENT_SECONDS = 2.0
#: Threads that read results; and that tidy up.
_COLLECTORS = 4
_TIDIERS = 2


class Collector:
    """Turns ends of containers into `Exited` events, and tidies up after outcomes."""

    def __init__(
        self,
        engine: Engine,
        attempts: OpenAttempts,
        pump: LogPump,
        logs: LogStore,
        *,
        post: Callable[[Message], None],
        clock: Clock,
        result_limit: int,
    ) -> None:
        self._engine = engine
        self._attempts = attempts
        self._pump = pump
        self._logs = logs
        self._post = post
        self._clock = clock
        self._result_limit = result_limit
        self._stop = threading.Event()
        self._collecting = ThreadPoolExecutor(_COLLECTORS, thread_name_prefix="collect")
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="ask")
        self._tidying = ThreadPoolExecutor(_TIDIERS, thread_name_prefix="tidy")

    def exited(self, event: EngineEvent) -> None:
        """A `die` event; ones of tries that are not open, and second ones, are nothing new."""
        entry = self._attempts.begin_exit(TryId(event.labels.get("orchestrator.try_id", "")))
        if entry is not None and not self._stop.is_set():
            container = ContainerId(event.container_id)
            facts = ExitFacts(
                exit_code=event.exit_code or 0,
                oom_killed=entry.oom,
                started_at=entry.started_at,
                finished_at=event.at,
            )
            entry.container_id = container
            self._collecting.submit(self._collect_patiently, entry, container, facts)

    def found_exited(self, entry: OpenAttempt, found: ContainerFacts) -> None:
        """The engine lists a try's container as exited, and no event told of it."""
        if self._attempts.begin_exit(entry.try_id) is not None and not self._stop.is_set():
            facts = found.exit or ExitFacts(exit_code=0)
            self._collecting.submit(self._collect_patiently, entry, ContainerId(found.id), facts)

    def stream_ended(self, key: TryKey) -> None:
        """A try's log stream ended: its container has exited, of which an event will tell; if none does within
        a moment the engine is asked."""
        entry = next((each for each in self._attempts.all() if each.attempt.key == key), None)
        if entry is not None and not entry.exit_told.is_set() and not self._stop.is_set():
            self._asking.submit(self._patiently, lambda: self._ask(entry))

    def tidy(self, attempt: Try) -> None:
        """After the committed outcome: log to its end, then remove; answered by `Collected`."""
        if not self._stop.is_set():
            self._tidying.submit(self._tidy_patiently, attempt)

    def close(self) -> None:
        """Take nothing more up; what is not collected is found by the next process."""
        self._stop.set()
        for pool in (self._collecting, self._asking, self._tidying):
            pool.shutdown(wait=True, cancel_futures=True)

    def _collect_patiently(self, entry: OpenAttempt, container: ContainerId, facts: ExitFacts) -> None:
        try:
            self._patiently(lambda: self._collect(entry, container, facts))
        except Exception as error:  # noqa: BLE001 - a loop's shell: logged, fails alone
            _log.exception("collect.broke", try_id=entry.try_id)
            text = f"collecting its result broke: {error!r}; the scheduler's log has the details"
            self._tell(entry, container, facts, None, Reason(code=ReasonCode.RESULT_INVALID, text=text))

    def _tidy_patiently(self, attempt: Try) -> None:
        try:
            self._patiently(lambda: self._tidy(attempt))
        except Exception:  # noqa: BLE001 - a loop's shell: logged, fails alone
            _log.exception("tidy.broke", try_id=attempt.try_id)  # the next process takes it up again

    def _patiently(self, work: Callable[[], None]) -> None:
        """Do `work`, again and again while the engine is away."""
        patience = Patience(self._clock, self._stop)
        while not self._stop.is_set():
            try:
                work()
            except (EngineUnavailableError, LogUnavailableError) as trouble:
                _log.warning("collect.waits", trouble=trouble.message)
                patience.wait()
            else:
                return

    def _ask(self, entry: OpenAttempt) -> None:
        container = entry.container_id
        if container is None or self._clock.wait(entry.exit_told, _EVENT_SECONDS):
            return
        try:
            facts = self._engine.inspect(container)
        except NoSuchContainerError:
            return  # its removal is told by an event, or found by the reconciler
        if facts.state is ContainerState.EXITED:
            self.found_exited(entry, facts)
        elif facts.state is ContainerState.RUNNING:
            self._pump.adopt(entry.attempt.key, self._engine, container)

    def _collect(self, entry: OpenAttempt, container: ContainerId, facts: ExitFacts) -> None:
        if facts.exit_code != 0 or facts.started_at is None:  # None: started before this process listened
            facts = self._explained(container, facts)
        result: bytes | None = None
        problem: Reason | None = None
        if facts.exit_code == 0 and entry.task.push_result:
            try:
                result = self._result(entry, container)
            except FileTooLargeError as large:
                text = f"its result has {large.size} B, the limit is {large.limit} B; large data belongs in mounts"
                problem = Reason(code=ReasonCode.RESULT_TOO_LARGE, text=text)
            except msgspec.DecodeError as error:
                problem = Reason(
                    code=ReasonCode.RESULT_INVALID,
                    text=f"what it wrote to $ORCHESTRATOR_RESULT is not JSON: {error}",
                )
        self._tell(entry, container, facts, result, problem)

    def _tell(
        self,
        entry: OpenAttempt,
        container: ContainerId,
        facts: ExitFacts,
        result: bytes | None,
        problem: Reason | None,
    ) -> None:
        self._post(
            Exited(
                try_id=entry.try_id,
                container_id=container,
                exit=facts,
                result=result,
                result_problem=problem,
                stopped_externally=entry.killed_by_others,
            )
        )

    def _explained(self, container: ContainerId, facts: ExitFacts) -> ExitFacts:
        try:
            return self._engine.inspect(container).exit or facts
        except NoSuchContainerError:
            return facts

    def _result(self, entry: OpenAttempt, container: ContainerId) -> bytes | None:
        """JSON bytes of the result file, else of stdout as the task asks, else None."""
        path = entry.attempt.spec.result_path
        try:
            if path is not None:
                data = self._engine.read_file(container, path, self._result_limit)
                if data.strip():
                    return msgspec.json.encode(msgspec.json.decode(data))
        except (NoSuchFileError, NoSuchContainerError):
            pass
        return self._result_from_output(entry, container)

    def _result_from_output(self, entry: OpenAttempt, container: ContainerId) -> bytes | None:
        source = entry.task.result_from
        if source is None:
            return None
        key = entry.attempt.key
        if not self._pump.wait_end(key, _LOG_END_SECONDS):
            self._pump.complete(key, self._engine, container)
        if source is ResultFrom.LAST_LINE:
            line = self._logs.last_line(key, Stream.STDOUT, self._result_limit)
            return None if line is None else msgspec.json.encode(line.decode("utf-8", "replace"))
        return self._all_lines(entry)

    def _all_lines(self, entry: OpenAttempt) -> bytes:
        chunks: list[bytes] = []
        size = 0
        for record in self._logs.records(entry.attempt.key):
            if record.stream is Stream.STDOUT and LogFlag.SYSTEM not in record.flags:
                size += len(record.data)
                chunks.append(record.data)
                if size > self._result_limit:
                    raise FileTooLargeError("stdout", size, self._result_limit)
        return msgspec.json.encode(b"".join(chunks).decode("utf-8", "replace").splitlines())

    def _tidy(self, attempt: Try) -> None:
        whole = self._pump.finish(attempt.key, self._engine, attempt.container_id)
        if attempt.container_id is not None:
            self._engine.remove(attempt.container_id)
        self._post(Collected(try_id=attempt.try_id, at=self._clock.now(), log_truncated=not whole))
