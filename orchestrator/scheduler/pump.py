"""The log pump: from the engine's log streams into log files (invariants I4, I7, I14).

One thread reads all streams and never waits for the disk; another one stores what was read. A try we start is
attached before its start, and its log is exact. Whatever was written while nobody was attached, or could not be
stored in time, is read back from the engine's own log, from the last complete line of each stream on.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import LogStreamDamagedError, LogUnavailableError, NoSuchContainerError
from orchestrator.ids import ContainerId, TryKey
from orchestrator.ports import ByteStream, Engine, LogFlag, LogStore
from orchestrator.scheduler.backlog import Backlog, Batch
from orchestrator.scheduler.heartbeat import Beat
from orchestrator.scheduler.intake import Intake
from orchestrator.scheduler.log_flow import LogFlow
from orchestrator.scheduler.masks import Mask, no_mask

_log = structlog.get_logger()

#: Bytes of one try that may wait for the disk before its stream is given up, and read back later.
BACKLOG_LIMIT = 64 << 20
#: Seconds that a stream may say nothing and yet not end, after its container's exit, before its log is read back
#: instead: what is read back is not exact where it is no text, so that an engine that is slow is waited for.
_END_SECONDS, _LONGEST_END_SECONDS = 30.0, 600.0
#: Bytes that are read back before they are stored together, about.
_READ_BACK_BYTES = 256 << 10

_BACK_NOTE = "from here on read back from the engine's log"
_GONE_NOTE = "the log may end too early: its container is gone from the engine"
_DAMAGED_NOTE = "the log may end too early: the engine's log breaks off here"


class _Turn:
    """Whose turn it is for one try, and how many have it or wait for it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.takers = 0


