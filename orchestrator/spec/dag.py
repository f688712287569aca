"""What a DAG file said, as one immutable value: the content of a DAG version."""

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from orchestrator.ids import VersionId
from orchestrator.spec.artifacts import OutputRef
from orchestrator.spec.assets import AssetCondition, AssetSpec
from orchestrator.spec.caching import CachePolicy
from orchestrator.spec.container import DeviceRequest, Mount
from orchestrator.spec.control import Control
from orchestrator.spec.functions import Call, Function
from orchestrator.spec.mapping import MapSpec
from orchestrator.spec.params import ParamSpec
from orchestrator.spec.secrets import Sealed, SecretUse
from orchestrator.spec.value import Value
from orchestrator.states import TriggerRule


class ScheduleMode(StrEnum):
    """What the points of a schedule mean."""

    INTERVAL = "interval"  #: a run stands for the time between two of them, and is due at the later one
    TRIGGER = "trigger"  #: a run stands for the point itself, and is due then


class CronSchedule(Value, frozen=True, kw_only=True, tag="cron"):
    """Cron expressions (5 fields, names, `L`, `#`); presets are resolved to these. `window` belongs to a trigger:
    its run stands for that long a time before the point."""

    expressions: tuple[str, ...]
    preset: str | None = None
    timezone: str | None = None  #: None = the DAG's
    mode: ScheduleMode | None = None  #: None = setting `scheduling.bare_schedule`, until the planner takes it over
    window: timedelta = timedelta(0)


class DeltaSchedule(Value, frozen=True, kw_only=True, tag="delta"):
    """Points a fixed elapsed time apart, anchored at the start date. `window` as of a `CronSchedule`."""

    delta: timedelta
    mode: ScheduleMode | None = None  #: as of a `CronSchedule`
    window: timedelta = timedelta(0)


class OnceSchedule(Value, frozen=True, kw_only=True, tag="once"):
    """One run, of the instant `start_date`."""


class ContinuousSchedule(Value, frozen=True, kw_only=True, tag="continuous"):
    """A next run as soon as the last one ended."""


class ManualSchedule(Value, frozen=True, kw_only=True, tag="manual"):
    """No schedule: runs are asked for."""


class AssetSchedule(Value, frozen=True, kw_only=True, tag="asset"):
    """A run each time this holds of the assets that were updated since the last one."""

    when: AssetCondition


class AssetOrTimeSchedule(Value, frozen=True, kw_only=True, tag="asset_or_time"):
    """The runs of both: of points in time, and of an `AssetSchedule`."""

    time: CronSchedule | DeltaSchedule
    when: AssetCondition


Schedule = (
    CronSchedule
    | DeltaSchedule
    | OnceSchedule
    | ContinuousSchedule
    | ManualSchedule
    | AssetSchedule
    | AssetOrTimeSchedule
)


class TaskKind(StrEnum):
    """Who does a task's work: a container, or the scheduler itself (no user code)."""

    CONTAINER = "container"
    EMPTY = "empty"
    LATEST_ONLY = "latest_only"
    TRIGGER = "trigger"
    EXTERNAL = "external"
    APPROVAL = "approval"


class WeightRule(StrEnum):
    """How priorities add up along the graph, as in Airflow."""

    DOWNSTREAM = "downstream"
    UPSTREAM = "upstream"
    ABSOLUTE = "absolute"


class PullPolicy(StrEnum):
    """When a registry is asked for an external image."""

    MISSING = "missing"
    ALWAYS = "always"
    NEVER = "never"


class ResultFrom(StrEnum):
    """What of stdout becomes the result when the container wrote no result file."""

    LAST_LINE = "last_line"
    ALL_LINES = "all_lines"


