"""A whole scheduler over a fake engine and a store in memory, in as many lives as a test wants."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.artifacts.store import FileArtifactStore
from orchestrator.clock import Clock, SystemClock
from orchestrator.ids import DeploymentId, RunKey, TaskKey, TryId
from orchestrator.planning.events import FileParsed
from orchestrator.planning.rows import Request, RequestKind, Try, TryOutcome
from orchestrator.ports import ArtifactStore, Engine, Folder, LogFlag, LogStore, Page, Store, Stream
from orchestrator.queries import Queries, RunView
from orchestrator.scheduler.attempts import OpenAttempts
from orchestrator.scheduler.notices import Notice
from orchestrator.scheduler.scheduler import Parts, Scheduler
from orchestrator.scheduler.vigil import Vigil
from orchestrator.settings import SchedulingSettings, Settings, TasksSettings
from orchestrator.spec.container import ContainerSpec, EngineEventKind
from orchestrator.spec.dag import ContainerTemplate, DagSpec, ParsedFile, RetryPolicy, TaskSpec
from orchestrator.spec.finalize import Site
from orchestrator.states import RunState, TaskState
from orchestrator.store.sql_store import SqlStore
from orchestrator.tasklogs.store import FileLogStore
from orchestrator.testing.fake_authoring import FakeAuthoring
from orchestrator.testing.fake_container import FakeContainer
from orchestrator.testing.fake_engine import FakeEngine
from orchestrator.testing.fake_images import FakeImages
from orchestrator.testing.fake_secrets import FakeSecrets
from orchestrator.testing.lives import Life, mortal, mortal_engine
from orchestrator.testing.programs import Program

DEPLOYMENT = DeploymentId("0123abcd")
SOON = 20.0
PAGE = Page(limit=5)
_LOOK = 0.02
RESULT_LIMIT = 200
RESULT = "$RESULT"
SITE = Site(network="bridge", project="/project", root_path=lambda name: f"/data/{name}")
_SETTINGS = Settings(
    tasks=TasksSettings(default_image="base", result_limit=RESULT_LIMIT),
    scheduling=SchedulingSettings(parallelism=8),
)


def task(task_id: str, *upstream: str, **fields: Any) -> TaskSpec:
    container = ContainerTemplate(image=fields.pop("image", "base"))
    return TaskSpec(task_id=task_id, upstream=upstream, container=fields.pop("container", container), **fields)


def retries(count: int, **fields: Any) -> RetryPolicy:
    return RetryPolicy(retries=count, delay=fields.pop("delay", RetryPolicy().delay * 0), **fields)


def dag(*tasks: TaskSpec, dag_id: str = "d") -> DagSpec:
    return DagSpec(dag_id=dag_id, file=f"{dag_id}.py", tasks=tasks, paused_on_creation=True)


def templated(command: str) -> ContainerTemplate:
    return ContainerTemplate(image="base", command=command)


def with_files() -> ContainerTemplate:
    """One that has something to be copied in."""
    return ContainerTemplate(image="base", inputs={"/in/a.txt": "text"})


class Script:
    """What each task's containers do: one program for all tries, or one for each, or whatever is given when one is
    made. A file `RESULT` is the result file, wherever the container has it."""

    def __init__(self) -> None:
        self.programs: dict[str, Program | list[Program] | Callable[[], Program]] = {}

    def __call__(self, spec: ContainerSpec) -> Program:
        number = int(spec.labels.get("orchestrator.try_number", 1))
        said = self.programs.get(spec.labels.get("orchestrator.task_id", ""), Program())
        program = said[min(number, len(said)) - 1] if isinstance(said, list) else said() if callable(said) else said
        files = {str(spec.result_path) if path == RESULT else path: data for path, data in program.files.items()}
        return msgspec.structs.replace(program, files=files)


class Heard:
    """All notices of all lives; a test waits on them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.notices: list[Notice] = []
        self.breaks = False  #: whether hearing raises

    def __call__(self, notice: Notice) -> None:
        if self.breaks:
            raise BrokenPipeError("nobody reads")
        with self._changed:
            self.notices.append(notice)
            self._changed.notify_all()

    def wait_for(
        self, condition: Callable[[], bool], what: str, told: Callable[[], str] = str, *, patience: float = SOON
    ) -> None:
        """Until the condition holds, looked at with each notice, and now and then: not everything is told."""
        clock = SystemClock()
        until = clock.monotonic() + patience
        with self._changed:
            while not condition():
                assert clock.monotonic() < until, f"waited in vain for {what}: {told()}"
                self._changed.wait(_LOOK)


