"""What `decide` wants done, as values. `Put...` and `Answered` are written by the Store in one transaction
and applied to the world after the commit; the others are effects, sent out after the commit."""

from datetime import datetime

from orchestrator.ids import RunKey, TaskKey, TryKey
from orchestrator.planning.history import Asker, Before, Wanted
from orchestrator.planning.lapses import Sparing
from orchestrator.planning.rows import (
    Answer,
    AssetEvent,
    Backfill,
    CacheFacts,
    Dag,
    DagVersion,
    Pool,
    Request,
    Result,
    Run,
    Stretch,
    TaskInstance,
    Try,
)
from orchestrator.spec.container import ContainerSpec, EngineCapacity
from orchestrator.spec.dag import ParsedFile, TaskSpec
from orchestrator.spec.value import Value

# --- rows ---------------------------------------------------------------------------------------------


class PutFile(Value, frozen=True, kw_only=True):
    """Record what a parse of a DAG file gave (its problems too), or with `gone`, that it is no more."""

    parsed: ParsedFile
    at: datetime
    gone: bool = False


class PutDag(Value, frozen=True, kw_only=True):
    """Insert or replace a DAG's row."""

    dag: Dag


class PutVersion(Value, frozen=True, kw_only=True):
    """Insert a DAG version; the same version again is nothing new."""

    version: DagVersion


class PutRun(Value, frozen=True, kw_only=True):
    """Insert a run (`before` None), or move it on from exactly `before`."""

    run: Run
    before: Run | None


class PutTask(Value, frozen=True, kw_only=True):
    """Insert a task instance (`before` None), or move it on from exactly `before`'s state."""

    task: TaskInstance
    before: TaskInstance | None


class PutTry(Value, frozen=True, kw_only=True):
    """Insert a try (`before` None: the intent), or move it on."""

    attempt: Try
    before: Try | None


class DropTry(Value, frozen=True, kw_only=True):
    """Remove a sensor's look that found nothing, since the next one takes its place."""

    key: TryKey


class PutResult(Value, frozen=True, kw_only=True):
    """Insert or replace a task instance's result."""

    result: Result


class DropResult(Value, frozen=True, kw_only=True):
    """Remove a task instance's result, if there is one: it is to run again, or is something else now."""

    key: TaskKey


class PutAssetEvent(Value, frozen=True, kw_only=True):
    """Insert an asset's event."""

    event: AssetEvent


class PutGathered(Value, frozen=True, kw_only=True):
    """Insert or replace what a DAG has not consumed yet of an asset's events; None: nothing any more."""

    dag_id: str
    asset: str
    events: Stretch | None


class PutBackfill(Value, frozen=True, kw_only=True):
    """Insert or replace a backfill."""

    backfill: Backfill


class PutPool(Value, frozen=True, kw_only=True):
    """Insert or replace a pool."""

    pool: Pool


class DropPool(Value, frozen=True, kw_only=True):
    """Remove a pool."""

    name: str


class Answered(Value, frozen=True, kw_only=True):
    """Write a request's outcome; whoever waits is woken after the commit."""

    request: Request
    answer: Answer
    at: datetime


# --- in memory only -----------------------------------------------------------------------------------


class Readied(Value, frozen=True, kw_only=True):
    """A queued task instance's next container is decided; it now waits for its turn under the limits."""

    task: TaskKey
    spec: ContainerSpec
    at: datetime
    cache: CacheFacts | None = None


class Sized(Value, frozen=True, kw_only=True):
    """The engine has told how much it has."""

    capacity: EngineCapacity


class Spared(Value, frozen=True, kw_only=True):
    """What time-outs are to be spared from now on."""

    sparing: Sparing


class Recall(Value, frozen=True, kw_only=True):
    """Take an ended run back into the world, as the database has it: something is to be changed in it."""

    run: Run
    tasks: tuple[TaskInstance, ...]
    versions: tuple[DagVersion, ...]  #: the one it is pinned to


class Learnt(Value, frozen=True, kw_only=True):
    """It is known which run came before this one."""

    run: RunKey
    before: Before


# --- effects ------------------------------------------------------------------------------------------


class PinImages(Value, frozen=True, kw_only=True):
    """Look up what these image names mean now; answered by `ImagesPinned`."""

    run: RunKey
    images: tuple[str, ...]


class Prepare(Value, frozen=True, kw_only=True):
    """Render (if needed) and get the image; answered by `Prepared` or `PrepareFailed`. A task without a
    container is rendered only: `ControlPrepared`."""

    run: Run
    task: TaskInstance
    spec: TaskSpec
    number: int


class Launch(Value, frozen=True, kw_only=True):
    """Create and start the container of a committed intent."""

    attempt: Try


class Stop(Value, frozen=True, kw_only=True):
    """Signal the try's container, then kill it after its grace; answered by `Exited`."""

    attempt: Try


class LookBack(Value, frozen=True, kw_only=True):
    """Ask the database of runs that may have ended; answered by `Seen`. The answer tells of what was committed
    up to the turn that asked, or later."""

    asker: Asker
    wanted: Wanted


class Collect(Value, frozen=True, kw_only=True):
    """After the outcome: read the log to its end, remove the container; answered by `Collected`."""

    attempt: Try


Row = (
    PutFile
    | PutDag
    | PutVersion
    | PutRun
    | PutTask
    | DropTry
    | PutTry
    | DropResult
    | PutResult
    | PutPool
    | PutBackfill
    | PutAssetEvent
    | PutGathered
    | DropPool
    | Answered
)
Effect = PinImages | Prepare | Launch | Stop | Collect | LookBack
Change = Row | Readied | Recall | Sized | Spared | Learnt | Effect
