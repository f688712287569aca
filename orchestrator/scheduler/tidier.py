"""In the background, after a try's outcome is committed: its outputs are kept, its log is read to the end, then its
container is removed (invariants I2, I6)."""

import threading
from collections.abc import Callable
from datetime import timedelta

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import (
    ArtifactsUnavailableError,
    ContainerRunningError,
    EngineError,
    EngineUnavailableError,
    LaunchRefusedError,
    LogUnavailableError,
    NoSuchContainerError,
    NoSuchFileError,
)
from orchestrator.ids import ContainerId, TryId
from orchestrator.planning.events import Collected
from orchestrator.planning.rows import Try, TryOutcome
from orchestrator.ports import Engine
from orchestrator.scheduler.harvester import Harvester
from orchestrator.scheduler.inbox import Message
from orchestrator.scheduler.keeping import is_kept
from orchestrator.scheduler.patience import Patience
from orchestrator.scheduler.provisions import Provisions
from orchestrator.scheduler.pump import LogPump
from orchestrator.scheduler.workers import Workers
from orchestrator.states import ReasonCode

_log = structlog.get_logger()

#: Threads that tidy up.
_TIDIERS = 2
#: How long the container of a stopped try is kept for a log that cannot be stored. What passes while this process
#: is not there or not awake, or no engine answers, does not count. Whether that is over is looked at once a minute:
#: it is gone within ten.
LOG_PATIENCE = timedelta(minutes=9)
#: Answers that are remembered, for tries that are asked for once more before their row says that it is done.
_REMEMBERED = 4096