class ContainerTemplate(Value, frozen=True, kw_only=True):
    """A DockerOperator's container arguments as written: every string, wherever it stands, may be a Jinja template,
    so numbers and sizes may be strings. `spec.finalize` turns a rendered one into a `ContainerSpec`."""

    image: str | None = None  #: None = setting `tasks.default_image`
    command: str | list[str] | None = None
    script: str | None = None
    call: Call | None = None  #: of the task's `function`
    entrypoint: str | list[str] | None = None
    environment: dict[str, str] = {}
    env_file: dict[str, str] = {}  #: what the file said when the DAG was parsed
    private_environment: dict[str, str] = {}
    secrets: tuple[SecretUse, ...] = ()
    connections: tuple[str, ...] = ()
    sealed: dict[str, Sealed] = {}  #: texts that hold references, once rendered, by path: `environment.NAME`
    inputs: dict[str, str | OutputRef] = {}  #: references to outputs are the rendering's
    outputs: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    mounts: tuple[Mount, ...] = ()
    tmpfs: dict[str, str] = {}
    mount_tmp_dir: bool = False
    tmp_dir: str | None = None
    retrieve_output_path: str | None = None
    user: str | None = None
    working_dir: str | None = None
    hostname: str | None = None
    container_name: str | None = None
    platform: str | None = None
    runtime: str | None = None
    network: str | None = None
    networks: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()  #: `[[ip:]host:]container[/protocol]`
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: dict[str, str] = {}
    tty: bool = False
    init: bool | None = None  #: None = where a `script` would be the first process
    read_only: bool = False
    stop_signal: str | None = None
    cpus: float | str | None = None
    cpu_shares: int | str | None = None
    cpuset_cpus: str | None = None
    mem_limit: int | str | None = None
    mem_reservation: int | str | None = None
    memswap_limit: int | str | None = None
    shm_size: int | str | None = None
    pids_limit: int | str | None = None
    blkio_weight: int | str | None = None
    oom_score_adj: int | str | None = None
    ulimits: tuple[str, ...] = ()  #: `name=soft[:hard]`
    devices: tuple[str, ...] = ()  #: `host[:container[:permissions]]`
    device_requests: tuple[DeviceRequest, ...] = ()
    storage_opt: dict[str, str] = {}
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    group_add: tuple[str, ...] = ()
    concurrency_key: str | None = None  #: no two open tries of the deployment have the same
    cache: CachePolicy | None = None
    map_index_template: str | None = None  #: what an instance of a mapped task is called
    userns_mode: str | None = None
    ipc_mode: str | None = None
    pid_mode: str | None = None
    sysctls: dict[str, str] = {}
    sandbox: bool = True
    log_opts_max_size: int | str | None = None
    log_opts_max_file: int | str | None = None


class RetryPolicy(Value, frozen=True, kw_only=True):
    """When a failed try is followed by another (spec scheduling 5)."""

    retries: int = 0
    delay: timedelta = timedelta(minutes=5)
    exponential: bool = False
    max_delay: timedelta | None = None
    jitter: bool = False
    infrastructure_retries: int | None = None  #: None = what the settings say
    rerun_lost: bool | None = None  #: None = where `retries` > 0
    retry_exit_codes: tuple[int, ...] = ()
    fail_exit_codes: tuple[int, ...] = ()


class BranchChoice(Value, frozen=True, kw_only=True, tag="branch"):
    """The task's result names which of its direct children run."""


class ShortCircuitChoice(Value, frozen=True, kw_only=True, tag="short_circuit"):
    """The task's result says whether anything after it runs: all of it, or only its direct children's rules."""

    ignore_downstream_trigger_rules: bool = True


class SensorSpec(Value, frozen=True, kw_only=True):
    """What makes a task a sensor: its container looks whether something is there, again and again. An exit code in
    `not_ready_exit_codes` means not yet. `timeout` counts from the first look, over all tries; the wait between
    two looks is `poke_interval`, or grows from it to `max_wait`."""

    poke_interval: timedelta = timedelta(seconds=60)
    timeout: timedelta = timedelta(days=7)
    exponential_backoff: bool = False
    max_wait: timedelta | None = None
    soft_fail: bool = False  #: skipped, not failed, when the time is over
    not_ready_exit_codes: tuple[int, ...] = (75,)


class Teardown(Value, frozen=True, kw_only=True):
    """What makes a task a teardown: the setups whose work it takes down, and whether its failure is the run's."""

    setups: tuple[str, ...] = ()
    fails_run: bool = False


class TaskSpec(Value, frozen=True, kw_only=True):
    """One task of a DAG version. `upstream` holds the ids of its direct parents, in order of definition."""

    task_id: str
    kind: TaskKind = TaskKind.CONTAINER
    operator: str = "DockerOperator"
    upstream: tuple[str, ...] = ()
    container: ContainerTemplate | None = None
    function: Function | None = None  #: what the container runs, in place of a command
    trigger_rule: TriggerRule = TriggerRule.ALL_SUCCESS
    start_date: datetime | None = None  #: in a run of an earlier logical date it is skipped
    end_date: datetime | None = None  #: in a run of a later one, too
    retry: RetryPolicy = RetryPolicy()
    execution_timeout: timedelta | None = None
    start_timeout: timedelta | None = None
    deadline: timedelta | None = None  #: when it is late (spec scheduling 7)
    idle_timeout: timedelta | None = None
    keep_failed: bool = False
    pull_timeout: timedelta = timedelta(minutes=10)
    stop_grace: timedelta = timedelta(seconds=10)
    pull: PullPolicy = PullPolicy.MISSING
    docker_conn_id: str | None = None  #: the connection that logs in to the image's registry
    skip_on_exit_code: tuple[int, ...] = ()
    push_result: bool = True
    result_from: ResultFrom | None = ResultFrom.LAST_LINE
    retrieve_output: bool | None = None  #: None: where a path is given
    multiple_outputs: bool = False
    result_schema: dict[str, Any] | None = None  #: a JSON schema that the result must fit
    pool: str = "default_pool"
    pool_slots: int = 1
    priority_weight: int = 1
    weight_rule: WeightRule = WeightRule.DOWNSTREAM
    max_active_tis_per_dag: int | None = None
    max_active_tis_per_dagrun: int | None = None
    params: dict[str, ParamSpec] = {}
    owner: str | None = None
    doc_md: str | None = None
    inlets: tuple[AssetSpec, ...] = ()  #: what it reads, for people and templates
    outlets: tuple[AssetSpec, ...] = ()  #: what it has updated when it succeeds
    group: str | None = None  #: id of the innermost task group
    map: MapSpec | None = None  #: one instance for each element of this
    choice: BranchChoice | ShortCircuitChoice | None = None
    sensor: SensorSpec | None = None
    control: Control | None = None  #: what a task of the kinds trigger, external and approval does
    depends_on_past: bool = False  #: it waits until it succeeded, or was skipped, in the run before its own
    wait_for_downstream: bool = False  #: and until its direct children did
    setup: bool = False
    teardown: Teardown | None = None
    line: int = 0  #: where the operator was constructed in the DAG's file


