"""The contracts between the services and the world outside. Each docstring is a promise that the contract
suites (`tests/contract`) check over every implementation, the fakes in `orchestrator.testing` included.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import IntFlag, StrEnum
from typing import Any, Protocol

from orchestrator.ids import ContainerId, DeploymentId, Epoch, RunKey, TaskKey, TryId, TryKey, VersionId
from orchestrator.planning.changes import Row
from orchestrator.planning.rows import (
    Answer,
    Dag,
    DagVersion,
    Pool,
    Reason,
    Request,
    RequestKind,
    Run,
    TaskInstance,
    Try,
)
from orchestrator.spec.container import (
    ContainerFacts,
    ContainerSpec,
    EngineCapacity,
    EngineEvent,
    ImageFacts,
    InputFile,
    VolumeFacts,
)
from orchestrator.spec.dag import ContainerTemplate, DagSpec, ParsedFile, PullPolicy, TaskSpec
from orchestrator.spec.value import Value
from orchestrator.states import RunState

# --- engine -------------------------------------------------------------------------------------------


class Stream(StrEnum):
    """The two output streams of a container; with a tty there is only stdout."""

    STDOUT = "stdout"
    STDERR = "stderr"


class ByteStream(Protocol):
    """A connection that delivers a container's output frames; made for `selectors`.

    `recv` never blocks: it returns raw bytes of the engine's stream, b"" at the end, or None where nothing is
    there yet. Read until None before waiting for the first time: bytes may be here already. What it returns has
    no HTTP framing left; without a tty it is multiplexed in frames of an 8-byte head (stream number, 3 zero
    bytes, big-endian length). `close` is idempotent."""

    tty: bool

    def fileno(self) -> int: ...
    def recv(self) -> bytes | None: ...
    def close(self) -> None: ...


class Engine(Protocol):
    """Where containers run. Safe to call from many threads. Every call raises `EngineUnavailableError`
    where the engine cannot be reached, and its child `EngineTimeoutError` where it was sent and not answered.
    All calls after `create` take the container's id, never its name (invariant I3)."""

    def create(self, spec: ContainerSpec) -> ContainerId:
        """Create, do not start. Volumes that it mounts and that do not exist are made, with the mount's labels;
        to those that are labelled as ours every user may write. `NameTakenError` on a name conflict;
        `LaunchRefusedError` for good."""

    def start(self, container: ContainerId) -> None:
        """Start a created container; sent once, never repeated by the adapter. One that runs is left alone; one
        that exited would run again, as engines do: only who created it may start it, once. `LaunchRefusedError`
        for good (no such executable, missing mount source, missing network); `NoSuchContainerError`."""

    def signal(self, container: ContainerId, signal: str) -> bool:
        """Send a signal ("TERM", "KILL"); False where it does not run (any more). On a connection of its own."""

    def remove(self, container: ContainerId, *, force: bool = False) -> bool:
        """Remove it and its anonymous volumes; False where it is gone already. Without `force`,
        `ContainerRunningError` if it runs."""

    def inspect(self, container: ContainerId) -> ContainerFacts:
        """`NoSuchContainerError` where it is gone."""

    def list_ours(self, deployment: DeploymentId) -> tuple[ContainerFacts, ...]:
        """All containers of kind `try` that carry this deployment's label, in any state, exit facts included."""

    def list_owned(self, label: str) -> tuple[ContainerFacts, ...]:
        """All containers of kind `try`, of any deployment, that carry `label` with whatever value."""

    def list_volumes(self, deployment: DeploymentId) -> tuple[VolumeFacts, ...]:
        """All volumes that carry this deployment's label."""

    def list_owned_volumes(self, label: str) -> tuple[VolumeFacts, ...]:
        """All volumes, of any deployment, that carry `label` with whatever value."""

    def remove_volume(self, name: str) -> bool:
        """Remove a volume and what is in it; False where it is gone already, or a container mounts it."""

    def events(self, deployment: DeploymentId) -> Iterator[EngineEvent]:
        """The event stream of this deployment's containers; blocks. Yields CONNECTED each time it is attached
        to the engine (the caller then lists and merges) and DISCONNECTED once for each time it lost it, or
        could not get it at first; reconnects by itself with growing delays up to 5 s. Ends after `close`."""

    def attach_logs(self, container: ContainerId) -> ByteStream:
        """Output from now on; attach before start and it is complete."""

    def follow_logs(self, container: ContainerId) -> ByteStream:
        """Output from the container's beginning as the engine kept it, then on until its end."""

    def read_logs(self, container: ContainerId) -> Iterator[bytes]:
        """All output the engine kept, as chunks of the same frames, without waiting for more."""

    def read_file(self, container: ContainerId, path: str, limit: int) -> bytes:
        """A file's bytes, running or not. `NoSuchFileError`; `FileTooLargeError` above `limit` bytes."""

    def put_files(self, container: ContainerId, files: Sequence[InputFile]) -> None:
        """Copy files and directories in: one call for the container, one for each volume they name."""

    def capacity(self) -> EngineCapacity: ...

    def ping(self) -> None: ...

    def close(self) -> None:
        """End the event stream and all connections; idempotent, from any thread."""


