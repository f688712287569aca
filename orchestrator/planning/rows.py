"""The values the world is made of; the Store keeps one row for each. Instants are aware UTC."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from orchestrator.ids import ContainerId, Epoch, RunKey, TaskKey, TryId, TryKey, VersionId
from orchestrator.planning.awaits import Awaits
from orchestrator.spec.container import ContainerSpec, ExitFacts
from orchestrator.spec.dag import DagSpec
from orchestrator.spec.interval import Interval as Interval
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode, Reprocess, RunState, RunType, TaskState


class Reason(Value, frozen=True, kw_only=True):
    """A machine-readable code and one human sentence."""

    code: ReasonCode
    text: str = ""


class Dag(Value, frozen=True, kw_only=True):
    """A DAG as the deployment knows it now. `last` is the newest interval that got a scheduled run; `since`, when
    the DAG was first seen, counts where it has no start date (None: seen before this was kept). `held`: nothing new
    starts in its open runs either. `failed_in_row` counts the runs that failed one after the other, where that is
    limited; `pause_reason` is there where nobody paused it. `filled` are logical dates, in order, that the schedule
    comes to yet, and that have a run by a backfill."""

    dag_id: str
    version: VersionId
    file: str
    paused: bool
    active: bool = True  #: its file is there and sound
    last: Interval | None = None
    since: datetime | None = None
    held: bool = False
    failed_in_row: int = 0
    pause_reason: Reason | None = None
    filled: tuple[datetime, ...] = ()


class DagVersion(Value, frozen=True, kw_only=True):
    """An immutable serialized DAG; `version` is the hash of its canonical bytes."""

    dag_id: str
    version: VersionId
    spec: DagSpec
    created_at: datetime


class Stretch(Value, frozen=True, kw_only=True):
    """The events of one asset from the instant `first` to `last`, both included; `count` of them."""

    first: datetime
    last: datetime
    count: int = 1


class Run(Value, frozen=True, kw_only=True):
    """One DAG run, pinned to one DAG version; `images` pins each image name as written to what it meant
    when the run was created (None: not looked up yet)."""

    key: RunKey
    run_type: RunType
    state: RunState
    version: VersionId
    interval: Interval
    conf: dict[str, Any] = {}
    note: str | None = None
    actor: str = "scheduler"
    images: dict[str, str] | None = None
    reason: Reason | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cleared_at: datetime | None = None  #: when somebody last had some of it run again
    backfill: int | None = None  #: the backfill that it is made for
    free_of_past: bool = False  #: it does not wait for earlier runs, whatever its tasks say
    triggered_by: TaskKey | None = None  #: the task that had it made
    consumed: dict[str, Stretch] = {}  #: the events of assets that it was made for, by the asset's name
    deadline_missed_at: datetime | None = None  #: when it was still open at its deadline


def run_id(run_type: RunType, instant: datetime) -> str:
    """`scheduled__2013-01-01T00:00:00+00:00`: what made a run, and the instant that tells it from others."""
    return f"{run_type}__{instant.isoformat()}"


def instant_of(key: RunKey) -> datetime | None:
    """The inverse of `run_id`; None where a run has a name of its own."""
    try:
        found = datetime.fromisoformat(key.run_id.partition("__")[2])
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


class TaskInstance(Value, frozen=True, kw_only=True):
    """One task (and map index) in one run. `tries` numbers its newest try; `failures` are tries that spent
    `retries`, `losses` those that spent the infrastructure budget; `due_at` ends a retry delay. `sizes` tells how
    many elements its result has, where something is mapped over it (`spec.mapping.sizes_of`); `skips` are the tasks
    after it that its choice rules out (`planning.choices`). Of a sensor, `pokes` are the looks of its newest try
    that found nothing, and `since` is when the first of all was intended. `target` is what somebody wants it to be
    once its open try has ended. `awaits` is what one without a container waits for outside of its run, or waited
    for; `due_at` ends the wait. `label` is what an instance of a mapped task is called, once it was prepared."""

    key: TaskKey
    state: TaskState = TaskState.WAITING
    tries: int = 0
    failures: int = 0
    losses: int = 0
    reason: Reason | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    due_at: datetime | None = None
    sizes: dict[str, int] = {}
    skips: tuple[str, ...] = ()
    pokes: int = 0
    since: datetime | None = None
    target: TaskState | None = None
    awaits: Awaits | None = None
    label: str = ""
    deadline_missed_at: datetime | None = None  #: when it was still open at its deadline

    @property
    def next_number(self) -> int:
        """The number of the try that its next container belongs to."""
        return self.tries if self.pokes else self.tries + 1


class TryOutcome(StrEnum):
    """How a try ended. `lost`: infrastructure, not the task; `not_ready`: a sensor looks again later, in the same
    try."""

    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    LOST = "lost"
    NOT_READY = "not_ready"


class Try(Value, frozen=True, kw_only=True):
    """One attempt, written before its container is created and never rewritten by a later life. `look` counts the
    containers that a sensor's try has had, this one included. `cache_parts` are the hashes of what its result
    depends on, `cache_key` that of all of them, where its task has a cache (`spec.caching`); `note` is what else
    a reader should know. `kill_at` is when the grace ends that its stop signal began: whoever leads then kills what
    still runs.

    `outcome` None: still open. `log_complete` and `removed_at` tell how far the collecting after the
    outcome went; a try with an outcome and no `removed_at` still owns a container or a log to finish."""

    key: TryKey
    try_id: TryId
    epoch: Epoch  #: of the leader that wrote the intent
    spec: ContainerSpec
    intended_at: datetime
    look: int = 1
    container_id: ContainerId | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    exit: ExitFacts | None = None
    outcome: TryOutcome | None = None
    reason: Reason | None = None
    stop_requested_at: datetime | None = None
    stop_reason: Reason | None = None
    kill_at: datetime | None = None
    adopted: int = 0  #: how often a later scheduler process took it over
    log_complete: bool = False
    removed_at: datetime | None = None
    cache_key: str | None = None
    cache_parts: dict[str, str] = {}
    note: str = ""


class Reused(Value, frozen=True, kw_only=True):
    """An earlier try whose result and outputs stand for those of a new one. `result` is JSON bytes, or None."""

    attempt: TryKey
    result: bytes | None = None


class CacheFacts(Value, frozen=True, kw_only=True):
    """What the cache of a task says of its next try: columns of the `Try`, and which earlier one it need not
    repeat."""

    key: str
    parts: dict[str, str]
    note: str = ""
    reused: Reused | None = None


class Result(Value, frozen=True, kw_only=True):
    """The JSON value (encoded) a try handed downstream."""

    key: TaskKey
    data: bytes
    created_at: datetime


class AssetEvent(Value, frozen=True, kw_only=True):
    """An asset was updated. No two events of a deployment have the same `at`: where the clock says it again, or
    less, it is a microsecond more than the last. `extra` is JSON: the task's result, or what somebody gave."""

    asset: str
    at: datetime
    extra: bytes = b"null"
    source: TaskKey | None = None  #: the task that did it; None: somebody told of it
    actor: str = "scheduler"


