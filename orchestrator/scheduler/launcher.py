"""Create -> attach -> copy in -> read the epoch -> start. The threads here are the start gate: more starts at
one time than about twice the cores only slow each other down.

Start is sent once for each container id, only by the process that created it, and never repeated: without an
answer the engine is asked what happened (invariant I3).
"""

import threading
from collections.abc import Callable

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import (
    ArtifactsUnavailableError,
    EngineError,
    EngineUnavailableError,
    LaunchRefusedError,
    LogUnavailableError,
    NameTakenError,
    NoSuchContainerError,
    NoSuchFileError,
    SecretInvalidError,
    SecretMissingError,
    SecretUnavailableError,
    StoreUnavailableError,
)
from orchestrator.ids import ContainerId
from orchestrator.planning.events import Started
from orchestrator.planning.rows import Reason
from orchestrator.ports import Engine
from orchestrator.scheduler.attempts import OpenAttempt, OpenAttempts
from orchestrator.scheduler.endings import Endings
from orchestrator.scheduler.inbox import EngineConnected, Fenced, Message
from orchestrator.scheduler.patience import Patience
from orchestrator.scheduler.provisions import Given, Provisions
from orchestrator.scheduler.pump import LogPump
from orchestrator.scheduler.settling import Settled, Settling
from orchestrator.scheduler.workers import Workers
from orchestrator.states import ReasonCode

_log = structlog.get_logger()


