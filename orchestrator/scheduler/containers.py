"""The services that deal with the containers of tries, wired: they bring them to life, watch, stop and collect
them, and tidy up after them."""

import os
from collections.abc import Callable

from orchestrator.errors import StoreUnavailableError
from orchestrator.ids import DeploymentId, Epoch, TryKey
from orchestrator.planning.changes import Collect, Launch, Stop
from orchestrator.planning.world import World
from orchestrator.scheduler.attempts import OpenAttempts
from orchestrator.scheduler.collector import Collector
from orchestrator.scheduler.endings import Endings
from orchestrator.scheduler.engine_watch import EngineWatch
from orchestrator.scheduler.harvester import Harvester
from orchestrator.scheduler.idleness import Idleness
from orchestrator.scheduler.inbox import Message
from orchestrator.scheduler.keeping import Keeping
from orchestrator.scheduler.launcher import Launcher
from orchestrator.scheduler.masks import Masks
from orchestrator.scheduler.memory_watch import MemoryWatch
from orchestrator.scheduler.parts import Parts, Service
from orchestrator.scheduler.provisions import Provisions
from orchestrator.scheduler.pump import LogPump
from orchestrator.scheduler.reconciler import Reconciler
from orchestrator.scheduler.results import Results
from orchestrator.scheduler.settling import Settling
from orchestrator.scheduler.stopper import Stopper
from orchestrator.scheduler.tidier import Tidier
from orchestrator.scheduler.unsealing import Unsealing
from orchestrator.scheduler.vigil import Vigil
from orchestrator.spec.container import ContainerSpec


