"""What stays on the engine for a while after its end, and goes then: containers of failed tries that asked for it,
and volumes of runs (invariant I14). Only what is known by its id is ever removed (invariant I13)."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import EngineError, StoreUnavailableError
from orchestrator.ids import TRY_LABEL, ContainerId, DeploymentId, RunKey, TryId, is_run_volume
from orchestrator.planning.rows import Try, TryOutcome
from orchestrator.ports import Engine, Store
from orchestrator.spec.container import ContainerFacts, ContainerState, VolumeFacts
from orchestrator.states import RunState

_log = structlog.get_logger()

#: How long the container of a failed try with `keep_failed` stays.
KEPT = timedelta(hours=1)
#: Seconds between two looks.
_PERIOD = 60.0


def is_kept(attempt: Try, now: datetime) -> bool:
    """Whether the container of a try that is over stays for now."""
    ended = attempt.ended_at
    failed = attempt.outcome is TryOutcome.FAILED and attempt.spec.keep_failed
    return failed and ended is not None and now < ended + KEPT


class Keeping:
    """Looks now and then, on a thread of its own. `volumes` tells how long the volume of a run that ended so
    stays."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        deployment: DeploymentId,
        *,
        volumes: Mapping[RunState, timedelta],
        on_look: Callable[[], None] = lambda: None,
        clock: Clock,
    ) -> None:
        """`on_look`: what else is to be looked after as often; it may raise as `look` does."""
        self._engine = engine
        self._store = store
        self._deployment = deployment
        self._volumes = volumes
        self._on_look = on_look
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeping", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def look(self) -> None:
        """Remove what has been kept for long enough. `EngineError`, `StoreUnavailableError`."""
        self._on_look()
        for facts in self._engine.list_ours(self._deployment):
            self._container(facts)
        for volume in self._engine.list_volumes(self._deployment):
            self._volume(volume)

    def close(self) -> None:
        self._stop.set()

    def join(self, seconds: float) -> bool:
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._clock.wait(self._stop, _PERIOD):
            try:
                self.look()
            except (EngineError, StoreUnavailableError) as trouble:
                _log.warning("keeping.waits", trouble=trouble.message)
            except Exception:  # noqa: BLE001 - the shell of a loop: logged; the next look comes
                _log.exception("keeping.broke")

    def _container(self, facts: ContainerFacts) -> None:
        attempt = self._store.attempt(TryId(facts.labels.get(TRY_LABEL, "")))
        ours = attempt is not None and attempt.spec.name == facts.name and facts.state is ContainerState.EXITED
        if attempt is None or not ours or not attempt.spec.keep_failed or attempt.removed_at is None:
            return
        if not is_kept(attempt, self._clock.now()):
            _log.info("container.kept_long_enough", container=facts.id, try_id=attempt.try_id)
            self._engine.remove(ContainerId(facts.id))

    def _volume(self, volume: VolumeFacts) -> None:
        if not is_run_volume(volume.name, volume.labels):
            return
        key = RunKey(volume.labels.get("orchestrator.dag_id", ""), volume.labels.get("orchestrator.run_id", ""))
        run = self._store.run(key)
        if run is None or run.ended_at is None or not run.state.final:
            return
        if self._clock.now() >= run.ended_at + self._volumes[run.state] and self._engine.remove_volume(volume.name):
            _log.info("volume.kept_long_enough", volume=volume.name, run=key)
