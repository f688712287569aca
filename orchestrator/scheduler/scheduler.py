"""The scheduler as one thing: its services, wired over the ports, started and stopped in order."""

import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

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
from orchestrator.scheduler.engine_watch import EngineWatch
from orchestrator.scheduler.inbox import Inbox, Wake
from orchestrator.scheduler.launcher import Launcher
from orchestrator.scheduler.loop import Loop
from orchestrator.scheduler.notices import LogGrew, Notice
from orchestrator.scheduler.preparer import Preparer
from orchestrator.scheduler.pump import LogPump
from orchestrator.scheduler.reconciler import Reconciler
from orchestrator.scheduler.settling import Settling
from orchestrator.scheduler.stopper import Stopper
from orchestrator.settings import Settings
from orchestrator.spec.finalize import Site

_log = structlog.get_logger()


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
        deployment = parts.store.deployment()
        self._attempts = OpenAttempts()
        post = self._inbox.post
        self._pump = LogPump(parts.logs, parts.clock, on_grown=self._log_grew, on_ended=self._stream_ended)
        self._collector = Collector(
            parts.engine,
            self._attempts,
            self._pump,
            parts.logs,
            post=post,
            clock=parts.clock,
            result_limit=parts.settings.tasks.result_limit,
        )
        self._stopper = Stopper(parts.engine, self._attempts, parts.clock)
        settling = Settling(parts.engine, deployment, self._attempts, self._pump, self._collector, post)
        self._launcher = Launcher(
            parts.engine,
            settling,
            self._pump,
            self._stopper,
            epoch=epoch,
            read_epoch=parts.store.epoch,
            post=post,
            clock=parts.clock,
            threads=parts.settings.engine.launchers or 2 * (os.cpu_count() or 1),
        )
        self._reconciler = Reconciler(
            parts.engine,
            deployment,
            self._attempts,
            settling,
            self._launcher,
            self._stopper,
            read_attempt=parts.store.attempt,
            clock=parts.clock,
        )
        self._preparer = Preparer(
            parts.renderer,
            parts.images,
            parts.store,
            site=parts.site,
            default_image=parts.settings.tasks.default_image,
            post=post,
            clock=parts.clock,
            test_mode=parts.test_mode,
            extra_labels=parts.extra_labels,
        )
        self._watch = EngineWatch(
            parts.engine,
            deployment,
            self._attempts,
            post=post,
            on_exit=self._collector.exited,
            on_silence=self._pump.doubt,
        )
        self._dag_watch = DagWatch(parts.folder, parts.parser, post) if parts.folder is not None else None
        self._loop = Loop(
            parts.store,
            self._inbox,
            self._attempts,
            self,
            epoch=epoch,
            plan=_plan(parts.settings, deployment, epoch),
            ids=(new_try_id() for _ in itertools.count()),
            clock=parts.clock,
            publish=publish,
        )

    def run(self) -> None:
        """Start everything, run until `quit`, stop everything. Raises `FencedError` when the lead is lost."""
        self._loop.start()
        self._pump.start()
        self._stopper.start()
        self._watch.start()
        self._loop.resume()
        if self._dag_watch is not None:
            self._dag_watch.start()
        _log.info("scheduler.running")
        try:
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
        """Carry out one effect of a committed turn."""
        match effect:
            case Launch():
                self._launcher.launch(self._attempts.open(effect.attempt, world.task_spec(effect.attempt.key.task)))
            case Stop():
                entry = self._attempts.request_stop(effect.attempt)
                if entry is not None:
                    self._stopper.stop(entry)
            case Collect():
                self._collector.tidy(effect.attempt)
            case Prepare():
                self._preparer.prepare(effect, world.dag_spec(effect.run.key))
            case PinImages():
                self._preparer.pin(effect, world.dag_spec(effect.run))

    def reconcile(self) -> None:
        """Have the engine asked for everything of ours."""
        self._reconciler.reconcile()

    def _log_grew(self, key: TryKey) -> None:
        self._publish(LogGrew(key=key))

    def _stream_ended(self, key: TryKey) -> None:
        self._collector.stream_ended(key)

    def _close(self) -> None:
        if self._dag_watch is not None:
            self._dag_watch.close()
        self._reconciler.close()
        self._launcher.close()
        self._preparer.close()
        self._stopper.close()
        self._collector.close()
        self._parts.engine.close()
        self._watch.join(2)
        self._pump.stop()
        _log.info("scheduler.stopped")


def _plan(settings: Settings, deployment: DeploymentId, epoch: Epoch) -> PlanSettings:
    return PlanSettings(
        epoch=epoch,
        deployment=deployment,
        parallelism=settings.scheduling.parallelism,
        default_pool_slots=settings.scheduling.default_pool_slots,
        catchup_by_default=settings.scheduling.catchup_by_default,
        paused_on_creation=settings.scheduling.paused_on_creation,
    )