# --- store --------------------------------------------------------------------------------------------


class Snapshot(Value, frozen=True, kw_only=True):
    """All that the world is rebuilt from: DAGs and the versions open runs are pinned to (and the current
    ones), open runs with all their task instances, tries that are open or not fully collected, pools, files."""

    dags: tuple[Dag, ...] = ()
    versions: tuple[DagVersion, ...] = ()
    runs: tuple[Run, ...] = ()
    tasks: tuple[TaskInstance, ...] = ()
    tries: tuple[Try, ...] = ()
    pools: tuple[Pool, ...] = ()
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


class Store(Protocol):
    """The database. One thread writes through `write`; reads, requests and image records may come from any
    thread or process.

    Raises `StoreUnavailableError` where it cannot be reached (the outcome of a running commit is then
    unknown), `SchemaError` where its schema is not this program's."""

    def deployment(self) -> DeploymentId: ...

    def take_lead(self, owner: str, at: datetime) -> Epoch:
        """Become the leader: a committed epoch greater than all before. `SchedulerRunningError` where another
        live process holds this home."""

    def epoch(self) -> Epoch:
        """The epoch in force, read now from the database; any thread."""

    def load(self) -> Snapshot: ...

    def write(self, epoch: Epoch, rows: Sequence[Row]) -> None:
        """All rows in one transaction, or none. `FencedError` where `epoch` is no longer in force;
        `StoreConflictError`, its `key` naming the row, where a guarded move meets another state than its
        `before` or the database refuses a row."""

    def ask(self, kind: RequestKind, payload: dict[str, Any], actor: str, at: datetime) -> Request:
        """Insert a request; any process."""

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

    def attempt(self, try_id: TryId) -> Try | None: ...

    def result(self, task: TaskKey) -> bytes | None: ...

    def last_success(self, dag_id: str, before: datetime) -> Run | None:
        """The newest successful run with a logical date before that instant."""

    def runs_between(self, dag_id: str, start: datetime, end: datetime) -> tuple[Run, ...]:
        """The runs with a logical date in `[start, end)`, the newest made first, at most 100."""

    def close(self) -> None: ...


# --- logs of tasks ------------------------------------------------------------------------------------


class LogFlag(IntFlag):
    """What a log record is besides plain output as it came."""

    NONE = 0
    READ_BACK = 1  #: read back from the engine's own log after the fact
    SYSTEM = 2  #: a line of ours, in the index only
    TRUNCATED = 4  #: bytes are known to be missing here
    END = 8  #: the log is whole and nothing follows; in the index only, never in a `LogRecord`


class LogRecord(Value, frozen=True, kw_only=True):
    """One stretch of a log: payload bytes of one stream, or (SYSTEM) a line of ours in `data`.

    `offset` counts the bytes of the log as it is shown, system lines included, and is never used twice: a
    follower goes on at `offset + len(data)` of the last record it has, whatever was cut back meanwhile."""

    offset: int
    data: bytes
    stream: Stream
    at: datetime
    flags: LogFlag = LogFlag.NONE


class LogWriter(Protocol):
    """Appends to one try's log. One thread at a time. What raises `LogUnavailableError` was not stored, and
    may be tried again."""

    def append(
        self, stretches: Sequence[tuple[Stream, bytes]], at: datetime, flags: LogFlag = LogFlag.NONE
    ) -> None:
        """Add payload, in order: all of it or, where it raises, nothing."""

    def note(self, text: str, at: datetime, flags: LogFlag = LogFlag.NONE) -> None:
        """A system line: shown between the task's own, not part of its bytes. TRUNCATED: bytes miss here."""

    def rewind(self) -> dict[Stream, int]:
        """Cut each stream back to its last complete line; returns how many complete lines each keeps."""

    def end(self, at: datetime) -> None:
        """Mark the log as whole: nothing is missing and nothing follows."""

    def close(self) -> None:
        """Let go of it; idempotent. What was appended or marked survives a power failure from here on."""