@dataclass(slots=True)
class Running:
    """One life of a scheduler."""

    scheduler: Scheduler
    life: Life
    thread: threading.Thread
    error: list[BaseException]

    def end(self) -> None:
        """In order."""
        self.scheduler.quit()
        self.thread.join(SOON)
        assert not self.thread.is_alive()

    def kill(self) -> None:
        """As `kill -9` does."""
        self.life.kill()
        self.scheduler.wake()
        self.thread.join(SOON)
        assert not self.thread.is_alive()


class Stage:
    """What outlives a scheduler: the engine, the store, the logs."""

    def __init__(self, folder: Path, clock: Clock | None = None, **engine: Any) -> None:
        self.clock = clock or SystemClock()
        self.script = Script()
        self.engine = FakeEngine(self.clock, self.script, **engine)
        self.store = SqlStore.in_memory(DEPLOYMENT)
        self.logs: LogStore = FileLogStore(folder / "logs")
        self.artifacts: ArtifactStore = FileArtifactStore(folder / "artifacts")
        self.images = FakeImages()
        self.authoring = FakeAuthoring()
        self.secrets = FakeSecrets()
        self.heard = Heard()
        self.lives: list[Running] = []
        self.folder: Folder | None = None
        self.settings = _SETTINGS
        self.site = SITE
        self.wrap_store: Callable[[Store], Store] = lambda store: store

    def with_settings(self, **sections: Any) -> Settings:
        return msgspec.structs.replace(self.settings, **sections)

    # --- lives ------------------------------------------------------------------------------------------

    def begin(self, life: Life | None = None) -> Running:
        """Start a scheduler; `life` says where it is to stand still, or to end."""
        life = life or Life()
        store = mortal(self.wrap_store(self.store), life)
        parts = self.parts(store, mortal_engine(self.engine, life))
        scheduler = Scheduler(parts, self.store.take_lead("a test", self.clock.now()), self.heard)
        error: list[BaseException] = []

        def run() -> None:
            try:
                scheduler.run()
            except Exception as raised:  # noqa: BLE001 - for the test to look at
                error.append(raised)

        thread = threading.Thread(target=run, name="loop", daemon=True)
        running = Running(scheduler, life, thread, error)
        self.lives.append(running)
        thread.start()
        return running

    def parts(self, store: Store, engine: Engine) -> Parts:
        """What a scheduler here is made of."""
        return Parts(
            store=store,
            engine=engine,
            logs=self.logs,
            artifacts=self.artifacts,
            images=self.images,
            renderer=self.authoring,
            checker=self.authoring,
            parser=self.authoring,
            settings=self.settings,
            site=self.site,
            secrets=self.secrets,
            clock=self.clock,
            folder=self.folder,
        )

    def close(self) -> None:
        for running in self.lives:
            if running.thread.is_alive():
                running.kill() if running.error else running.end()
        self.engine.close()
        self.store.close()

    # --- what people do ---------------------------------------------------------------------------------

    @property
    def scheduler(self) -> Scheduler:
        return self.lives[-1].scheduler

    @property
    def attempts(self) -> OpenAttempts:
        """The tries that are open in the newest life."""
        return self.scheduler._containers._attempts

    @property
    def vigil(self) -> Vigil:
        """Which time counts for the newest life."""
        return self.scheduler._containers._vigil

    def define(self, spec: DagSpec) -> None:
        self.scheduler.post(FileParsed(parsed=ParsedFile(file=spec.file, dags=(spec,))))

    def ask(self, kind: RequestKind, **payload: Any) -> Request:
        request = self.store.ask(kind, payload, "a test", self.clock.now())
        self.scheduler.wake()
        return request

    def trigger(self, spec: DagSpec) -> RunKey:
        """Define the DAG and have it run once; returns when the run is there."""
        self.define(spec)
        request = self.ask(RequestKind.TRIGGER, dag_id=spec.dag_id)
        self.heard.wait_for(lambda: self.store.answer(request.id) is not None, "the answer")
        answer = self.store.answer(request.id)
        assert answer is not None
        assert answer.ok, answer.error
        return RunKey(answer.data["dag_id"], answer.data["run_id"])

    def cancel(self, run: RunKey) -> None:
        self.ask(RequestKind.CANCEL, dag_id=run.dag_id, run_id=run.run_id)

    # --- what can be seen -------------------------------------------------------------------------------

    def view(self, run: RunKey) -> RunView:
        return Queries(self.store, self.logs).run(run)

    def wait(self, run: RunKey) -> RunView:
        """Until the run has ended and nothing of it is to be tidied."""
        self.heard.wait_for(lambda: self._is_over(run), f"the end of {run}", lambda: self._told(run))
        return self.view(run)

    def wait_state(self, run: RunKey, task_id: str, state: TaskState) -> None:
        def there() -> bool:
            return any(each.key.task_id == task_id and each.state is state for each in self.store.tasks(run))

        self.heard.wait_for(there, f"{task_id} to be {state}")

    def wait_open(self, run: RunKey, task_id: str) -> Try:
        """Until a task has a try."""
        self.heard.wait_for(lambda: bool(self._tries(run, task_id)), f"a try of {task_id}")
        return self._tries(run, task_id)[-1]

    def container(self, task_id: str) -> FakeContainer:
        """The only container that there is of a task."""
        (found,) = self.containers(task_id)
        return found

    def containers(self, task_id: str) -> list[FakeContainer]:
        return [each for each in self.engine.containers if each.spec.labels.get("orchestrator.task_id") == task_id]

    def starts(self) -> Counter[TryId]:
        """How often the containers of each try were started."""
        return Counter(
            TryId(event.labels["orchestrator.try_id"])
            for event in self.engine.board.happened
            if event.kind is EngineEventKind.START
        )

    def ends(self, task_id: str) -> int:
        """How many containers of a task have ended."""
        died = [event for event in self.engine.board.happened if event.kind is EngineEventKind.DIE]
        return sum(event.labels["orchestrator.task_id"] == task_id for event in died)

    def creations(self, task_id: str) -> int:
        """How many containers a task got."""
        created = [event for event in self.engine.board.happened if event.kind is EngineEventKind.CREATE]
        return sum(event.labels["orchestrator.task_id"] == task_id for event in created)

    def log(self, attempt: Try) -> bytes:
        records = self.logs.records(attempt.key)
        return b"".join(
            each.data for each in records if each.stream is Stream.STDOUT and LogFlag.SYSTEM not in each.flags
        )

    def check_end(self, view: RunView, expected: Mapping[str, TaskState] | None = None) -> None:
        """What holds after every run: one start for each try at most, nothing left over."""
        assert self.engine.containers == ()
        assert all(count == 1 for count in self.starts().values())
        assert {each.removed_at is not None for each in view.tries} <= {True}
        for attempt in view.tries:
            if attempt.outcome is TryOutcome.SUCCESS:
                assert self.starts()[attempt.try_id] == 1
                assert attempt.log_complete
        if expected is not None:
            assert {each.key.task_id: each.state for each in view.tasks} == expected
        if all(each.state is TaskState.SUCCESS for each in view.tasks):
            assert view.run.state is RunState.SUCCESS

    def check_running(self, spec: DagSpec) -> None:
        """The scheduler is well: a run of another DAG succeeds."""
        view = self.wait(self.trigger(spec))
        assert view.run.state is RunState.SUCCESS

    def _is_over(self, run: RunKey) -> bool:
        found = self.store.run(run)
        return found is not None and found.state.final and all(each.removed_at for each in self.view(run).tries)

    def _tries(self, run: RunKey, task_id: str) -> tuple[Try, ...]:
        return self.store.tries(TaskKey(run.dag_id, run.run_id, task_id))

    def _told(self, run: RunKey) -> str:
        tasks = ", ".join(f"{each.key.task_id} {each.state}" for each in self.store.tasks(run))
        calls = " ".join(call.verb for call in self.engine.calls.all)
        happened = " ".join(event.kind for event in self.engine.board.happened)
        return f"{tasks}\ncalls: {calls}\nevents: {happened}\nopen: {self.attempts.all()}"


def try_container(attempt: Try, *, name: str | None = None, try_id: str | None = None) -> ContainerSpec:
    """The container of a try, or one like it."""
    labels = attempt.spec.labels | ({} if try_id is None else {"orchestrator.try_id": try_id})
    return msgspec.structs.replace(attempt.spec, name=name or attempt.spec.name, labels=labels)


@contextmanager
def staged(folder: Path, clock: Clock | None = None, **engine: Any) -> Iterator[Stage]:
    stage = Stage(folder, clock, **engine)
    try:
        yield stage
    finally:
        stage.close()
