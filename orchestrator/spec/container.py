"""The fully rendered, engine-neutral description of one container, and what can be said of its end."""

from datetime import datetime, timedelta
from enum import StrEnum

from orchestrator.spec.artifacts import ArtifactId
from orchestrator.spec.secrets import Sealed, SecretFile
from orchestrator.spec.value import Value


class MountType(StrEnum):
    """Where a mount's bytes live. `root` is a named data root, resolved before a spec is made; `run` and `dag` are
    volumes of a run and of a DAG, which get their names with the try's."""

    VOLUME = "volume"
    BIND = "bind"
    TMPFS = "tmpfs"
    ROOT = "root"
    RUN = "run"
    DAG = "dag"


class Mount(Value, frozen=True, kw_only=True):
    """One mount. `source` is a volume's name (empty: one without a name, which goes with its container), a path on
    the engine's host, or a data root's name. What only one type of mount has is named for it."""

    type: MountType = MountType.VOLUME
    source: str = ""
    target: str
    read_only: bool = False
    atomic: bool = False  #: root: what is written comes into it when the try has succeeded
    stage: str = ""  #: root: the folder in it that is mounted in its place, until then
    consistency: str = ""
    propagation: str = ""  #: bind
    subpath: str = ""  #: volume: the folder in it that is mounted
    no_copy: bool = False  #: volume: a new one is not filled with what the image has there
    labels: dict[str, str] = {}  #: volume: of a new one
    driver: str = ""  #: volume: of a new one
    driver_options: dict[str, str] = {}
    tmpfs_size: int | str | None = None  #: bytes
    tmpfs_mode: int | None = None


class VolumeFacts(Value, frozen=True, kw_only=True):
    """What an engine says of a volume."""

    name: str
    labels: dict[str, str] = {}
    created_at: datetime | None = None


class InputFile(Value, frozen=True, kw_only=True):
    """A file (or, with neither `data` nor `artifact`, a directory) copied in before start. Owner is `uid:gid`,
    `mode` octal. `artifact`: its bytes are those of a kept file.
    `volume` is the target of the mount that holds it where the container is read-only, because an engine then
    takes files into a volume only, not through the root."""

    path: str
    data: bytes | None = None
    artifact: ArtifactId | None = None
    volume: str = "/"
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


class Ulimit(Value, frozen=True, kw_only=True):
    """A limit of the kernel on each process, by its name in `ulimit -a`'s man page; -1: none."""

    name: str
    soft: int
    hard: int


class Device(Value, frozen=True, kw_only=True):
    """A device of the engine's host; `permissions` of r, w and m (mknod)."""

    host: str
    container: str
    permissions: str = "rwm"


class DeviceRequest(Value, frozen=True, kw_only=True):
    """Devices, such as GPUs, that a driver of the engine picks: `count` of them (-1: all), or those named, with
    one of the given sets of capabilities."""

    driver: str = ""
    count: int = 0
    device_ids: tuple[str, ...] = ()
    capabilities: tuple[tuple[str, ...], ...] = ()
    options: dict[str, str] = {}


class Port(Value, frozen=True, kw_only=True):
    """A port of the container, as in `80/tcp`, told to its host; an empty `host_port` lets the engine choose."""

    container: str
    host_ip: str = ""
    host_port: str = ""


class ImageFacts(Value, frozen=True, kw_only=True):
    """What one image id says of itself. `user` is its USER ("" = root)."""

    id: str
    user: str = ""
    architecture: str = ""
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    volumes: tuple[str, ...] = ()
    world_writable_tmp: bool = False


class Share(Value, frozen=True, kw_only=True):
    """What a container counts for while it is open: cores and bytes of the engine, and the key that no other open
    one may hold at the same time."""

    cpus: float = 0.0
    memory: int = 0
    key: str | None = None