class LogPump:
    """Stores the logs of all tries. Any thread may call; calls about one try wait for each other, calls about
    different tries do not.

    `on_grown(key)` is called when bytes of a try were stored, `on_ended(key)` when its stream ended and not by
    our wish: its container exited, or the connection broke, or the disk was too slow. Ask the engine which; if it
    still runs, `adopt` it. Both are called from the pump's threads and must return at once."""

    def __init__(
        self,
        logs: LogStore,
        clock: Clock,
        on_grown: Callable[[TryKey], None],
        *,
        on_ended: Callable[[TryKey], None] = lambda _: None,
        backlog_limit: int = BACKLOG_LIMIT,
        mask: Callable[[TryKey], Mask] = no_mask,
        forget: Callable[[TryKey], None] = lambda _: None,
        beat: Beat | None = None,
    ) -> None:
        """`mask` tells what a try's log must not show, `forget` hears when that is needed no more; `beat` shows
        that the reader goes on."""
        self._logs = logs
        self._clock = clock
        self._on_grown = on_grown
        self._on_ended = on_ended
        self._mask = mask
        self._forget = forget
        self._backlog: Backlog[LogFlow] = Backlog(backlog_limit)
        self._intake = Intake(clock, self._backlog, beat or Beat())
        self._lock = threading.Lock()
        self._flows: dict[TryKey, LogFlow] = {}
        self._turns: dict[TryKey, _Turn] = {}
        self._stopped = False
        self._doubts = 0
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)

    def start(self) -> None:
        self._intake.start()
        self._thread.start()

    def stop(self) -> None:
        """End all streams, store what was read, let go of the files; takes nothing more. Containers are not
        touched: the next pump over the same files goes on."""
        with self._lock:
            self._stopped = True
            for flow in self._flows.values():
                flow.closing = True
        self._intake.stop()
        self._backlog.close()
        self._thread.join()
        with self._lock:
            left = list(self._flows.values())
            self._flows.clear()
        for flow in left:
            flow.ended.set()
            _close_quietly(flow)

    @property
    def doubts(self) -> int:
        """How often the engine went away so far."""
        with self._lock:
            return self._doubts

    def attach(self, key: TryKey, stream: ByteStream, *, part: int = 1, doubts: int | None = None) -> None:
        """Store what comes from `stream`, attached before its container's start, as a new log, or as a further
        part of the one that the try's earlier containers wrote. `doubts` were those when it was asked for: if the
        engine went away since, the stream may have ended before the start."""
        with self._turn(key):
            self._leave(key)
            flow = LogFlow(key, self._logs, stream, attached=True, part=part, mask=self._mask)
            self._add(flow)
            if doubts is not None and self.doubts != doubts:
                flow.trusted = False

    def adopt(
        self, key: TryKey, engine: Engine, container: ContainerId, *, part: int = 1, runs: bool = False
    ) -> None:
        """Go on with the log of a container that runs or has exited from what is stored of it, unless its stream
        is still open or its log known to be whole. Reads the stored log once. `runs`: it does by the engine's own
        account, so a stream that has ended broke.

        Raises `NoSuchContainerError`, `EngineUnavailableError`. Where the disk does not serve, only a warning
        tells: `complete` makes up for it."""
        with self._turn(key):
            known = self._find(key)
            if known is not None and runs and known.ended.is_set():
                known.trusted = False
            if known is None or (known.ended.is_set() and not known.whole):
                stream = engine.follow_logs(container)
                self._follow(LogFlow(key, self._logs, stream, attached=False, part=part, mask=self._mask))

    def doubt(self) -> None:
        """The engine went away: streams may have ended before their containers, so no open log is trusted any
        more, and each is read back when it is completed."""
        with self._lock:
            self._doubts += 1
            for flow in self._flows.values():
                flow.trusted = False

    def wait_end(self, key: TryKey, seconds: float) -> bool:
        """After the container's exit: wait for the end of its stream. Whether its log is whole then."""
        flow = self._find(key)
        return flow is not None and self._clock.wait(flow.ended, seconds) and flow.whole

    def complete(self, key: TryKey, engine: Engine, container: ContainerId | None, *, part: int = 1) -> bool:
        """After the container's exit: wait for the end of its stream, and read back what is missing. Whether the
        log is whole then; cheap when it is. `container` None: none was ever created.

        Raises `EngineUnavailableError`, `LogUnavailableError`: try again later."""
        with self._turn(key):
            flow = self._find(key)
            if flow is not None:
                self._await_end(flow)
                self._end(flow)
            elif self._logs.ended(key, part):
                return True  # an earlier life finished it, and may have removed the container since
            if container is None:
                return flow is None or flow.whole
            try:
                flow = flow or self._unfed(key, engine, container)
                if not flow.whole:
                    self._read_back(flow, engine.read_logs(container))
            except NoSuchContainerError:
                self._tell_truncated(key, flow)
                return False
            return flow.whole

    def finish(
        self, key: TryKey, engine: Engine, container: ContainerId | None, *, part: int = 1, following: str = ""
    ) -> bool:
        """`complete`, then `close`; a log that is whole is marked so, before its container may be removed. Where
        another part follows, this one is ended with the line `following`, whole or not."""
        with self._turn(key):
            whole = self.complete(key, engine, container, part=part)
            flow = self._find(key)
            if flow is not None and (whole or following):
                flow.end(self._clock.now(), following)
            elif following and not self._logs.ended(key, part):
                self._note(key, following, LogFlag.PART)
            self.close(key)
        return whole

    def finish_unstarted(self, key: TryKey) -> None:
        """Its container never ran and is gone: its log, if it was attached, is whole as it is. An engine leaves the
        stream of such a container open. Raises `LogUnavailableError`."""
        with self._turn(key):
            flow = self._find(key)
            if flow is not None:
                self._end(flow)
                flow.end(self._clock.now())
                self.close(key)

    def close(self, key: TryKey) -> None:
        """Let go of a try's log, ending its stream; nothing happens where there is none. What is stored survives
        a power failure from here on. Raises `LogUnavailableError`."""
        with self._turn(key):
            flow = self._find(key)
            if flow is not None:
                self._end(flow)
                flow.close()
                with self._lock:
                    self._flows.pop(key, None)
            self._forget(key)

    # --- flows ----------------------------------------------------------------------------------------

    def _find(self, key: TryKey) -> LogFlow | None:
        with self._lock:
            return self._flows.get(key)

    @contextlib.contextmanager
    def _turn(self, key: TryKey) -> Iterator[None]:
        """One at a time for each try; may be taken again by who has it."""
        with self._lock:
            turn = self._turns.setdefault(key, _Turn())
            turn.takers += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._lock:
                turn.takers -= 1
                if not turn.takers:
                    del self._turns[key]

    def _add(self, flow: LogFlow) -> None:
        with self._lock:
            taken = not self._stopped
            if taken:
                self._flows[flow.key] = flow
        if taken:
            self._intake.add(flow)
        else:
            flow.stream.close()
            _close_quietly(flow)

    def _follow(self, flow: LogFlow) -> None:
        with contextlib.ExitStack() as dropping:  # whatever goes wrong: nobody else knows of the stream
            dropping.callback(flow.stream.close)
            dropping.callback(_close_quietly, flow)
            self._leave(flow.key)
            try:
                flow.rewind()
                flow.note(_BACK_NOTE, self._clock.now())
                self._tell_unmasked(flow)
            except LogUnavailableError as trouble:
                _log.warning("log.waits", try_key=flow.key, trouble=trouble.message)
            else:
                dropping.pop_all()
                self._add(flow)

    def _await_end(self, flow: LogFlow) -> None:
        """As long as anything comes of a stream, and for a while longer; not for ever, should its container have
        been started again by others."""
        received, until = -1, self._clock.monotonic() + _LONGEST_END_SECONDS
        while received != flow.received and not flow.ended.is_set() and self._clock.monotonic() < until:
            received = flow.received
            self._clock.wait(flow.ended, _END_SECONDS)

    def _end(self, flow: LogFlow) -> None:
        if not flow.ended.is_set():
            flow.closing = True
            self._intake.drop(flow)
            flow.ended.wait()

    def _leave(self, key: TryKey) -> None:
        """Make room for another flow of the same try."""
        flow = self._find(key)
        if flow is not None:
            self._end(flow)
            _close_quietly(flow)

    def _unfed(self, key: TryKey, engine: Engine, container: ContainerId) -> LogFlow:
        """A flow for a container that had exited before anybody followed it: only its read-back fills it."""
        stream = engine.follow_logs(container)
        flow = LogFlow(key, self._logs, stream, attached=False, mask=self._mask)
        flow.stream.close()
        flow.ended.set()
        with self._lock:
            self._flows[key] = flow
        return flow

    def _read_back(self, flow: LogFlow, chunks: Iterable[bytes]) -> None:
        gathered = _gathered(chunks)
        first = next(gathered, b"")  # the engine answers before anything is cut
        flow.rewind()
        self._tell_unmasked(flow)
        try:
            self._store(flow, first)
            for data in gathered:
                self._store(flow, data)
            if flow.at_border and flow.flush(self._clock.now()):
                self._on_grown(flow.key)
        except LogStreamDamagedError:
            flow.note(_DAMAGED_NOTE, self._clock.now(), LogFlag.TRUNCATED)
        else:
            flow.read_back = flow.at_border
            if not flow.at_border:
                flow.note(_DAMAGED_NOTE, self._clock.now(), LogFlag.TRUNCATED)

    def _store(self, flow: LogFlow, data: bytes) -> None:
        if flow.store(data, self._clock.now()):
            self._on_grown(flow.key)

    def _tell_unmasked(self, flow: LogFlow) -> None:
        if flow.unmasked:
            flow.note(flow.unmasked, self._clock.now())

    def _tell_truncated(self, key: TryKey, flow: LogFlow | None) -> None:
        if flow is not None:
            flow.note(_GONE_NOTE, self._clock.now(), LogFlag.TRUNCATED)
        else:
            self._note(key, _GONE_NOTE, LogFlag.TRUNCATED)

    def _note(self, key: TryKey, text: str, flags: LogFlag) -> None:
        """Append a system line to a log that nobody feeds."""
        writer = self._logs.writer(key)
        writer.note(text, self._clock.now(), flags)
        writer.close()

    # --- the writer's thread --------------------------------------------------------------------------

    def _run(self) -> None:
        while (batch := self._backlog.take()) is not None:
            flow = batch.key
            try:
                self._take(flow, batch)
            except LogUnavailableError as trouble:
                _log.warning("log.given_up", try_key=flow.key, trouble=trouble.message)
                self._break(flow)
            except Exception:  # noqa: BLE001 - a loop's shell: one log's fault must not stop the others
                _log.exception("log.broke", try_key=flow.key)
                self._break(flow)
            if self._backlog.stored(batch):
                self._intake.go_on(flow)
            if batch.ended:
                self._told_ended(flow)

    def _take(self, flow: LogFlow, batch: Batch[LogFlow]) -> None:
        if flow.broken:
            return
        grown = flow.store(batch.data, batch.at)
        if batch.ended and flow.exact:
            grown = flow.flush(batch.at) or grown
        if grown:
            self._on_grown(flow.key)

    def _break(self, flow: LogFlow) -> None:
        flow.broken = True
        self._intake.drop(flow)

    def _told_ended(self, flow: LogFlow) -> None:
        flow.ended.set()
        if not flow.closing:
            try:
                self._on_ended(flow.key)
            except Exception:  # noqa: BLE001 - a loop's shell: a listener's fault must not stop the logs
                _log.exception("log.listener_broke", try_key=flow.key)


def _close_quietly(flow: LogFlow) -> None:
    with contextlib.suppress(LogUnavailableError):  # who needs it safe on disk asks `close`
        flow.close()


def _gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces, so that the index stays small."""
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= _READ_BACK_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)
