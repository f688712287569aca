"""What services may expect of the database."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from orchestrator.ids import DeploymentId, Epoch, RunKey, TaskKey, TryId, VersionId
from orchestrator.planning.changes import PutGathered, Row
from orchestrator.planning.history import PastRun, Wanted
from orchestrator.planning.rows import (
    Answer,
    AssetEvent,
    Backfill,
    Dag,
    DagVersion,
    Pool,
    Request,
    RequestKind,
    Run,
    Stretch,
    TaskInstance,
    Try,
)
from orchestrator.spec.dag import DagSpec, ParsedFile
from orchestrator.spec.value import Value
from orchestrator.states import RunState


class Snapshot(Value, frozen=True, kw_only=True):
    """All that the world is rebuilt from: DAGs and the versions open runs are pinned to (and the current
    ones), open runs with all their task instances, tries that are open or not fully collected, pools, files."""

    dags: tuple[Dag, ...] = ()
    versions: tuple[DagVersion, ...] = ()
    runs: tuple[Run, ...] = ()
    tasks: tuple[TaskInstance, ...] = ()
    tries: tuple[Try, ...] = ()
    pools: tuple[Pool, ...] = ()
    backfills: tuple[Backfill, ...] = ()
    gathered: tuple[PutGathered, ...] = ()  #: what DAGs have not consumed yet of assets' events
    newest_event: datetime | None = None  #: of all assets
    files: tuple[ParsedFile, ...] = ()  #: as of the last parse, without their DAGs' specs


class Page(Value, frozen=True, kw_only=True):
    """Which runs of a list: newest first, at most `limit`, those after `before`, the last of the page before.
    Runs of one instant (a catch-up makes many) stand in descending order of their ids."""

    limit: int = 25
    before: RunKey | None = None


class FileRecord(Value, frozen=True, kw_only=True):
    """What the last parse of a DAG file gave, for people."""

    parsed: ParsedFile
    parsed_at: datetime


class ImageRecord(Value, frozen=True, kw_only=True):
    """One task image that was built. `size` is bytes; `log` is the build log's path below the home."""

    name: str
    source_hash: str
    tag: str
    image_id: str
    built_at: datetime
    size: int
    log: str


class Led(Value, frozen=True, kw_only=True):
    """Somebody else leads, for as long as `left` at least, by the database's clock, unless it gives the lead up."""

    owner: str
    epoch: Epoch
    left: timedelta


class Standby(Value, frozen=True, kw_only=True):
    """A scheduler that waits for the lead; `seen_at` by the database's clock."""

    owner: str
    since: datetime
    seen_at: datetime


class Leading(Value, frozen=True, kw_only=True):
    """Who has the lead, or had it last. `left`: how long it has it still if it says nothing more, by the
    database's clock, not above zero where the lead is free; None: as long as its process holds the home's lock."""

    epoch: Epoch
    owner: str
    taken_at: datetime | None
    left: timedelta | None
    standbys: tuple[Standby, ...] = ()