class Tidier:
    """Answers each `Collect` with one `Collected`, however often it is asked for the same try."""

    def __init__(
        self,
        engine: Engine,
        harvester: Harvester,
        pump: LogPump,
        provisions: Provisions,
        *,
        post: Callable[[Message], None],
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._harvester = harvester
        self._pump = pump
        self._provisions = provisions
        self._post = post
        self._clock = clock
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._in_hand: dict[TryId, Try] = {}
        self._since: dict[TryId, float] = {}  #: since when each is to be tidied up, by the monotonic clock
        self._away_at = self._clock.monotonic()  #: when the engine did not answer last
        self._broken: dict[TryId, Try] = {}
        self._done: dict[TryId, Collected] = {}
        self._workers = Workers(_TIDIERS, "tidy")

    def tidy(self, attempt: Try) -> None:
        """Queue one; one that is in hand goes on, of one that is done it is told again."""
        with self._lock:
            done = self._done.get(attempt.try_id)
            new = done is None and attempt.try_id not in self._in_hand
            if new:
                self._in_hand[attempt.try_id] = attempt
                self._since.setdefault(attempt.try_id, self._clock.monotonic())
                self._broken.pop(attempt.try_id, None)
        if done is not None:
            self._post(done)
        elif new:
            self._workers.submit(lambda: self._run(attempt))

    def tidy_broken(self) -> None:
        """Take up again what broke unexpectedly."""
        with self._lock:
            broken = tuple(self._broken.values())
        for attempt in broken:
            self.tidy(attempt)

    def give_up(self) -> None:
        """Remove what stopped tries have on the engine though their logs could not be stored for so long: what is
        killed is gone (invariant I6). What was stored stays, and is marked once it can be. `EngineError`."""
        now = self._clock.now()
        begun = self._clock.monotonic() - LOG_PATIENCE.total_seconds()
        with self._lock:
            waiting = [attempt for attempt in self._in_hand.values() if attempt.try_id not in self._done]
            held = [each for each in waiting if max(self._since[each.try_id], self._away_at) <= begun]
        for attempt in held:
            stopped = attempt.stop_requested_at is not None
            if attempt.container_id is not None and stopped and not is_kept(attempt, now):
                _log.error("tidy.log_given_up", try_id=attempt.try_id, container=attempt.container_id)
                self._remove(attempt, attempt.container_id)
                self._tell(Collected(try_id=attempt.try_id, at=now, log_truncated=True))

    def close(self) -> None:
        """Take nothing more up; the next process does."""
        self._stop.set()
        self._workers.close()

    def join(self, seconds: float) -> bool:
        return self._workers.join(seconds)

    def _run(self, attempt: Try) -> None:
        told: Collected | None = None
        try:
            told = self._patiently(attempt)
        except Exception:  # noqa: BLE001 - a loop's shell: logged, and taken up again at the next look
            _log.exception("tidy.broke", try_id=attempt.try_id)
            with self._lock:
                self._broken[attempt.try_id] = attempt
        with self._lock:
            self._in_hand.pop(attempt.try_id, None)
            if told is not None:
                self._since.pop(attempt.try_id, None)
        if told is not None:
            self._tell(told)

    def _tell(self, told: Collected) -> None:
        with self._lock:
            self._done[told.try_id] = told
            while len(self._done) > _REMEMBERED:
                del self._done[next(iter(self._done))]
        self._post(told)

    def _patiently(self, attempt: Try) -> Collected | None:
        """Again and again while the engine or the disk is away."""
        patience = Patience(self._clock, self._stop)
        while not self._stop.is_set():
            try:
                return self._tidy(attempt)
            except (EngineUnavailableError, LogUnavailableError, ArtifactsUnavailableError) as trouble:
                if patience.is_news():
                    _log.warning("tidy.waits", try_id=attempt.try_id, trouble=trouble.message)
                if isinstance(trouble, EngineUnavailableError):
                    self._away_at = self._clock.monotonic()
                patience.wait()
        return None

    def _tidy(self, attempt: Try) -> Collected:
        self._harvester.harvest(attempt)  # first: other tasks may wait for it
        whole = self._pump.finish(
            attempt.key, self._engine, attempt.container_id, part=attempt.look, following=_following(attempt)
        )
        if attempt.container_id is not None and is_kept(attempt, self._clock.now()):
            self._wipe(attempt, attempt.container_id)
        elif attempt.container_id is not None:
            self._remove(attempt, attempt.container_id)
        self._discard(attempt)
        return Collected(try_id=attempt.try_id, at=self._clock.now(), log_truncated=not whole)

    def _discard(self, attempt: Try) -> None:
        """What it wrote beside data roots goes; what could not be promoted stays, for somebody to look at."""
        failed = attempt.reason is not None and attempt.reason.code is ReasonCode.PROMOTION_FAILED
        if failed or not any(mount.stage for mount in attempt.spec.mounts):
            return
        try:
            self._engine.discard(attempt.spec)
        except EngineUnavailableError:
            raise
        except EngineError as error:  # it holds up nobody: a folder is left in the root
            _log.warning("tidy.left_stage", try_id=attempt.try_id, error=error.message)

    def _wipe(self, attempt: Try, container: ContainerId) -> None:
        """Its secrets do not stay with it; one whose files cannot be written any more does not stay."""
        try:
            self._provisions.wipe(attempt, container)
        except NoSuchContainerError:
            _log.info("tidy.not_there_to_keep", try_id=attempt.try_id, container=container)
        except (LaunchRefusedError, NoSuchFileError) as trouble:
            _log.warning("tidy.not_wiped", try_id=attempt.try_id, container=container, trouble=trouble.message)
            self._remove(attempt, container)

    def _remove(self, attempt: Try, container: ContainerId) -> None:
        try:
            self._engine.remove(container)
        except ContainerRunningError:  # started again by others: the try is over, nothing of it may run
            _log.warning("tidy.still_runs", try_id=attempt.try_id, container=container)
            self._engine.remove(container, force=True)


def _following(attempt: Try) -> str:
    """Of a look after which another one follows in the same log: the line between the two."""
    if attempt.outcome is not TryOutcome.NOT_READY or attempt.reason is None:
        return ""
    return f"look {attempt.look}: {attempt.reason.text}"