class LogStore(Protocol):
    """Where logs of tries are kept: `<try>.log` and `<try>.idx` (spec images-and-engine 4). Safe to read, from
    any process, while one writes. Every call raises `LogUnavailableError` where the files cannot be used now."""

    def writer(self, key: TryKey) -> LogWriter:
        """Open a log to append to it, creating it if need be; what a crash left half-written is cut off."""

    def records(self, key: TryKey, start: int = 0) -> Iterator[LogRecord]:
        """What is stored now from `start` (an offset as in `LogRecord`) on; empty where there is no log."""

    def ended(self, key: TryKey) -> bool:
        """Whether the log is marked as whole."""

    def last_line(self, key: TryKey, stream: Stream, limit: int) -> bytes | None:
        """The last line that holds more than white space, without its end; None where there is none.
        Never reads more than `limit` bytes for it (`FileTooLargeError`)."""

    def tail(self, key: TryKey, lines: int) -> tuple[str, ...]:
        """The last lines of both streams as text, for messages."""

    def remove(self, key: TryKey) -> None:
        """Delete a log; nothing happens where there is none."""


# --- authoring side -----------------------------------------------------------------------------------


class RenderFacts(Value, frozen=True, kw_only=True):
    """Everything a template may know, as plain data; results are asked for by key while rendering."""

    run: Run
    task: TaskKey
    spec: TaskSpec
    dag_timezone: str
    dag_params: dict[str, Any]
    dag_file: str
    dag_tags: tuple[str, ...] = ()
    dag_owner: str = ""
    try_number: int  #: for templates: 1 + failures that spent `retries`
    next_start: datetime | None = None  #: of the interval after this one, by the timetable
    previous_start: datetime | None = None
    previous_success: Run | None = None
    test_mode: bool = False
    pins: dict[str, str] = {}  #: image name as written -> pinned reference


class Renderer(Protocol):
    """Renders templates in a process of its own, under time and memory limits."""

    def render(self, facts: RenderFacts, result: Callable[[TaskKey], bytes | None]) -> ContainerTemplate | Reason:
        """The rendered template, or why it cannot be (`render_error`, naming field, name, file and line).
        Blocks; `result` is called back, in this thread, for each upstream result a template asks for."""


class Parser(Protocol):
    """Parses DAG files in processes of their own, under time and memory limits."""

    def parse(self, file: str) -> ParsedFile:
        """Parse one file (relative to `dags/`). Never raises for what the file does."""


class Batch(Value, frozen=True, kw_only=True):
    """DAG files, relative to `dags/`, that are new or changed (or depend on what changed), or gone."""

    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


class Folder(Protocol):
    """Watches `dags/`."""

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """What is to be parsed, as it happens; the first batch is everything, also where there is nothing.
        Blocks in between; ends when `stop` is set."""

    def parsed(self, parsed: ParsedFile) -> None:
        """Learn from a file's newest parse what it depends on; any thread."""


# --- images -------------------------------------------------------------------------------------------


class Images(Protocol):
    """Task images and external images, as the scheduler needs them."""

    def pin(self, names: Sequence[str]) -> dict[str, str]:
        """What each name means now: a task image's content tag `orchestrator/NAME:<12 hex>`, or the external
        reference itself. Quick; builds and pulls nothing. `ImageError` names the task image that is broken."""

    def ensure(
        self,
        pinned: str,
        *,
        pull: PullPolicy = PullPolicy.MISSING,
        platform: str | None = None,
        timeout: timedelta = timedelta(minutes=10),
        progress: Callable[[Reason], None] = lambda _: None,
    ) -> ImageFacts:
        """Make it present (build or pull, one build per tag however many ask) and tell its id and facts.
        `platform` is `os/arch[/variant]`, None for the engine's own; `timeout` bounds a pull. `ImageError` where
        it cannot be had; `EngineUnavailableError`. `progress` hears what is waited for, from any thread."""
