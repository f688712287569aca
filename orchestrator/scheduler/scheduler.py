"""The scheduler as one thing: its services, wired over the ports, started and stopped in order."""

import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import structlog

from orchestrator.clock import Clock
from orchestrator.ids import DeploymentId, Epoch, TryKey, new_try_id
from orchestrator.planning.changes import Collect, Effect, Launch, PinImages, Prepare, Stop
from orchestrator.planning.decide import PlanSettings
from orchestrator.planning.events import Event
from orchestrator.planning.world import World
from orchestrator.ports import Engine, Folder, Images, LogStore, Parser, Renderer, Store
from orchestrator.scheduler.attempts import OpenAttempts
from orchestrator.scheduler.collector import Collector
from orchestrator.scheduler.dag_watch import DagWatch
from orchestrator.scheduler.endings import Endings
from orchestrator.scheduler.engine_watch import EngineWatch
from orchestrator.scheduler.idleness import Idleness
from orchestrator.scheduler.inbox import Inbox, Wake
from orchestrator.scheduler.keeping import Keeping
from orchestrator.scheduler.launcher import Launcher
from orchestrator.scheduler.loop import Loop
from orchestrator.scheduler.notices import LogGrew, Notice
from orchestrator.scheduler.preparer import Preparer
from orchestrator.scheduler.pump import LogPump
from orchestrator.scheduler.reconciler import Reconciler
from orchestrator.scheduler.results import Results
from orchestrator.scheduler.settling import Settling
from orchestrator.scheduler.stopper import Stopper
from orchestrator.scheduler.tidier import Tidier
from orchestrator.settings import Settings
from orchestrator.spec.finalize import Site
from orchestrator.states import RunState

_log = structlog.get_logger()

#: Seconds that services have, together, to finish what is under way when the scheduler stops.
_CLOSE_SECONDS = 2.0


