"""One history: a machine, an engine, schedulers that come and go, people, and what goes wrong, until all has come
to its end. Everything is drawn from its seed.
"""

import logging
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import structlog

from orchestrator.artifacts.store import FileArtifactStore
from orchestrator.errors import FencedError, ImageError, OrchestratorError
from orchestrator.ids import Epoch, TryId
from orchestrator.planning.rows import RequestKind
from orchestrator.scheduler import scheduler as shipped
from orchestrator.scheduler.leadership import Leadership
from orchestrator.scheduler.scheduler import Parts, Scheduler
from orchestrator.settings import EngineSettings, SchedulingSettings, Settings, TasksSettings
from orchestrator.spec.dag import ParsedFile
from orchestrator.spec.finalize import Site
from orchestrator.states import ReasonCode
from orchestrator.store.migrate import upgrade
from orchestrator.store.sql_store import SqlStore
from orchestrator.tasklogs.store import FileLogStore
from orchestrator.tasklogs.writer import FileLogWriter
from orchestrator.testing.fake_authoring import FakeAuthoring
from orchestrator.testing.fake_images import FakeImages
from orchestrator.testing.fake_secrets import FakeSecrets
from orchestrator.testing.simulation.chances import Chances, Trouble, drawn
from orchestrator.testing.simulation.dice import Dice
from orchestrator.testing.simulation.engine import SimulatedEngine
from orchestrator.testing.simulation.hub import Hub, NobodyGoesOnError, Process
from orchestrator.testing.simulation.invariants import Violation, Watcher
from orchestrator.testing.simulation.machine import Connections, Files, Gate, logs_of, store_of
from orchestrator.testing.simulation.primitives import Event, SimulatedClock, install
from orchestrator.testing.simulation.rows import Reader
from orchestrator.testing.simulation.weather import Weather
from orchestrator.testing.simulation.workload import Workload

#: Seconds that everything has to come to its end once nothing goes wrong any more.
_CALM = 600.0
#: Seconds between two looks at whether it has.
_LOOK = 0.5
_DATABASE = "orchestrator.db"


class Story(Protocol):
    """What happens to a history: what people do, what machines do, and what has to have come of it."""

    def people(self) -> None: ...
    def pass_by(self) -> None: ...
    def check(self) -> None: ...