class GroupSpec(Value, frozen=True, kw_only=True):
    """A task group: for showing, the edges it took part in are already task edges."""

    group_id: str
    parent: str | None = None
    tooltip: str = ""
    map: MapSpec | None = None  #: one instance of all its tasks for each element of this


class EdgeLabel(Value, frozen=True, kw_only=True):
    """A label on one edge."""

    upstream: str
    downstream: str
    label: str


class DagSpec(Value, frozen=True, kw_only=True):
    """One DAG as its file said it. Tasks stand in topological order, ties in order of definition."""

    dag_id: str
    file: str  #: relative to the `dags/` folder, with forward slashes
    line: int = 0
    description: str = ""
    schedule: Schedule = ManualSchedule()
    start_date: datetime | None = None
    end_date: datetime | None = None
    timezone: str = "UTC"
    catchup: bool | None = None  #: None = setting `scheduling.catchup_by_default`
    max_active_runs: int = 16
    max_active_tasks: int = 16
    dagrun_timeout: timedelta | None = None
    deadline: timedelta | None = None  #: when a run is late (spec scheduling 7)
    fail_fast: bool = False  #: one task that fails ends the run
    max_consecutive_failed_dag_runs: int = 0  #: after so many the DAG is paused; 0: never
    params: dict[str, ParamSpec] = {}
    macros: dict[str, Any] = {}  #: further names of its templates
    native: bool = False  #: a lone expression gives its value where a value may stand, not text
    tags: tuple[str, ...] = ()
    owner: str = ""
    doc_md: str = ""
    paused_on_creation: bool | None = None  #: None = setting `scheduling.paused_on_creation`
    tasks: tuple[TaskSpec, ...] = ()
    groups: tuple[GroupSpec, ...] = ()
    edge_labels: tuple[EdgeLabel, ...] = ()

    @property
    def condition(self) -> AssetCondition | None:
        """Which assets' updates have a run made; None where none do."""
        return self.schedule.when if isinstance(self.schedule, AssetSchedule | AssetOrTimeSchedule) else None

    def task(self, task_id: str) -> TaskSpec:
        """The task of this id; KeyError if there is none."""
        for task in self.tasks:
            if task.task_id == task_id:
                return task
        raise KeyError(task_id)


class Severity(StrEnum):
    """An error keeps a file's DAGs from being taken over; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


class Problem(Value, frozen=True, kw_only=True):
    """One finding of a check: `file:line: rule: text`, and what to do about it."""

    file: str
    line: int | None = None
    rule: str
    text: str
    fix: str = ""
    severity: Severity = Severity.ERROR
    dag_id: str | None = None
    task_id: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        fix = f" (fix: {self.fix})" if self.fix else ""
        return f"{place}: {self.severity}: {self.rule}: {self.text}{fix}"


class ParsedFile(Value, frozen=True, kw_only=True):
    """What one parse of one DAG file gave. With any error, `dags` is empty.

    `dependencies` are the project files it opened or imported, relative to the project folder."""

    file: str
    content_hash: str = ""
    dags: tuple[DagSpec, ...] = ()
    problems: tuple[Problem, ...] = ()
    dependencies: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What makes the file a broken one."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)


def encode_dag(dag: DagSpec) -> bytes:
    """The canonical bytes of a DAG version (JSON, keys in order of declaration)."""
    return msgspec.json.encode(dag, order="deterministic")


def version_of(dag: DagSpec) -> VersionId:
    """The id of a DAG version: 16 hex digits of the hash of its canonical bytes."""
    return VersionId(hashlib.sha256(encode_dag(dag)).hexdigest()[:16])


def decode_dag(data: bytes) -> DagSpec:
    """The inverse of `encode_dag`; msgspec.ValidationError where the bytes are no DagSpec."""
    return msgspec.json.decode(data, type=DagSpec)
