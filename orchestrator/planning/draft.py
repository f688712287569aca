"""The overlay on which a turn is decided: a fork of the world that sees each change as soon as it is decided,
while the world itself stays as it is until the commit.
"""

from collections.abc import Iterator
from datetime import datetime

from orchestrator.ids import DeploymentId, Epoch, RunKey, TaskKey, TryId
from orchestrator.planning.changes import Change, PutRun, PutTask, PutTry
from orchestrator.planning.rows import Reason, Run, TaskInstance, Try
from orchestrator.planning.world import World
from orchestrator.spec.dag import ScheduleMode
from orchestrator.spec.value import Value


class PlanSettings(Value, frozen=True, kw_only=True):
    """What planning takes from the settings and from the leadership it acts under."""

    epoch: Epoch
    deployment: DeploymentId
    parallelism: int = 32
    default_pool_slots: int = 128
    catchup_by_default: bool = False
    paused_on_creation: bool = True
    rerun_recorded: bool = False  #: what is cleared keeps the version and images it had, unless told otherwise
    infrastructure_retries: int = 3  #: of tasks that do not say
    engine_cpus: float = 0.0  #: cores that limits may add up to; 0: as many as the engine has
    engine_memory: int = 0  #: bytes, likewise
    bare_schedule: ScheduleMode = ScheduleMode.INTERVAL
    alone: bool = False  #: there is one DAG and one run of it: no other to wait for, none to make
    unattended: bool = False  #: nobody can be asked


class Draft:
    """The changes of one turn so far, and the world as it will be after them."""

    def __init__(self, world: World, now: datetime, ids: Iterator[TryId], settings: PlanSettings) -> None:
        self.world = world.fork()
        self.now = now
        self.settings = settings
        self.changes: list[Change] = []
        self._heard = 0
        self._ids = ids
        self._stirred: dict[str, None] = {}
        self._shrunk: dict[int, None] = {}
        self._condemned: dict[RunKey, Reason] = {}
        self._updated: list[tuple[TaskKey, str]] = []

    def do(self, change: Change) -> None:
        """Decide one more change."""
        self.changes.append(change)
        self.world.apply((change,))

    def put_task(self, task: TaskInstance) -> None:
        self.do(PutTask(task=task, before=self.world.tasks.get(task.key)))

    def put_run(self, run: Run) -> None:
        self.do(PutRun(run=run, before=self.world.runs.get(run.key)))

    def put_try(self, attempt: Try) -> None:
        self.do(PutTry(attempt=attempt, before=self.world.tries.get(attempt.try_id)))

    def next_id(self) -> TryId:
        return next(self._ids)

    def news(self) -> list[Change]:
        """The changes since this was last asked."""
        new = self.changes[self._heard :]
        self._heard = len(self.changes)
        return new

    def condemn(self, run: RunKey, reason: Reason) -> None:
        """Have a run fail once the events of the turn are taken in; the first reason counts."""
        self._condemned.setdefault(run, reason)

    def condemned(self) -> Iterator[tuple[RunKey, Reason]]:
        """The runs to fail since they were last looked at, until there are none."""
        while self._condemned:
            run = next(iter(self._condemned))
            yield run, self._condemned.pop(run)

    def update(self, task: TaskKey) -> None:
        """A task instance has succeeded, and its assets are updated with it."""
        self._updated += [(task, asset.name) for asset in self.world.task_spec(task).outlets]

    def updated(self) -> Iterator[tuple[TaskKey, str]]:
        """The assets that tasks updated since this was last looked at, until there are none."""
        while self._updated:
            yield self._updated.pop(0)

    def stir(self, dag_id: str) -> None:
        """Runs of this DAG that are held back may be able to start."""
        self._stirred[dag_id] = None

    def shrink(self, backfill: int) -> None:
        """A run of this backfill has ended: it may go on."""
        self._shrunk[backfill] = None

    def shrunk(self) -> Iterator[int]:
        """The backfills of which runs ended since they were last looked at, until there are none."""
        while self._shrunk:
            backfill = next(iter(self._shrunk))
            del self._shrunk[backfill]
            yield backfill

    def stirred(self) -> Iterator[str]:
        """The DAGs stirred since they were last looked at, until there are none."""
        while self._stirred:
            dag_id = next(iter(self._stirred))
            del self._stirred[dag_id]
            yield dag_id