class _Service(Protocol):
    """Threads of ours: `close` asks them to end, `join` waits for it up to some seconds."""

    def close(self) -> None: ...
    def join(self, seconds: float) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a scheduler is made of: adapters behind ports, and facts about the deployment."""

    store: Store
    engine: Engine
    logs: LogStore
    images: Images
    renderer: Renderer
    parser: Parser
    settings: Settings
    site: Site
    clock: Clock
    folder: Folder | None = None  #: None: DAGs are posted by the caller (`dags test`)
    test_mode: bool = False
    extra_labels: Mapping[str, str] = field(default_factory=dict)


class Scheduler:
    """Takes the lead, runs the loop in the caller's thread, and leaves containers running when it stops."""

    def __init__(self, parts: Parts, epoch: Epoch, publish: Callable[[Notice], None]) -> None:
        self._parts = parts
        self._inbox = Inbox()
        self._publish = publish
        self._attempts = OpenAttempts()
        engine, clock, post = parts.engine, parts.clock, self._inbox.post
        deployment = parts.store.deployment()
        self._pump = LogPump(parts.logs, clock, on_grown=self._log_grew, on_ended=self._stream_ended)
        endings = Endings(self._attempts, post)
        self._collector = Collector(
            engine,
            self._attempts,
            endings,
            Results(engine, self._pump, parts.logs, limit=parts.settings.tasks.result_limit),
            post=post,
            doubt=self.reconcile,
            clock=clock,
        )
        self._tidier = Tidier(engine, self._pump, post=post, clock=clock)
        self._stopper = Stopper(engine, self._attempts, clock)
        settling = Settling(
            engine,
            deployment,
            epoch,
            self._attempts,
            endings,
            self._pump,
            found_exited=self._collector.found_exited,
            post=post,
            clock=clock,
        )
        self._idleness = Idleness(self._attempts, post=post, clock=clock)
        self._keeping = Keeping(
            engine, parts.store, deployment, volumes=_volume_retention(parts.settings), clock=clock
        )
        self._launcher = Launcher(
            engine,
            self._attempts,
            endings,
            settling,
            self._pump,
            self._stopper,
            leads=lambda: parts.store.epoch() == epoch,
            post=post,
            clock=clock,
            threads=parts.settings.engine.launchers or 2 * (os.cpu_count() or 1),
        )
        self._reconciler = Reconciler(
            engine,
            deployment,
            self._attempts,
            endings,
            settling,
            self._launcher,
            stopper=self._stopper,
            read_attempt=parts.store.attempt,
            on_period=self._on_period,
            clock=clock,
        )
        self._preparer = Preparer(
            parts.renderer,
            parts.images,
            parts.store,
            site=parts.site,
            default_image=parts.settings.default_image,
            post=post,
            clock=clock,
            test_mode=parts.test_mode,
            extra_labels=parts.extra_labels,
        )
        self._watch = EngineWatch(
            engine,
            deployment,
            self._attempts,
            post=post,
            on_exit=self._collector.exited,
            on_gone=self._collector.gone,
            on_silence=self._pump.doubt,
            clock=clock,
        )
        self._dag_watch = DagWatch(parts.folder, parts.parser, post, clock) if parts.folder is not None else None
        self._loop = Loop(
            parts.store,
            self._inbox,
            self._attempts,
            self,
            epoch=epoch,
            plan=_plan(parts.settings, deployment, epoch),
            ids=(new_try_id() for _ in itertools.count()),
            clock=clock,
            publish=self._tell,
        )

    def run(self) -> None:
        """Start everything, run until `quit`, stop everything: within some 5 s, whatever the services are doing.
        Raises `FencedError` when the lead is lost."""
        self._pump.start()
        try:
            self._loop.start()
            self._stopper.start()
            self._reconciler.start()
            self._watch.start()
            self._idleness.start()
            self._keeping.start()
            self._loop.resume()
            if self._dag_watch is not None:
                self._dag_watch.start()
            _log.info("scheduler.running")
            self._loop.run()
        finally:
            self._close()

    def quit(self) -> None:
        """Have `run` return; from any thread or a signal handler."""
        self._loop.quit()

    def post(self, event: Event) -> None:
        """Hand an event to the loop, as `dags test` does with the file it parsed."""
        self._inbox.post(event)

    def wake(self) -> None:
        """A request was written: look at it now."""
        self._inbox.post(Wake())

    def dispatch(self, effect: Effect, world: World) -> None:
        """Carry out one effect of a committed turn. What a run wanted that ended in the same turn is dropped."""
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
            case Prepare() if effect.run.key in world.runs:
                self._preparer.prepare(effect, world.dag_spec(effect.run.key))
            case PinImages() if effect.run in world.runs:
                self._preparer.pin(effect, world.dag_spec(effect.run))
            case _:
                pass

    def reconcile(self) -> None:
        """Have the engine asked for everything of ours."""
        self._reconciler.reconcile()

    def _on_period(self) -> None:
        self._attempts.forgive_ends()
        self._tidier.tidy_broken()

    def _tell(self, notice: Notice) -> None:
        """Tell who watches; a watcher's fault must neither stop the loop nor a log."""
        try:
            self._publish(notice)
        except Exception:  # noqa: BLE001 - a foreign listener: logged
            _log.exception("notice.broke", notice_type=type(notice).__name__)

    def _log_grew(self, key: TryKey) -> None:
        self._idleness.heard(key)
        self._tell(LogGrew(key=key))

    def _stream_ended(self, key: TryKey) -> None:
        self._collector.stream_ended(key)

    def _close(self) -> None:
        """Have every service take nothing more up, give what is under way a moment, then cut it off: an answer of
        the engine that is never heard is what the next process is made for."""
        services: list[_Service] = [
            self._watch,
            self._reconciler,
            self._launcher,
            self._stopper,
            self._collector,
            self._tidier,
            self._preparer,
            self._idleness,
            self._keeping,
        ]
        if self._dag_watch is not None:
            services.append(self._dag_watch)
        for service in services:
            service.close()
        self._parts.engine.close()  # ends the event stream; nobody hears any more of what comes of other calls
        until = self._parts.clock.monotonic() + _CLOSE_SECONDS
        for service in services:
            service.join(max(until - self._parts.clock.monotonic(), 0.0))
        self._pump.stop()
        _log.info("scheduler.stopped")


def _volume_retention(settings: Settings) -> Mapping[RunState, timedelta]:
    retention = settings.retention
    return {
        RunState.SUCCESS: timedelta(seconds=retention.run_volume_success),
        RunState.FAILED: timedelta(seconds=retention.run_volume_failed),
    }


def _plan(settings: Settings, deployment: DeploymentId, epoch: Epoch) -> PlanSettings:
    return PlanSettings(
        epoch=epoch,
        deployment=deployment,
        parallelism=settings.scheduling.parallelism,
        default_pool_slots=settings.scheduling.default_pool_slots,
        catchup_by_default=settings.scheduling.catchup_by_default,
        paused_on_creation=settings.scheduling.paused_on_creation,
    )