class Pending(Value, frozen=True, kw_only=True):
    """An interval `[date, end)` that a backfill comes to."""

    date: datetime
    end: datetime


class Backfill(Value, frozen=True, kw_only=True):
    """Runs of a DAG for the logical dates from `start` to `end`, `max_active_runs` at a time. `pending` are those
    to come, in order, of `total`; `ended_at` is set when the last one has ended. `id` is that of its request.
    `as_run`: those that are there keep the version and images they had, where they run again."""

    id: int
    dag_id: str
    start: datetime
    end: datetime
    reprocess: Reprocess
    backwards: bool
    max_active_runs: int
    conf: dict[str, Any] = {}
    actor: str
    created_at: datetime
    pending: tuple[Pending, ...]
    total: int
    paused: bool = False
    cancelled_by: str | None = None
    ended_at: datetime | None = None
    as_run: bool = False


class Pool(Value, frozen=True, kw_only=True):
    """A named number of slots that tasks share."""

    name: str
    slots: int


class RequestKind(StrEnum):
    """What a face may ask of the leader."""

    TRIGGER = "trigger"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    CANCEL = "cancel"
    SET_POOL = "set_pool"
    DROP_POOL = "drop_pool"
    CLEAR = "clear"
    MARK = "mark"
    KILL = "kill"
    BACKFILL = "backfill"
    CHANGE_BACKFILL = "change_backfill"
    APPROVE = "approve"
    EMIT = "emit"


class Request(Value, frozen=True, kw_only=True):
    """What a face asks of the leader. `payload` by kind: TRIGGER {dag_id, logical_date?: ISO 8601 text,
    conf?, note?}; PAUSE {dag_id, hold?}, UNPAUSE {dag_id}; CANCEL {dag_id, run_id, teardowns?}; SET_POOL {name,
    slots}, DROP_POOL {name}; CLEAR {selection, as_run?}, MARK {selection, state}, KILL {selection}, where
    `selection` is a `planning.selection.Selection`; APPROVE {dag_id, run_id, task_id, map_index?,
    decision: approve or reject, note?, params?}; BACKFILL as `planning.backfills.Asked`, CHANGE_BACKFILL {id,
    to: paused, running or cancelled}; EMIT {asset, extra?: any JSON}. `id` is given by the Store."""

    id: int
    kind: RequestKind
    payload: dict[str, Any]
    actor: str
    created_at: datetime


class Answer(Value, frozen=True, kw_only=True):
    """The leader's answer: `error` says why nothing was done; `data` is e.g. {"run_id": ..., "warnings": [...]}."""

    ok: bool
    data: dict[str, Any] = {}
    error: str = ""
