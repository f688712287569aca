"""After every connect to the engine, and now and then: list, then merge. Nothing is decided from a broken stream,
and nothing but containers with a try id of this deployment is ever touched (invariants I3, I13).

The look now and then is what makes sure that nothing waits for ever, whatever was lost on the way. It is taken
only where a try has been open for a while, so that it never comes between an exit and the next start.
"""

import threading
from collections.abc import Callable

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import EngineUnavailableError, StoreUnavailableError
from orchestrator.ids import TRY_LABEL, ContainerId, DeploymentId, TryId
from orchestrator.planning.events import EngineSized
from orchestrator.planning.rows import Try
from orchestrator.ports import Engine
from orchestrator.scheduler.attempts import OpenAttempt, OpenAttempts
from orchestrator.scheduler.endings import Endings
from orchestrator.scheduler.inbox import Message
from orchestrator.scheduler.launcher import Launcher
from orchestrator.scheduler.patience import Patience
from orchestrator.scheduler.settling import Settled, Settling
from orchestrator.scheduler.stopper import Stopper
from orchestrator.scheduler.upkeep import Upkeep, upkeep_of
from orchestrator.scheduler.vigil import Vigil
from orchestrator.spec.container import ContainerFacts

_log = structlog.get_logger()

#: Seconds between two looks; a try that is open at two of them in a row is looked after.
PERIOD = 30.0


class Reconciler:
    """Compares the open tries with what the engine has, one pass at a time, on a thread of its own."""

    def __init__(  # noqa: PLR0913 - wired once, by name
        self,
        engine: Engine,
        deployment: DeploymentId,
        attempts: OpenAttempts,
        endings: Endings,
        settling: Settling,
        launcher: Launcher,
        *,
        vigil: Vigil,
        stopper: Stopper,
        read_attempt: Callable[[TryId], Try | None],
        on_period: Callable[[], None],
        post: Callable[[Message], None],
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._deployment = deployment
        self._attempts = attempts
        self._endings = endings
        self._settling = settling
        self._launcher = launcher
        self._vigil = vigil
        self._stopper = stopper
        self._read_attempt = read_attempt
        self._on_period = on_period
        self._post = post
        self._clock = clock
        self._stop = threading.Event()
        self._asked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconcile", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def reconcile(self) -> None:
        """Ask for a pass that begins after this call; several calls may share one."""
        self._asked.set()

    def close(self) -> None:
        self._stop.set()
        self._asked.set()

    def join(self, seconds: float) -> bool:
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        before: frozenset[TryId] = frozenset()
        while not self._stop.is_set():
            asked = self._clock.wait(self._asked, PERIOD)
            if asked:
                self._asked.clear()
                self._pass_patiently()
                continue
            self._period()
            now = frozenset(entry.try_id for entry in self._attempts.all())
            if now & before:
                self._pass_patiently()
            before = now

    def _period(self) -> None:
        try:
            self._vigil.look()
            self._on_period()
        except Exception:  # noqa: BLE001 - the shell of a loop: logged; the next look comes
            _log.exception("reconcile.broke")

    def _pass_patiently(self) -> None:
        patience = Patience(self._clock, self._stop)
        while not self._stop.is_set():
            began = self._clock.monotonic()
            try:
                self._pass()
            except (EngineUnavailableError, StoreUnavailableError) as trouble:
                if patience.is_news():
                    _log.warning("reconcile.waits", trouble=trouble.message)
                patience.wait()
                continue
            except Exception:  # noqa: BLE001 - the shell of a loop: logged; the next pass comes
                _log.exception("reconcile.broke")
            self._vigil.engine_listed(began)
            return

    def _pass(self) -> None:
        self._post(EngineSized(capacity=self._engine.capacity()))
        # What the launcher or the collector holds is taken out before the list is read: theirs is newer.
        ours = [entry for entry in self._attempts.all() if not entry.launching and not entry.ending.is_set()]
        listed = self._engine.list_ours(self._deployment)
        found = {(facts.labels.get(TRY_LABEL, ""), facts.name): facts for facts in listed}
        for entry in ours:
            self._alone(entry, found.get((entry.try_id, entry.attempt.spec.name)))
        for facts in listed:
            self._leftover(facts)

    def _alone(self, entry: OpenAttempt, facts: ContainerFacts | None) -> None:
        """One try; what breaks there breaks no other."""
        try:
            self._merge(entry, facts)
        except EngineUnavailableError:
            raise
        except Exception:  # noqa: BLE001 - the shell of a loop: logged, and the work fails alone
            _log.exception("reconcile.broke", try_id=entry.try_id)

    def _merge(self, entry: OpenAttempt, facts: ContainerFacts | None) -> None:
        if not self._attempts.is_open(entry) or self._stop.is_set():
            return
        if facts is not None:
            settled = self._settling.settle(entry, facts)
        elif entry.may_have_run:
            self._endings.vanished(entry)
            return
        else:
            settled = Settled.CLEARED
        if settled is Settled.DONE:
            if entry.stop_requested:
                self._stopper.stop(entry)
        elif self._attempts.claim_launch(entry):
            self._launcher.launch(entry)

    def _leftover(self, facts: ContainerFacts) -> None:
        """A container whose try is over and collected is removed, by force if need be: nothing of it may run any
        more. One that we know nothing of is not ours."""
        try_id = TryId(facts.labels.get(TRY_LABEL, ""))
        if self._attempts.get(try_id) is not None:
            return
        if upkeep_of(facts, self._read_attempt(try_id), self._clock.now()) is Upkeep.REMOVE:
            _log.warning("container.leftover_removed", container=facts.id, try_id=try_id, state=facts.state)
            self._engine.remove(ContainerId(facts.id), force=True)