class ContainerSpec(Value, frozen=True, kw_only=True):
    """One container, decided in full. Durations are timedeltas, memory is bytes, cpus are cores."""

    name: str
    image: str  #: pinned: an image id (sha256:...) or a digest reference
    image_name: str  #: as the DAG file wrote it, for people
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: dict[str, str] = {}
    labels: dict[str, str] = {}
    mounts: tuple[Mount, ...] = ()
    volumes: tuple[str, ...] = ()  #: targets of anonymous volumes of this try, removed with it
    tmpfs: dict[str, str] = {}
    files: tuple[InputFile, ...] = ()
    secret_environment: dict[str, Sealed] = {}  #: over `environment`; in clear only when the container is created
    secret_files: tuple[SecretFile, ...] = ()  #: likewise
    promoter: str | None = None  #: id of the image that moves what atomic mounts hold; it has `python3`
    result_path: str | None = None
    outputs: tuple[str, ...] = ()  #: absolute patterns of what is copied out after its end
    output_path: str | None = None  #: a file that is the result where there is no result file
    user: str | None = None
    working_dir: str | None = None
    hostname: str | None = None
    platform: str | None = None
    runtime: str | None = None
    network: str | None = None
    networks: tuple[str, ...] = ()  #: those that it joins besides `network`
    ports: tuple[Port, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: dict[str, str] = {}
    tty: bool = False
    init: bool = False
    read_only: bool = False
    stop_signal: str | None = None
    stop_grace: timedelta = timedelta(seconds=10)
    keep_failed: bool = False  #: the container stays for a while where its try fails
    map_label: str = ""  #: what an instance of a mapped task is called; no engine is told
    cpus: float | None = None
    cpu_shares: int | None = None
    cpuset_cpus: str | None = None
    memory: int | None = None
    memory_reservation: int | None = None
    memory_swap: int | None = None
    shm_size: int | None = None
    pids_limit: int | None = None
    blkio_weight: int | None = None
    oom_score_adj: int | None = None
    ulimits: tuple[Ulimit, ...] = ()
    devices: tuple[Device, ...] = ()
    device_requests: tuple[DeviceRequest, ...] = ()
    storage_opt: dict[str, str] = {}
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    group_add: tuple[str, ...] = ()
    userns_mode: str | None = None
    ipc_mode: str | None = None
    pid_mode: str | None = None
    sysctls: dict[str, str] = {}
    sandbox: bool = True  #: its network namespace may be a borrowed one, whose files cannot be written
    log_size: int | None = None  #: bytes after which the engine begins another file of the log; None: never
    log_files: int | None = None  #: how many such files it keeps; None: one
    share: Share = Share()


class ContainerState(StrEnum):
    """What an engine says a container is doing now."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


class ExitFacts(Value, frozen=True, kw_only=True):
    """How a container ended, in the engine's words. Instants are the engine's own, UTC. `highest_memory`: the most
    bytes that a sample saw it hold, None where none was taken."""

    exit_code: int
    oom_killed: bool = False
    error: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    highest_memory: int | None = None


class ContainerFacts(Value, frozen=True, kw_only=True):
    """One `inspect`: identity, labels, state. `exit` is set when the state is EXITED."""

    id: str
    name: str
    state: ContainerState
    labels: dict[str, str]
    started_at: datetime | None = None
    exit: ExitFacts | None = None


class EngineEventKind(StrEnum):
    """What the one event stream tells of our containers. `connected` opens every (re)connection."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    CREATE = "create"
    START = "start"
    OOM = "oom"
    KILL = "kill"
    STOP = "stop"
    DIE = "die"
    DESTROY = "destroy"


class EngineEvent(Value, frozen=True, kw_only=True):
    """One line of the event stream. `labels` are the container's own."""

    kind: EngineEventKind
    container_id: str = ""
    labels: dict[str, str] = {}
    at: datetime | None = None
    exit_code: int | None = None
    detail: str = ""


class EngineLife(Value, frozen=True, kw_only=True):
    """The life that an engine leads since its last start. `since`, by its own clock, is no later than its first
    answer; None where it does not tell, or where what ran went on running over the start. `live_restore`: it leaves
    containers alone when it stops, and knows afterwards how they ended."""

    since: datetime | None = None
    live_restore: bool = False


class EngineCapacity(Value, frozen=True, kw_only=True):
    """What an engine is: cores, bytes of memory, version, API version, operating system and architecture."""

    cpus: int
    memory: int
    version: str
    api_version: str
    architecture: str
    os: str