class Launcher:
    """Brings containers of committed intents to life."""

    def __init__(
        self,
        engine: Engine,
        attempts: OpenAttempts,
        endings: Endings,
        settling: Settling,
        pump: LogPump,
        provisions: Provisions,
        *,
        leads: Callable[[], bool],
        post: Callable[[Message], None],
        clock: Clock,
        threads: int,
    ) -> None:
        """`leads` asks the database whether this process still does; `StoreUnavailableError` where it cannot."""
        self._engine = engine
        self._attempts = attempts
        self._endings = endings
        self._settling = settling
        self._pump = pump
        self._leads = leads
        self._provisions = provisions
        self._post = post
        self._clock = clock
        self._stop = threading.Event()
        self._workers = Workers(threads, "launch")

    def launch(self, entry: OpenAttempt) -> None:
        """Queue a try, claimed for it, for creation and start. Its end is told by events: Started, LaunchFailed
        or Lost."""
        self._workers.submit(lambda: self._run(entry))

    def close(self) -> None:
        """Take nothing more up and start nothing more; what was created is left for the next process."""
        self._stop.set()
        self._workers.close()

    def join(self, seconds: float) -> bool:
        return self._workers.join(seconds)

    def _run(self, entry: OpenAttempt) -> None:
        doubt = False
        try:
            self._patiently(entry)
        except Exception as error:  # noqa: BLE001 - the shell of a loop: logged, and the work fails alone
            _log.exception("launch.broke", try_id=entry.try_id)
            doubt = entry.may_have_run
            if not doubt:
                self._discard(entry)
                text = f"launching it broke: {error!r}; the scheduler's log has the details"
                self._refuse(entry, ReasonCode.CREATE_REFUSED, text)
        finally:
            self._attempts.release_launch(entry)
        if doubt:  # the engine's own account decides
            self._post(EngineConnected())

    def _patiently(self, entry: OpenAttempt) -> None:
        """Until its way is decided: at once where another container had to go, later where that goes on or where
        the engine is away."""
        patience, met = Patience(self._clock, self._stop), False
        while not self._stop.is_set():
            try:
                if self._bring_up(entry) is Settled.DONE:
                    return
                if met:
                    patience.wait()
                met = True
            except (EngineUnavailableError, ArtifactsUnavailableError, SecretUnavailableError) as trouble:
                if patience.is_news():
                    _log.warning("launch.waits", try_id=entry.try_id, trouble=trouble.message)
                patience.wait()
                met = False

    def _bring_up(self, entry: OpenAttempt) -> Settled:
        if entry.stop_requested and not entry.create_sent:
            return self._stopped(entry)
        if entry.clearing:  # the engine went away while its unstarted container was removed
            return self._look_again(entry)
        try:
            given = self._provisions.of(entry.attempt)
        except (SecretMissingError, SecretInvalidError) as trouble:
            return self._refused(entry, LaunchRefusedError(trouble.code, trouble.message, fix=trouble.fix))
        return self._create(entry, given)

    def _create(self, entry: OpenAttempt, given: Given) -> Settled:
        entry.create_sent = True
        try:
            container = entry.container_id = self._engine.create(given.spec)
        except NameTakenError as taken:
            return self._settling.conflict(entry, taken)
        except LaunchRefusedError as refused:
            return self._refused(entry, refused, given)
        try:
            doubts = self._pump.doubts
            stream = self._engine.attach_logs(container)
            self._pump.attach(entry.attempt.key, stream, part=entry.attempt.look, doubts=doubts)
            self._provisions.copy_in(given, container)
            return self._start(entry, container) if self._may_start() else Settled.DONE
        except LaunchRefusedError as refused:
            self._discard(entry)
            return self._refused(entry, refused, given)
        except NoSuchFileError as gone:
            self._discard(entry)
            return self._refused(entry, LaunchRefusedError(ReasonCode.CREATE_REFUSED, gone.message))
        except NoSuchContainerError:
            self._discard(entry)
            text = f"container {container[:12]} vanished before its start (removed by hand?)"
            self._endings.lost(entry, text, ran=False)
            return Settled.DONE

    def _may_start(self) -> bool:
        """Whether this process still leads, by the database; it is waited for as long as it is away."""
        patience = Patience(self._clock, self._stop)
        while not self._stop.is_set():
            try:
                leads = self._leads()
            except StoreUnavailableError as trouble:
                if patience.is_news():
                    _log.warning("launch.waits", trouble=trouble.message)
                patience.wait()
                continue
            if not leads:
                _log.error("launch.fenced")
                self._post(Fenced())
            return leads and not self._stop.is_set()
        return False

    def _start(self, entry: OpenAttempt, container: ContainerId) -> Settled:
        if entry.stop_requested:  # later than here, the planner has it stopped once it hears of the start
            self._discard(entry)
            return self._stopped(entry)
        entry.start_sent = True
        try:
            self._engine.start(container)
        except EngineUnavailableError as trouble:
            _log.warning("launch.start_unanswered", try_id=entry.try_id, trouble=trouble.message)
            return self._look_again(entry)
        self._tell_started(entry, container)
        return Settled.DONE

    def _tell_started(self, entry: OpenAttempt, container: ContainerId) -> None:
        entry.started = entry.told_started = True
        at = entry.started_at or self._clock.now()
        self._post(Started(try_id=entry.try_id, container_id=container, at=at))

    def _look_again(self, entry: OpenAttempt) -> Settled:
        """A call that matters was sent and not answered: the engine's own account decides, as soon as it can be
        asked."""
        patience = Patience(self._clock, self._stop)
        while entry.container_id is not None and patience.wait():
            try:
                return self._settling.settle(entry, self._engine.inspect(entry.container_id))
            except NoSuchContainerError:
                self._endings.vanished(entry)
                return Settled.DONE
            except EngineUnavailableError as trouble:
                if patience.is_news():
                    _log.warning("launch.waits", try_id=entry.try_id, trouble=trouble.message)
        return Settled.DONE

    def _discard(self, entry: OpenAttempt) -> None:
        """Remove a container, if there is one, that will not be started; where that fails, the tidying does it."""
        if entry.container_id is None:
            return
        try:
            self._engine.remove(entry.container_id)
            self._pump.finish_unstarted(entry.attempt.key)
        except (EngineError, LogUnavailableError) as trouble:
            _log.warning("launch.leftover", container=entry.container_id, trouble=trouble.message)

    def _stopped(self, entry: OpenAttempt) -> Settled:
        reason = entry.attempt.stop_reason or Reason(code=ReasonCode.KILLED_BY)
        self._endings.refused(entry, reason)
        return Settled.DONE

    def _refused(self, entry: OpenAttempt, refused: LaunchRefusedError, given: Given | None = None) -> Settled:
        """The engine's words may repeat what it was told."""
        text = given.patterns.masked(refused.sentence) if given else refused.sentence
        self._refuse(entry, ReasonCode(refused.code), text)
        return Settled.DONE

    def _refuse(self, entry: OpenAttempt, code: ReasonCode, text: str) -> None:
        self._endings.refused(entry, Reason(code=code, text=text))