class Store(Protocol):
    """The database. One thread writes through `write`; reads, requests and image records may come from any
    thread or process.

    Raises `StoreUnavailableError` where it cannot be reached (the outcome of a running commit is then
    unknown), `SchemaError` where its schema is not this program's."""

    def deployment(self) -> DeploymentId: ...

    def probe(self) -> None:
        """Raises where nothing can be written to the database now; writes nothing."""

    def take_lead(self, owner: str, at: datetime) -> Epoch:
        """Become the leader: a committed epoch greater than all before. `SchedulerRunningError` where another
        live process holds this home."""

    def bid(self, owner: str, at: datetime, lasts: timedelta) -> Epoch | Led:
        """Become the leader if the lead is free: a committed epoch greater than all before, which nobody takes
        away for as long as `lasts`, by the database's clock, from now or from the newest `renew`. Waits for what
        the one before is writing. Where a home has one scheduler at most, its lock decides and nothing expires.
        `SchedulerRunningError` where another live process holds that, `SchemaError` where the schema was changed
        since this store was opened."""

    def led(self) -> Led | None:
        """Who leads now; None where the lead is free, or nothing but a lock could tell. Waits for nobody."""

    def renew(self, epoch: Epoch, lasts: timedelta) -> None:
        """Lead for `lasts` from now on, also where the time was up and nobody has taken the lead; any thread, and
        never behind a `write`. `FencedError` where somebody has."""

    def give_up(self, epoch: Epoch) -> None:
        """Have the lead be free at once; nothing happens where somebody else has it."""

    def stand_by(self, owner: str, since: datetime) -> None:
        """Be told of as waiting for the lead, for half a minute."""

    def stand_down(self, owner: str) -> None:
        """Be told of no more; a `bid` that wins does it too."""

    def leading(self) -> Leading:
        """What there is to say of the lead."""

    def epoch(self) -> Epoch:
        """The epoch in force, read now from the database; any thread."""

    def load(self) -> Snapshot: ...

    def write(self, epoch: Epoch, rows: Sequence[Row]) -> None:
        """All rows in one transaction, or none. `FencedError` where `epoch` is no longer in force;
        `StoreConflictError`, its `key` naming the row, where a guarded move meets another state than its
        `before` or the database refuses a row."""

    def ask(self, kind: RequestKind, payload: dict[str, Any], actor: str, at: datetime) -> Request:
        """Insert a request; any process."""

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, from a thread of the store's own, after any process, on any machine, has asked; until
        `close`. A database that cannot tell of it never calls, and none can promise it: look from time to time."""

    def unanswered(self) -> tuple[Request, ...]: ...

    def answer(self, request_id: int) -> Answer | None:
        """The outcome of a request, None while there is none."""

    def record_image(self, image: ImageRecord) -> None:
        """Insert or replace the record of an image's tag, in a transaction of its own."""

    def images(self) -> tuple[ImageRecord, ...]:
        """Every recorded image, newest first."""

    # read side -----------------------------------------------------------------------------------------

    def dags(self) -> tuple[Dag, ...]: ...

    def dag(self, dag_id: str) -> Dag | None: ...

    def version(self, dag_id: str, version: VersionId) -> DagSpec | None: ...

    def files(self) -> tuple[FileRecord, ...]: ...

    def runs(self, dag_id: str | None, page: Page, states: Sequence[RunState] = ()) -> tuple[Run, ...]:
        """A page of runs, of one DAG or all, in these states or any. `NotFoundError` for an unknown
        `page.before`."""

    def run(self, key: RunKey) -> Run | None: ...

    def tasks(self, run: RunKey) -> tuple[TaskInstance, ...]: ...

    def tries(self, task: TaskKey) -> tuple[Try, ...]: ...

    def tries_of_run(self, run: RunKey) -> tuple[Try, ...]:
        """Of all its task instances, in order of their keys and numbers."""

    def attempt(self, try_id: TryId) -> Try | None: ...

    def result(self, task: TaskKey) -> bytes | None: ...

    def results(self, run: RunKey, task_id: str, place: int | None = None) -> tuple[bytes, ...]:
        """The results of a mapped task's instances, in order, without those that are null; with `place` that one of
        them alone (none where there are not so many)."""

    def result_count(self, run: RunKey, task_id: str) -> int:
        """How many `results` there are."""

    def last_success(self, dag_id: str, before: datetime) -> Run | None:
        """The newest successful run with a logical date before that instant."""

    def runs_between(self, dag_id: str, start: datetime, end: datetime) -> tuple[Run, ...]:
        """The runs with a logical date in `[start, end)`, the newest made first, at most 100."""

    def backfills(self, limit: int) -> tuple[Backfill, ...]:
        """The newest backfills, the newest first."""

    def backfill(self, number: int) -> Backfill | None: ...

    def backfill_runs(self, number: int) -> dict[RunState, int]:
        """How many runs of a backfill are in which state."""

    def asset_events(self, asset: str | None, limit: int) -> tuple[AssetEvent, ...]:
        """The newest events of an asset, or of all, the newest first."""

    def events_in(self, stretches: Mapping[str, Stretch], limit: int, size: int) -> tuple[AssetEvent, ...]:
        """The events in these stretches, by asset: of each the newest `limit`, as far as their extras have no more
        than `size` bytes together; the oldest first."""

    def gathered(self) -> tuple[PutGathered, ...]:
        """What DAGs have not consumed yet of assets' events."""

    def late(self, dag_id: str | None, limit: int) -> tuple[Run | TaskInstance, ...]:
        """What was still open at its deadline, of one DAG or all, the latest deadline first."""

    def reusable(self, dag_id: str, task_id: str, key: str | None) -> Try | None:
        """The newest try of a task, in any run, that ran and succeeded with this cache key (None: with any) and
        whose result still is that of its task instance."""

    def pools(self) -> tuple[Pool, ...]:
        """Every pool that was made, by name."""

    def past_runs(self, wanted: Wanted) -> tuple[PastRun, ...]:
        """Whole runs, open or ended, the earliest logical date first."""

    def close(self) -> None: ...