class Containers:
    """All that happens to containers between an intent and its collected end. `on_grown` hears of each log that
    grew, from the pump's thread."""

    def __init__(
        self,
        parts: Parts,
        deployment: DeploymentId,
        epoch: Epoch,
        attempts: OpenAttempts,
        vigil: Vigil,
        *,
        post: Callable[[Message], None],
        on_grown: Callable[[TryKey], None],
    ) -> None:
        self._parts = parts
        self._epoch = epoch
        self._attempts = attempts
        self._vigil = vigil
        self._post = post
        self._on_grown = on_grown
        self._deployment = deployment
        engine, clock = parts.engine, parts.clock
        self.unsealing = Unsealing(parts.secrets)
        self._masks = Masks(self.unsealing, self._spec_of)
        self._pump = self._make_pump()
        self._provisions = Provisions(engine, self.unsealing, self._masks, parts.artifacts.open, epoch)
        self._endings = Endings(attempts, post)
        self._collector = self._make_collector()
        self.harvester = self._make_harvester()
        self._tidier = Tidier(engine, self.harvester, self._pump, self._provisions, post=post, clock=clock)
        self._stopper = Stopper(engine, attempts, vigil, post=post, clock=clock)
        self._idleness = Idleness(attempts, vigil, post=post, clock=clock)
        self._memory = MemoryWatch(engine, attempts, clock)
        volumes = parts.settings.retention.run_volumes
        self._keeping = Keeping(
            engine,
            parts.store,
            self._deployment,
            volumes=volumes,
            on_look=self._tidier.give_up,
            clock=clock,
        )
        settling = self._make_settling()
        self._launcher = self._make_launcher(settling)
        self._reconciler = self._make_reconciler(settling)
        self._watch = self._make_watch()

    def start(self) -> None:
        """Start the threads, the event stream last: whatever it tells finds its service."""
        for service in (self._stopper, self._reconciler, self._idleness, self._memory, self._keeping, self._watch):
            service.start()

    def start_logs(self) -> None:
        """Start the log pump, before anything can be attached."""
        self._pump.start()

    def stop_logs(self) -> None:
        """Store what was read and let go of the files, after all services have ended."""
        self._pump.stop()

    @property
    def services(self) -> tuple[Service, ...]:
        """What is to be closed, in order."""
        return (
            self._watch,
            self._reconciler,
            self._launcher,
            self._stopper,
            self._collector,
            self._tidier,
            self._idleness,
            self._memory,
            self._keeping,
        )

    def dispatch(self, effect: Launch | Stop | Collect, world: World) -> None:
        """Carry out one effect of a committed turn."""
        match effect:
            case Launch():
                spec = world.task_spec(effect.attempt.key.task)
                entry = self._attempts.open_to_launch(effect.attempt, spec)
                if entry is not None:
                    self._launcher.launch(entry)
            case Stop():
                entry = self._attempts.request_stop(effect.attempt)
                if entry is not None:
                    self._stopper.stop(entry)
            case Collect():
                self._tidier.tidy(effect.attempt)

    def reconcile(self) -> None:
        """Have the engine asked for everything of ours."""
        self._reconciler.reconcile()

    def _on_period(self) -> None:
        self._attempts.forgive_ends()
        self._tidier.tidy_broken()

    def _on_silence(self) -> None:
        self._vigil.engine_left()
        self._pump.doubt()

    def _log_grew(self, key: TryKey) -> None:
        self._idleness.heard(key)
        self._on_grown(key)

    def _stream_ended(self, key: TryKey) -> None:
        self._collector.stream_ended(key)

    def _spec_of(self, key: TryKey) -> ContainerSpec | None:
        """Of a try that an earlier process may have launched."""
        return next((each.spec for each in self._parts.store.tries(key.task) if each.key == key), None)

    def _leads(self) -> bool:
        """Whether the database says so."""
        try:
            return self._parts.store.epoch() == self._epoch
        except StoreUnavailableError:
            return False

    # --- wiring ---------------------------------------------------------------------------------------

    def _make_pump(self) -> LogPump:
        return LogPump(
            self._parts.logs,
            self._parts.clock,
            on_grown=self._log_grew,
            on_ended=self._stream_ended,
            mask=self._masks.of,
            forget=self._masks.forget,
            beat=self._parts.heartbeat.beat("log-intake"),
        )

    def _make_collector(self) -> Collector:
        limit = self._parts.settings.tasks.result_limit
        return Collector(
            self._parts.engine,
            self._attempts,
            self._endings,
            Results(
                self._parts.engine,
                self._parts.checker,
                self._pump,
                self._parts.logs,
                limit=limit,
                mask=self._masks.of,
            ),
            post=self._post,
            doubt=self.reconcile,
            clock=self._parts.clock,
        )

    def _make_harvester(self) -> Harvester:
        limits = self._parts.settings.tasks
        return Harvester(
            self._parts.engine,
            self._parts.artifacts,
            most=limits.output_files,
            largest=limits.output_limit,
            clock=self._parts.clock,
        )

    def _make_settling(self) -> Settling:
        return Settling(
            self._parts.engine,
            self._deployment,
            self._epoch,
            self._attempts,
            self._endings,
            self._pump,
            leads=self._leads,
            found_exited=self._collector.found_exited,
            post=self._post,
            clock=self._parts.clock,
        )

    def _make_launcher(self, settling: Settling) -> Launcher:
        store, epoch = self._parts.store, self._epoch
        return Launcher(
            self._parts.engine,
            self._attempts,
            self._endings,
            settling,
            self._pump,
            self._provisions,
            leads=lambda: store.epoch() == epoch,
            post=self._post,
            clock=self._parts.clock,
            threads=self._parts.settings.engine.launchers or 2 * (os.cpu_count() or 1),
        )

    def _make_reconciler(self, settling: Settling) -> Reconciler:
        return Reconciler(
            self._parts.engine,
            self._deployment,
            self._attempts,
            self._endings,
            settling,
            self._launcher,
            vigil=self._vigil,
            stopper=self._stopper,
            read_attempt=self._parts.store.attempt,
            on_period=self._on_period,
            post=self._post,
            clock=self._parts.clock,
        )

    def _make_watch(self) -> EngineWatch:
        return EngineWatch(
            self._parts.engine,
            self._deployment,
            self._attempts,
            post=self._post,
            on_exit=self._collector.exited,
            on_gone=self._collector.gone,
            on_silence=self._on_silence,
            clock=self._parts.clock,
            beat=self._parts.heartbeat.beat("engine-events"),
        )
