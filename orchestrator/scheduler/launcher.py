"""Create -> attach -> copy in -> read the epoch -> start. The threads here are the start gate: more starts at
one time than about twice the cores only slow each other down.

Start is sent once for each container id, only by the process that created it, and never repeated: without an
answer the engine is asked what happened (invariant I3).
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import (
    EngineUnavailableError,
    LaunchRefusedError,
    NameTakenError,
    NoSuchContainerError,
    StoreUnavailableError,
)
from orchestrator.ids import ContainerId, Epoch
from orchestrator.planning.events import LaunchFailed, Lost, Started
from orchestrator.planning.rows import Reason
from orchestrator.ports import Engine
from orchestrator.scheduler.attempts import OpenAttempt
from orchestrator.scheduler.inbox import Message
from orchestrator.scheduler.patience import Patience
from orchestrator.scheduler.pump import LogPump
from orchestrator.scheduler.settling import Settled, Settling
from orchestrator.scheduler.stopper import Stopper
from orchestrator.states import ReasonCode

_log = structlog.get_logger()


class Launcher:
    """Brings containers of committed intents to life."""

    def __init__(
        self,
        engine: Engine,
        settling: Settling,
        pump: LogPump,
        stopper: Stopper,
        *,
        epoch: Epoch,
        read_epoch: Callable[[], Epoch],
        post: Callable[[Message], None],
        clock: Clock,
        threads: int,
    ) -> None:
        self._engine = engine
        self._settling = settling
        self._pump = pump
        self._stopper = stopper
        self._epoch = epoch
        self._read_epoch = read_epoch
        self._post = post
        self._clock = clock
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="launch")

    def launch(self, entry: OpenAttempt) -> None:
        """Queue a try for creation and start. Its end is told by events: Started, LaunchFailed or Lost."""
        if not self._stop.is_set():
            entry.launching = True
            self._pool.submit(self._run, entry)

    def close(self) -> None:
        """Take nothing more up; what is on its way is finished or left for the next process."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, entry: OpenAttempt) -> None:
        patience = Patience(self._clock, self._stop)
        try:
            while not self._stop.is_set():
                try:
                    self._bring_up(entry)
                except (EngineUnavailableError, StoreUnavailableError) as trouble:
                    _log.warning("launch.waits", try_id=entry.try_id, trouble=trouble.message)
                    if not patience.wait():
                        return
                else:
                    return
        except Exception as error:  # noqa: BLE001 - the shell of a loop: logged, and the work fails alone
            _log.exception("launch.broke", try_id=entry.try_id)
            self._fail(entry, Reason(code=ReasonCode.CREATE_REFUSED, text=f"launching broke: {error!r}"))
        finally:
            entry.launching = False

    def _bring_up(self, entry: OpenAttempt) -> None:
        container = self._create(entry)
        if container is None:
            return
        entry.container_id = container
        self._pump.attach(entry.attempt.key, self._engine.attach_logs(container))
        if entry.attempt.spec.files:
            self._engine.put_files(container, entry.attempt.spec.files)
        if entry.stop_requested:
            self._engine.remove(container)
            self._fail(entry, entry.attempt.stop_reason or Reason(code=ReasonCode.KILLED_BY))
        elif self._read_epoch() != self._epoch:
            _log.error("launch.fenced", try_id=entry.try_id, epoch=self._epoch)
        else:
            self._start(entry, container)

    def _create(self, entry: OpenAttempt) -> ContainerId | None:
        """The id of a fresh container, or None where the try's way is settled otherwise."""
        while True:
            try:
                return self._engine.create(entry.attempt.spec)
            except LaunchRefusedError as refused:
                self._refused(entry, refused)
                return None
            except NameTakenError as taken:
                if self._settling.conflict(entry, taken) is not Settled.CLEARED:
                    return None

    def _start(self, entry: OpenAttempt, container: ContainerId) -> None:
        try:
            self._engine.start(container)
        except LaunchRefusedError as refused:
            self._discard(container)
            self._refused(entry, refused)
        except NoSuchContainerError:
            text = f"container {container[:12]} vanished before its start (removed by hand?)"
            reason = Reason(code=ReasonCode.CONTAINER_LOST, text=text)
            self._post(Lost(try_id=entry.try_id, reason=reason, ran=False))
        except EngineUnavailableError as trouble:
            _log.warning("launch.start_unanswered", try_id=entry.try_id, trouble=trouble.message)
            self._ask_what_happened(entry, container)
        else:
            entry.started = True
            entry.told_started = True
            at = entry.started_at or self._clock.now()
            self._post(Started(try_id=entry.try_id, container_id=container, at=at))
            if entry.stop_requested:
                self._stopper.stop(entry)

    def _ask_what_happened(self, entry: OpenAttempt, container: ContainerId) -> None:
        """Start was sent and not answered: the engine's own account decides; EngineUnavailableError never
        leaves here but at the process's end."""
        patience = Patience(self._clock, self._stop)
        while patience.wait():
            try:
                facts = self._engine.inspect(container)
                if self._settling.settle(entry, facts) is Settled.CLEARED:
                    self._bring_up(entry)
            except NoSuchContainerError:
                self._settling.vanished(entry)
            except EngineUnavailableError:
                continue
            return

    def _discard(self, container: ContainerId) -> None:
        """Remove a container whose start was refused (it stays in state created)."""
        try:
            self._engine.remove(container)
        except EngineUnavailableError as trouble:
            _log.warning("launch.leftover", container=container, trouble=trouble.message)

    def _refused(self, entry: OpenAttempt, refused: LaunchRefusedError) -> None:
        text = f"{refused.message}. {refused.fix}" if refused.fix else refused.message
        self._fail(entry, Reason(code=ReasonCode(refused.code), text=text))

    def _fail(self, entry: OpenAttempt, reason: Reason) -> None:
        self._post(LaunchFailed(try_id=entry.try_id, reason=reason))