class History:
    """See the module. `folder` is for this history alone; `template` a folder with an empty database."""

    def __init__(
        self,
        seed: int,
        template: Path,
        folder: Path,
        connections: Connections,
        *,
        say: Callable[[str], None] | None = None,
        told: "Callable[[History], Story] | None" = None,
        workload: Workload | None = None,
        kinds: frozenset[Trouble] | None = None,
    ) -> None:
        """What happens to it, what it is about, and its kinds of trouble may be told; else they are drawn."""
        random = Dice(seed)
        self.random = random
        self.kinds = drawn(random) if kinds is None else kinds
        self.hub = Hub(random, restless=random.choice((0.0, 0.05, 0.3, 0.9)))
        install(self.hub)
        self._say = say
        shutil.copytree(template, folder, dirs_exist_ok=True)
        self.folder = folder
        self.clock = SimulatedClock(self.hub)
        self.chances = Chances(random, self.kinds)
        self.workload = Workload(random) if workload is None else workload
        self.logs = FileLogStore(folder / "logs")
        self.watcher = Watcher(
            self.hub, self.workload, self.kinds, Reader(folder / _DATABASE), self.logs, self.tell, cpus=4.0
        )
        self.engine = SimulatedEngine(self.hub, self.workload, self.chances, self.watcher)
        self.images = FakeImages()
        self._connections = connections
        self.faces = connections.open(folder / _DATABASE, Gate(self.hub, None, self.chances, self.watcher))
        self.processes: list[Process] = []
        self._open_logs: list[FileLogWriter] = []
        self._schedulers: dict[Process, Scheduler] = {}
        self._ids = 0
        self.restarts = True  #: a scheduler that is gone is followed by another one
        self._story = Weather(self) if told is None else told(self)
        self.elects = Trouble.LEADERSHIP in self.kinds  #: several schedulers, of which one leads for a while
        vars(shipped)["new_try_id"] = self._new_try_id
        self._listen()

    def tell(self, text: str) -> None:
        """A line of the trace."""
        if self._say is not None:
            strand = self.hub.current
            who = "-" if strand is None or strand.process is None else f"{strand.process.name}/{strand.name}"
            self._say(f"{self.hub.now:10.3f}  {who:<24} {text.replace(str(self.folder), '~')}")

    def _listen(self) -> None:
        """Hear our own log: whatever broke is a defect."""
        level = logging.ERROR if self._say is None else logging.INFO
        structlog.configure(
            processors=[self._hear],
            wrapper_class=structlog.make_filtering_bound_logger(level),
            cache_logger_on_first_use=False,
        )

    def _hear(self, logger: Any, method: str, entry: Any) -> Any:
        del logger
        event, error = entry.pop("event"), sys.exception() if entry.pop("exc_info", False) else None
        self.tell(f"log {method}: {event} {entry} {'' if error is None else repr(error)}")
        if error is not None and not isinstance(error, Violation):
            frames = traceback.format_exception(error)
            self.violated("defect", f"{event}: {''.join(frames)}")
        raise structlog.DropEvent

    def play(self) -> None:
        """Live it from its beginning to its end. Raises `Violation`."""
        self.hub.spawn("supervisor", self._supervise)
        self.hub.spawn("people", self._story.people)
        self.hub.spawn("weather", self._story.pass_by)
        try:
            self.hub.run()
        except NobodyGoesOnError as stuck:
            self.violated("liveness", f"{stuck}: {'; '.join(self.watcher.at_rest())}")
        finally:
            self._end()
        if self.watcher.violation is not None:
            raise self.watcher.violation

    # --- processes --------------------------------------------------------------------------------------

    @property
    def leaders(self) -> list[Process]:
        """The processes that live."""
        return [process for process in self.processes if not process.over]

    def begin_process(self) -> Process:
        """Another scheduler process: it takes the lead and runs, until it ends by itself or is killed."""
        process = Process(f"p{len(self.processes) + 1}")
        self.processes.append(process)
        process.crash_in = self.chances.crash_in()
        self.hub.spawn("main", lambda: self._main(process), process)
        return process

    def kill(self, process: Process, why: str) -> None:
        if not process.over:
            self.tell(f"{process.name} is killed: {why}")
            self.hub.kill(process)

    def registry_goes(self) -> None:
        """No image can be looked at; `images.errors.clear()` has it come back."""
        away = ImageError(ReasonCode.IMAGE_PULL_FAILED, "the registry does not answer, as planned", wait=True)
        self.images.errors["base"] = away

    def wake(self) -> None:
        """A face rings the scheduler."""
        for process in self.leaders:
            scheduler = self._schedulers.get(process)
            if scheduler is not None:
                scheduler.wake()

    def _main(self, process: Process) -> None:
        gate = Gate(self.hub, process, self.chances, self.watcher)
        store = self._connections.open(self.folder / _DATABASE, gate)
        lead = Leadership(store, self.clock, process.name)
        try:
            epoch = lead.wait(Event(self.hub)) if self.elects else store.take_lead(process.name, self.clock.now())  # type: ignore[arg-type]  # the hub's event
            process.epoch = epoch or 0
            self.tell(f"{process.name} leads in epoch {epoch}")
            parts = self._parts(process, store, lead.holds if self.elects else None)
            scheduler = self._schedulers[process] = Scheduler(parts, Epoch(process.epoch), lambda _: None)
            lead.keep(scheduler.fenced)
            scheduler.run()
        except FencedError as fenced:
            self.tell(f"{process.name} is fenced: {fenced.message}")
        except OrchestratorError as error:
            self.tell(f"{process.name} ends: {error.message}")
        finally:
            self._schedulers.pop(process, None)
            try:
                lead.close()
            finally:  # the kernel closes what a process had open, however that ended
                self._connections.give_back(store)
        self.hub.kill(process)

    def _parts(self, process: Process, store: SqlStore, holds: Callable[[], bool] | None) -> Parts:
        """What its scheduler is made of, as the application makes it."""
        limits, logs = self.workload.limits, FileLogStore(self.folder / "logs", holds)
        authoring = FakeAuthoring()
        files = Files({dag.file: ParsedFile(file=dag.file, dags=(dag,)) for dag in self.workload.dags})
        return Parts(
            store=store_of(store, self.hub, process, self.watcher),
            engine=self.engine.connection(process, holds),
            logs=logs_of(logs, self.hub, process, self.chances, self._open_logs),
            artifacts=FileArtifactStore(self.folder / "artifacts", holds or (lambda: True)),
            images=self.images,
            renderer=authoring,
            checker=authoring,
            parser=files,
            settings=Settings(
                tasks=TasksSettings(default_image="base"),
                scheduling=SchedulingSettings(parallelism=limits.parallelism, default_pool_slots=limits.pool),
                engine=EngineSettings(launchers=limits.launchers),
            ),
            site=Site(network="bridge", project="/project", root_path=lambda name: f"/data/{name}"),
            secrets=FakeSecrets(),
            clock=self.clock,
            folder=files,
        )

    def _new_try_id(self) -> TryId:
        self._ids += 1
        return TryId(f"{self.random.getrandbits(32):08x}{self._ids:08x}")

    # --- its way ----------------------------------------------------------------------------------------

    def _supervise(self) -> None:
        """As the parent process does: another one where there is none. Once nothing goes wrong any more, wait for
        the end of everything."""
        calm_since: float | None = None
        while True:
            if not self.leaders and self.restarts:
                self.begin_process()
            self.hub.sleep(_LOOK)
            self._look_at_the_dead()
            if self.chances.on:
                continue
            calm_since = self.hub.now if calm_since is None else calm_since
            left = [*self.watcher.at_rest(), *self._unanswered()]
            names = [each.spec.name for each in self.engine.containers if not self.watcher.is_stray(each)]
            if not left and not names:
                break
            if self.hub.now > calm_since + _CALM:
                self.violated("liveness", f"{_CALM:g} s after all trouble: {'; '.join(left)} {names}")
        self._check_end()
        self._story.check()
        self.hub.finish()

    def _look_at_the_dead(self) -> None:
        for strand in self.hub.died:
            if not isinstance(strand.error, Violation):
                self.violated("defect", f"thread {strand.name} died of {strand.error!r}")

    def _unanswered(self) -> list[str]:
        return [f"a {kind} is not answered" for kind, granted in self.watcher.reader.requests() if granted is None]

    def _check_end(self) -> None:
        """What every task must have come to, where only machines made trouble."""
        rows = self.watcher.rows
        triggered = self.watcher.reader.requests().count((RequestKind.TRIGGER, True))
        if len(rows.runs) != triggered:
            self.violated("I2", f"{triggered} runs were granted, there are {len(rows.runs)}")
        meddled = self.kinds & {Trouble.PEOPLE}
        lost = any(row.outcome == "lost" for row in rows.tries.values())
        timed_out = any(row.stop_requested_at for row in rows.tries.values())
        if meddled or (lost and not self.workload.resilient) or self.watcher.unheard or timed_out:
            return
        for dag in self.workload.dags:
            expected = self.workload.expected(dag)
            for (dag_id, run_id, task_id), task in rows.tasks.items():
                if dag_id == dag.dag_id and (task.state, task.failures) != expected[task_id]:
                    wanted = expected[task_id]
                    found = f"is {task.state} with {task.failures} failures, not {wanted[0]} with {wanted[1]}"
                    self.violated("oracle", f"{dag_id} {run_id} {task_id} {found}")

    def violated(self, rule: str, text: str) -> None:
        self.watcher.fail(rule, text)

    def _end(self) -> None:
        """Let go of everything; what the strands still hold unwinds."""
        for process in self.leaders:
            self.hub.kill(process)
        self.hub.bury_all()
        self._connections.give_back(self.faces)
        for log in self._open_logs:
            log.close()
        self.watcher.reader.close()


def make_template(folder: Path) -> Path:
    """A home with an empty database, to be copied for each history."""
    folder.mkdir()
    upgrade(folder / _DATABASE)
    return folder
