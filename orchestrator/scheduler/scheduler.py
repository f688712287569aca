"""The scheduler as one thing: its services, wired over the ports, started and stopped in order."""

import itertools
from collections.abc import Callable

import structlog
from msgspec.structs import replace

from orchestrator.ids import DeploymentId, Epoch, TryKey, new_try_id
from orchestrator.planning.changes import Collect, Effect, Launch, LookBack, PinImages, Prepare, Stop
from orchestrator.planning.decide import PlanSettings
from orchestrator.planning.events import Event
from orchestrator.planning.explain import Explained, Question
from orchestrator.planning.world import World
from orchestrator.scheduler.attempts import OpenAttempts
from orchestrator.scheduler.containers import Containers
from orchestrator.scheduler.dag_watch import DagWatch
from orchestrator.scheduler.history import History
from orchestrator.scheduler.inbox import Asked, Fenced, Inbox, Wake
from orchestrator.scheduler.loop import Loop
from orchestrator.scheduler.notices import LogGrew, Notice
from orchestrator.scheduler.parts import Parts as Parts
from orchestrator.scheduler.parts import Service
from orchestrator.scheduler.preparer import Preparer
from orchestrator.scheduler.sources import Sources
from orchestrator.scheduler.vigil import Vigil
from orchestrator.settings import Settings

_log = structlog.get_logger()

_MIB = 1024 * 1024

#: Seconds that services have, together, to finish what is under way when the scheduler stops.
_CLOSE_SECONDS = 2.0


class Scheduler:
    """Takes the lead, runs the loop in the caller's thread, and leaves containers running when it stops."""

    def __init__(self, parts: Parts, epoch: Epoch, publish: Callable[[Notice], None]) -> None:
        self._parts = parts
        self._inbox = Inbox()
        self._publish = publish
        clock, post, attempts = parts.clock, self._inbox.post, OpenAttempts()
        deployment, vigil = parts.store.deployment(), Vigil(clock)
        vigil.on_waking(self.reconcile)
        self._containers = Containers(parts, deployment, epoch, attempts, vigil, post=post, on_grown=self._log_grew)
        sources = Sources(parts.store, parts.artifacts, self._containers.harvester)
        self._preparer = Preparer(parts, sources, self._containers.unsealing, vigil, post=post)
        self._history = History(parts.store, post=post, clock=clock)
        self._dag_watch = DagWatch(parts.folder, parts.parser, post, clock) if parts.folder is not None else None
        self._loop = Loop(
            parts.store,
            self._inbox,
            attempts,
            vigil,
            self,
            epoch=epoch,
            plan=_plan(parts, deployment, epoch),
            ids=(new_try_id() for _ in itertools.count()),
            clock=clock,
            publish=self._tell,
            beat=parts.heartbeat.beat("loop"),
        )

    def run(self) -> None:
        """Start everything, run until `quit`, stop everything: within some 5 s, whatever the services are doing.
        Raises `FencedError` when the lead is lost."""
        self._parts.heartbeat.start()
        self._containers.start_logs()
        try:
            self._loop.start()
            self._containers.start()
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

    def fenced(self) -> None:
        """Have `run` end: somebody else leads; from any thread."""
        self._inbox.post(Fenced())

    def post(self, event: Event) -> None:
        """Hand an event to the loop, as `dags test` does with the file it parsed."""
        self._inbox.post(event)

    def wake(self) -> None:
        """A request was written: look at it now."""
        self._inbox.post(Wake())

    def ask(self, question: Question, answer: Callable[[Explained], None]) -> None:
        """Have a question answered between two turns; `answer` is called in the loop's thread."""
        self._inbox.post(Asked(question=question, answer=answer))

    def dispatch(self, effect: Effect, world: World) -> None:
        """Carry out one effect of a committed turn. What a run wanted that ended in the same turn is dropped."""
        match effect:
            case Launch() | Stop() | Collect():
                self._containers.dispatch(effect, world)
            case Prepare() if effect.run.key in world.runs:
                self._preparer.prepare(effect, world.dag_spec(effect.run.key))
            case PinImages() if effect.run in world.runs:
                self._preparer.pin(effect, world.dag_spec(effect.run))
            case LookBack():
                self._history.look(effect)
            case _:
                pass

    def reconcile(self) -> None:
        """Have the engine asked for everything of ours."""
        self._containers.reconcile()

    def _tell(self, notice: Notice) -> None:
        """Tell who watches; a watcher's fault must neither stop the loop nor a log."""
        try:
            self._publish(notice)
        except Exception:  # noqa: BLE001 - a foreign listener: logged
            _log.exception("notice.broke", notice_type=type(notice).__name__)

    def _log_grew(self, key: TryKey) -> None:
        self._tell(LogGrew(key=key))

    def _close(self) -> None:
        """Have every service take nothing more up, give what is under way a moment, then cut it off: an answer of
        the engine that is never heard is what the next process is made for."""
        services: list[Service] = [*self._containers.services, self._preparer, self._history]
        if self._dag_watch is not None:
            services.append(self._dag_watch)
        for service in services:
            service.close()
        self._parts.engine.close()  # ends the event stream; nobody hears any more of what comes of other calls
        until = self._parts.clock.monotonic() + _CLOSE_SECONDS
        for service in services:
            service.join(max(until - self._parts.clock.monotonic(), 0.0))
        self._containers.stop_logs()
        _log.info("scheduler.stopped")


def _plan(parts: Parts, deployment: DeploymentId, epoch: Epoch) -> PlanSettings:
    settled = plan_of(parts.settings, deployment, epoch)
    return replace(settled, alone=parts.test_mode, unattended=not parts.attended)


def plan_of(settings: Settings, deployment: DeploymentId, epoch: Epoch) -> PlanSettings:
    """What planning takes from the settings."""
    return PlanSettings(
        epoch=epoch,
        deployment=deployment,
        parallelism=settings.scheduling.parallelism,
        default_pool_slots=settings.scheduling.default_pool_slots,
        catchup_by_default=settings.scheduling.catchup_by_default,
        rerun_recorded=settings.scheduling.rerun_with == "recorded",
        infrastructure_retries=settings.scheduling.infrastructure_retries,
        engine_cpus=settings.engine.cpus,
        engine_memory=settings.engine.memory * _MIB,
        paused_on_creation=settings.scheduling.paused_on_creation,
        bare_schedule=settings.scheduling.bare_schedule,
    )
