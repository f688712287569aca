"""What can happen to the world, as values: the input of `decide`."""

from datetime import datetime

from orchestrator.ids import ContainerId, RunKey, TaskKey, TryId
from orchestrator.planning.history import Asker, PastRun, Wanted
from orchestrator.planning.lapses import Sparing
from orchestrator.planning.rows import CacheFacts, Reason, Request
from orchestrator.spec.container import ContainerSpec, EngineCapacity, ExitFacts
from orchestrator.spec.control import Control
from orchestrator.spec.dag import ParsedFile
from orchestrator.spec.value import Value


class Tick(Value, frozen=True, kw_only=True):
    """Time has passed: due runs, due retries, overdue tries are looked at."""


class FileParsed(Value, frozen=True, kw_only=True):
    """A DAG file was parsed, well or badly. A bad parse keeps the last good versions active."""

    parsed: ParsedFile


class FileGone(Value, frozen=True, kw_only=True):
    """A DAG file was removed: its DAGs become inactive, history stays."""

    file: str


class Requested(Value, frozen=True, kw_only=True):
    """A face asks for something."""

    request: Request


class ImagesPinned(Value, frozen=True, kw_only=True):
    """The image names of a new run were looked up: name as written -> pinned reference."""

    run: RunKey
    pins: dict[str, str]


class Prepared(Value, frozen=True, kw_only=True):
    """A queued task instance's next container is decided: rendered, its image present. `number` is the try this was
    prepared for and `queued_at` when it was queued for that: what was rendered for an earlier life may tell of
    results that are gone. Stale ones are ignored. `pins` are images first met in a rendered template; `cache` is
    that of a task which has one."""

    task: TaskKey
    number: int
    queued_at: datetime | None
    spec: ContainerSpec
    pins: dict[str, str] = {}
    cache: CacheFacts | None = None


class ControlPrepared(Value, frozen=True, kw_only=True):
    """What a queued task instance without a container is to do is rendered. `number` and `queued_at` as in
    `Prepared`."""

    task: TaskKey
    number: int
    queued_at: datetime | None
    control: Control


class PrepareFailed(Value, frozen=True, kw_only=True):
    """A queued task instance cannot get a container: a render error, no image. Fails its try for good
    (`render_error`, `image_missing`: no retry is of use) or spends a retry, by the reason's code. `number` and
    `queued_at` as in `Prepared`."""

    task: TaskKey
    number: int
    queued_at: datetime | None
    reason: Reason


class PrepareDelayed(Value, frozen=True, kw_only=True):
    """Preparing goes on but waits for something outside (a build, a pull, the engine); only explains."""

    task: TaskKey
    reason: Reason


class Started(Value, frozen=True, kw_only=True):
    """A try's container runs. `adopted`: found running by a later process."""

    try_id: TryId
    container_id: ContainerId
    at: datetime
    adopted: bool = False


class Exited(Value, frozen=True, kw_only=True):
    """A try's container ended. `result` is JSON bytes, or None; `result_problem` says why a result that
    was written cannot be used (the try then fails with it, if the exit code says success). `last_line`: what it
    wrote last, for a reason; empty where that is not known, or was no failure."""

    try_id: TryId
    container_id: ContainerId
    exit: ExitFacts
    result: bytes | None = None
    result_problem: Reason | None = None
    stopped_externally: bool = False
    last_line: str = ""
    promoted: bool = False  #: what it wrote is in its data roots: whatever was asked meanwhile, it has succeeded


class Signalled(Value, frozen=True, kw_only=True):
    """A try that is to be stopped got its stop signal; it is killed at `kill_at`."""

    try_id: TryId
    kill_at: datetime


class Silent(Value, frozen=True, kw_only=True):
    """A try has said nothing for as long as its task allows."""

    try_id: TryId


class LaunchFailed(Value, frozen=True, kw_only=True):
    """The engine refuses a try's container for good; nothing ran. `container_id`: one that was created, and may
    have to be removed."""

    try_id: TryId
    reason: Reason
    container_id: ContainerId | None = None


class Lost(Value, frozen=True, kw_only=True):
    """A try's container is gone without an outcome. `ran`: its process had started. `container_id`: as far as it
    is known."""

    try_id: TryId
    reason: Reason
    ran: bool
    container_id: ContainerId | None = None


class Collected(Value, frozen=True, kw_only=True):
    """Everything after a try's outcome is done: log whole, container removed."""

    try_id: TryId
    at: datetime
    log_truncated: bool = False


class EngineSized(Value, frozen=True, kw_only=True):
    """The engine has told how much it has."""

    capacity: EngineCapacity


class Lapsed(Value, frozen=True, kw_only=True):
    """What time-outs are to be spared has changed: time passed that counts against nobody, the engine went away, or
    it has told of everything of ours again."""

    sparing: Sparing


class Seen(Value, frozen=True, kw_only=True):
    """The database's answer to a `LookBack`."""

    asker: Asker
    wanted: Wanted
    runs: tuple[PastRun, ...]


Event = (
    Tick
    | FileParsed
    | FileGone
    | Requested
    | ImagesPinned
    | Prepared
    | ControlPrepared
    | PrepareFailed
    | PrepareDelayed
    | Started
    | Exited
    | Signalled
    | Silent
    | LaunchFailed
    | Lost
    | Collected
    | Seen
    | EngineSized
    | Lapsed
)
