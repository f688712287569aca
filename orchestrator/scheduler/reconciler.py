"""After every connect to the engine: list, then merge. Nothing is decided from a broken stream, and nothing
but containers with a try id of this deployment is ever touched (invariants I3, I13)."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import ContainerRunningError, EngineUnavailableError, NoSuchContainerError
from orchestrator.ids import ContainerId, DeploymentId, TryId
from orchestrator.planning.rows import Try
from orchestrator.ports import Engine
from orchestrator.scheduler.attempts import OpenAttempt, OpenAttempts
from orchestrator.scheduler.launcher import Launcher
from orchestrator.scheduler.patience import Patience
from orchestrator.scheduler.settling import Settled, Settling
from orchestrator.scheduler.stopper import Stopper
from orchestrator.spec.container import ContainerFacts, ContainerState

_log = structlog.get_logger()


class Reconciler:
    """Compares the open tries with what the engine has, one pass at a time."""

    def __init__(
        self,
        engine: Engine,
        deployment: DeploymentId,
        attempts: OpenAttempts,
        settling: Settling,
        launcher: Launcher,
        stopper: Stopper,
        *,
        read_attempt: Callable[[TryId], Try | None],
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._deployment = deployment
        self._attempts = attempts
        self._settling = settling
        self._launcher = launcher
        self._stopper = stopper
        self._read_attempt = read_attempt
        self._clock = clock
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="reconcile")

    def reconcile(self) -> None:
        """Queue one pass."""
        if not self._stop.is_set():
            self._pool.submit(self._run)

    def close(self) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self) -> None:
        patience = Patience(self._clock, self._stop)
        while not self._stop.is_set():
            try:
                self._pass()
            except EngineUnavailableError as trouble:
                _log.warning("reconcile.waits", trouble=trouble.message)
                if not patience.wait():
                    return
            except Exception:  # noqa: BLE001 - the shell of a loop: logged, and the work fails alone
                _log.exception("reconcile.broke")
                return
            else:
                return

    def _pass(self) -> None:
        # What the launcher or the collector holds is taken out before the list is read: theirs is newer.
        ours = [entry for entry in self._attempts.all() if not entry.launching and not entry.exiting]
        listed = self._engine.list_ours(self._deployment)
        found = {facts.labels.get("orchestrator.try_id", ""): facts for facts in listed}
        for entry in ours:
            self._merge(entry, found.get(entry.try_id))
        for facts in listed:
            self._leftover(facts)

    def _merge(self, entry: OpenAttempt, facts: ContainerFacts | None) -> None:
        if facts is not None:
            settled = self._settle(entry, facts)
        elif entry.started:
            self._settling.vanished(entry)
            return
        else:
            settled = Settled.CLEARED
        if settled is Settled.CLEARED:
            self._launcher.launch(entry)
        elif entry.stop_requested:
            self._stopper.stop(entry)

    def _settle(self, entry: OpenAttempt, facts: ContainerFacts) -> Settled:
        try:
            return self._settling.settle(entry, facts)
        except NoSuchContainerError:
            self._settling.vanished(entry)
            return Settled.DONE

    def _leftover(self, facts: ContainerFacts) -> None:
        """A container whose try is over and collected is removed; one that we know nothing of is not ours."""
        try_id = TryId(facts.labels.get("orchestrator.try_id", ""))
        if self._attempts.get(try_id) is not None or facts.state is ContainerState.RUNNING:
            return
        known = self._read_attempt(try_id)
        if known is not None and known.removed_at is not None:
            _log.warning("container.leftover_removed", container=facts.id, try_id=try_id)
            try:
                self._engine.remove(ContainerId(facts.id))
            except ContainerRunningError:
                _log.warning("container.leftover_runs", container=facts.id, try_id=try_id)
