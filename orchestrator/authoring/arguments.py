"""The arguments that operators and DAGs take, with the types that users may write. These tables are the
signatures: constructors take them as `**arguments: Unpack[...]`, so that a value not given stays apart from
a default, which `default_args` needs. `reading` turns them into the fields of specs."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Literal, Required, TypedDict

from orchestrator.authoring.assets import Asset, AssetExpression
from orchestrator.authoring.caching import Cache
from orchestrator.authoring.mounts import Mount
from orchestrator.authoring.outputs import Output
from orchestrator.authoring.schedules import AssetOrTime, TimeSchedule
from orchestrator.authoring.scope import Scope
from orchestrator.authoring.secrets import Secret
from orchestrator.authoring.template_files import TemplateFile
from orchestrator.spec.dag import PullPolicy, ResultFrom, WeightRule
from orchestrator.states import RunState, TaskState, TriggerRule

#: A duration, or a number of seconds.
Duration = timedelta | float
#: A text, a file that holds it, or a handle on a result.
Text = str | TemplateFile | Output
#: Bytes, or text like "512m".
Size = int | str | Output
#: One exit code or several.
ExitCodes = int | Sequence[int]


class TaskArguments(TypedDict, total=False):
    """What every operator takes."""

    # identity and order
    task_id: Required[str]  #: letters, digits, `._-`, at most 250 with the prefixes of its groups
    dag: Scope  #: the DAG, where it is not the one of the surrounding `with`
    task_group: Scope  #: the task group, likewise
    trigger_rule: TriggerRule | str  #: when it is ready, by its parents' states; all_success
    depends_on_past: bool  #: it waits until it succeeded or was skipped in the run before; False
    wait_for_downstream: bool  #: and until the tasks right after it did; False
    start_date: datetime | None  #: aware; in runs of an earlier logical date it is skipped
    end_date: datetime | None  #: aware, inclusive; in runs of a later logical date it is skipped
    priority_weight: int  #: who goes first where limits hold back; it counts for the tasks before it, too; 1
    owner: str | None  #: who answers for it; the DAG's owner
    doc_md: Text | None  #: Markdown shown beside it
    inlets: Asset | Sequence[Asset]  #: the assets it reads, for people and templates
    outlets: Asset | Sequence[Asset]  #: the assets that are updated when it succeeds, with its result
    deadline: Duration | None  #: late if it has not ended so long after its interval, or its run's making
    sla: Duration | None  #: the same as `deadline`
    # accepted without effect: a warning says why
    queue: Any
    executor: Any
    executor_config: Any
    run_as_user: Any
    ignore_first_depends_on_past: Any
    email: Any
    email_on_failure: Any
    email_on_retry: Any


class DockerArguments(TaskArguments, total=False):
    """What `DockerOperator` takes. Every text may be a Jinja template."""

    # what runs
    image: str | None  #: a task image's name or any reference; setting `tasks.default_image`
    command: Text | Sequence[Text] | None  #: a text is split as a shell would; the image's own
    script: Text | None  #: lines for `sh -ec`, in place of a command
    entrypoint: Text | Sequence[Text] | None  #: the image's own; an empty list for none
    working_dir: str | None  #: absolute path in the container
    user: str | int | None  #: `user[:group]` by name or number
    hostname: str | None  #: the name that the container gives itself
    container_name: str | None  #: the first part of the container's name, in place of `orc-` and the ids
    tty: bool  #: a terminal, on which stdout and stderr are one; False
    init: bool  #: a small init process passes signals on and reaps orphans; True where there is a `script`
    platform: str | None  #: as in `linux/amd64`
    runtime: str | None  #: of the engine, as in `runc`
    stop_signal: str | None  #: the image's own, else TERM
    # environment
    environment: Mapping[str, Text | float]  #: variables; ours cannot be replaced
    env_file: str | None  #: file of NAME=value lines, beside the DAG file or in the project; under `environment`
    private_environment: Mapping[str, Text] | None  #: over `environment`: templates of `var` and `conn` only
    secrets: Sequence[Secret | str] | None  #: files `/run/secrets/<id>`, or `Secret(id, env=...)`
    connections: Sequence[str] | None  #: files `/run/secrets/conn_<id>.json`, `.uri`; `ORCHESTRATOR_CONN_<ID>_FILE`
    # files
    mounts: Sequence[Mount | Mapping[str, Any] | str]  #: `Mount(...)`, its arguments, or "source:target[:ro]"
    volumes: Sequence[Mount | Mapping[str, Any] | str]  #: the same as `mounts`
    tmpfs: Mapping[str, str] | Sequence[str]  #: path -> options, or "path[:options]"
    mount_tmp_dir: bool  #: a volume of the try's own for temporary files, named by `AIRFLOW_TMP_DIR`; False
    tmp_dir: str | None  #: where; /tmp/airflow
    shm_size: Size | None  #: of /dev/shm; the engine's 64m
    read_only: bool  #: the container's own files cannot be written
    inputs: Mapping[str, Text]  #: path -> text of a file copied in before start, or `{{ output(task, path) }}`
    outputs: Sequence[str]  #: paths and globs of files that are kept after its end, also of a failed try
    # limits
    cpus: float | str | None  #: cores, a hard limit
    cpu_shares: int | str | None  #: share of the processors where they are scarce; the engine's 1024
    cpuset_cpus: str | None  #: which processors, as in `0-3` or `0,2`
    mem_limit: Size | None  #: a hard limit: above it the container is killed
    mem_reservation: Size | None  #: what it is to have where memory is scarce
    memswap_limit: Size | None  #: memory and swap together; -1: no limit
    pids_limit: int | str | None  #: -1: no limit
    blkio_weight: int | str | None  #: share of disk time, 10 to 1000
    oom_score_adj: int | str | None  #: who is killed first where memory ends, -1000 to 1000
    ulimits: Mapping[str, Any] | Sequence[Mapping[str, Any] | str]  #: name -> soft, or (soft, hard)
    devices: Sequence[str]  #: `/dev/x[:/dev/y[:rwm]]`
    device_requests: Sequence[Mapping[str, Any]]  #: docker-py's `DeviceRequest`s: GPUs
    storage_opt: Mapping[str, str | float]  #: of the engine's storage driver, as in {"size": "10G"}
    # network
    network: str | None  #: setting `engine.network`
    network_mode: str | None  #: the same as `network`
    networks: Sequence[str]  #: several of them
    ports: Mapping[str | int, Any] | Sequence[str | int]  #: container's port -> host's, or `[[ip:]host:]container`
    port_bindings: Mapping[str | int, Any]  #: the same as `ports`
    dns: Sequence[str]  #: addresses of name servers
    dns_search: Sequence[str]  #: domains in which short names are looked up
    extra_hosts: Mapping[str, str] | Sequence[str]  #: name -> address; `host.docker.internal` is always there
    sandbox: bool  #: False: it may write /etc/hosts, /etc/resolv.conf and /etc/hostname; True
    # privilege
    privileged: bool  #: all that root of the host may; False
    cap_add: Sequence[str]  #: capabilities beside the engine's default ones
    cap_drop: Sequence[str]  #: capabilities to go without; ALL for every one
    security_opt: Sequence[str]  #: beside `no-new-privileges`, which every container has
    group_add: Sequence[str | int]  #: further groups of the user
    userns_mode: str | None  #: host: the user namespace of the engine's host
    ipc_mode: str | None  #: private, shareable, host, none, or container:NAME
    pid_mode: str | None  #: host, or container:NAME
    sysctls: Mapping[str, str | float]  #: settings of the kernel for its namespaces
    # engine
    labels: Mapping[str, str] | Sequence[str]  #: none under `orchestrator.`
    pull: PullPolicy | Literal["missing", "always", "never"]  #: when a registry is asked for the image; missing
    force_pull: bool  #: True: pull="always"
    docker_conn_id: str | None  #: the connection that logs in to the image's registry for its pull
    engine: str | None  #: "default", a local socket, or one of the setting `engines.aliases`: there is one yet
    docker_url: str | Sequence[str] | None  #: the same as `engine`
    log_opts_max_size: Size | None  #: of each file of the engine's own log; ours then promises less
    log_opts_max_file: int | str | None  #: how many such files; 1
    # accepted without effect: a warning says why
    auto_remove: Any
    host_tmp_dir: Any
    api_version: Any
    timeout: Any
    tls_ca_cert: Any
    tls_client_cert: Any
    tls_client_key: Any
    tls_verify: Any
    tls_hostname: Any
    tls_ssl_version: Any
    # life
    execution_timeout: Duration | None  #: how long it may run
    start_timeout: Duration | None  #: from its intent to its start, at an engine that answers
    idle_timeout: Duration | None  #: how long it may say nothing
    keep_failed: bool  #: keep the container of a failed try for an hour, to look into it; False
    pull_timeout: Duration  #: how long a registry may be out of reach; 10 minutes
    stop_grace: Duration  #: between the stop signal and the kill; 10 seconds
    # outcome and result
    skip_on_exit_code: ExitCodes | None  #: these mean skipped
    skip_exit_code: ExitCodes | None  #: the same as `skip_on_exit_code`
    do_xcom_push: bool  #: keep a result; True
    xcom: ResultFrom | Literal["last_line", "all_lines"] | None  #: of stdout, if no result file is there
    xcom_all: bool  #: True: xcom="all_lines"
    retrieve_output: bool  #: take the file at `retrieve_output_path`; True where there is one
    retrieve_output_path: str | None  #: a file of JSON or text that is the result, if no result file is there
    multiple_outputs: bool  #: the result must be an object: xcom_pull(key=...) takes its parts; False
    cache: bool | Cache  #: use an earlier result again where it would come to the same, or `Cache(...)`; False
    result_schema: Mapping[str, Any] | None  #: a JSON schema: a result that does not fit it fails the try
    # retries
    retries: int  #: how often a failed try is followed by another; 0
    retry_delay: Duration  #: 5 minutes
    retry_exponential_backoff: bool  #: each delay twice the one before; False
    max_retry_delay: Duration | None  #: the longest delay
    retry_jitter: bool  #: spread retries out in time; False
    infrastructure_retries: int  #: a budget of its own for what is not the task's fault; the setting's 3
    rerun_lost: bool | None  #: run a lost try again though its process had started; where retries > 0
    retry_exit_codes: ExitCodes  #: retry on these only
    fail_exit_codes: ExitCodes  #: never retry on these
    # order and limits among tasks
    pool: str  #: whose slots it takes; default_pool
    pool_slots: int  #: how many of them; 1
    weight_rule: WeightRule | Literal["downstream", "upstream", "absolute"]  #: how weights add up; downstream
    max_active_tis_per_dag: int | None  #: how many of its instances may run at one time
    task_concurrency: int | None  #: the same as `max_active_tis_per_dag`
    max_active_tis_per_dagrun: int | None  #: how many of them in one run
    concurrency_key: str | None  #: a text: of all tasks that come to the same one, one runs at a time
    params: Mapping[str, Any]  #: over the DAG's, for this task's templates
    map_index_template: str | None  #: what an instance of a mapped task is called, as in `{{ element('command') }}`


class PartialArguments(DockerArguments, total=False):
    """What `DockerOperator.partial` takes: what all instances of a mapped task share."""

    max_map_length: int  #: how many instances there may be; 1024


class ShortCircuitArguments(DockerArguments, total=False):
    """What `ShortCircuitDockerOperator` takes."""

    ignore_downstream_trigger_rules: bool  #: skip everything after it, not its direct children only; True


class SensorArguments(DockerArguments, total=False):
    """What `DockerSensor` takes. Here `timeout` is how long it may look, not the engine's."""

    poke_interval: Duration  #: between the end of a look and the next one; 60 seconds
    timeout: Duration  #: how long it may look, from the first look on, retries included; 7 days
    exponential_backoff: bool  #: each wait twice the one before; False
    max_wait: Duration | None  #: the longest wait; a day, where waits grow
    soft_fail: bool  #: skipped and not failed when the time is over; False
    not_ready_exit_codes: ExitCodes  #: these mean not yet; 75
    # accepted without effect: a warning says why
    mode: Any


class AtOnceArguments(TaskArguments, total=False):
    """What `EmptyOperator` and `LatestOnlyOperator` take: they are done in the moment in which they are ready."""

    # accepted without effect: a warning says why
    retries: Any
    retry_delay: Any
    retry_exponential_backoff: Any
    max_retry_delay: Any
    retry_jitter: Any
    execution_timeout: Any
    pool: Any
    pool_slots: Any
    weight_rule: Any
    max_active_tis_per_dag: Any
    task_concurrency: Any
    max_active_tis_per_dagrun: Any
    params: Any
    do_xcom_push: Any
    multiple_outputs: Any


class RestingArguments(TaskArguments, total=False):
    """What operators that wait without a container take besides."""

    retries: int  #: how often a failed try is followed by another; 0
    retry_delay: Duration  #: 5 minutes
    retry_exponential_backoff: bool  #: each delay twice the one before; False
    max_retry_delay: Duration | None  #: the longest delay
    retry_jitter: bool  #: spread retries out in time; False
    # accepted without effect: a warning says why
    pool: Any
    pool_slots: Any
    weight_rule: Any
    max_active_tis_per_dag: Any
    task_concurrency: Any
    max_active_tis_per_dagrun: Any
    multiple_outputs: Any


class WaitArguments(RestingArguments, total=False):
    """What those of them take besides that wait for another run."""

    params: Mapping[str, Any]  #: over the DAG's, for this task's templates
    # accepted without effect: a warning says why
    poke_interval: Any
    mode: Any
    deferrable: Any
    exponential_backoff: Any
    max_wait: Any


class TriggerArguments(WaitArguments, total=False):
    """What `TriggerDagRunOperator` takes. Every text may be a Jinja template."""

    trigger_dag_id: Required[str]  #: the DAG of which it makes a run, also where that is paused
    conf: Mapping[str, Any] | Output | None  #: of the run: what it holds stays what it is; {}
    logical_date: str | datetime | None  #: names the interval that the run stands for; the newest complete one
    execution_date: str | datetime | None  #: the same as `logical_date`
    run_id: str | None  #: the run's name; `manual__` and the instant
    trigger_run_id: str | None  #: the same as `run_id`
    reset_dag_run: bool  #: where the run is there already, have all of it run again; False
    skip_when_already_exists: bool  #: or be skipped, and not failed; False
    wait_for_completion: bool  #: end when the run has; False
    allowed_states: Sequence[RunState | str]  #: of the run, in which it then succeeds; success
    failed_states: Sequence[RunState | str]  #: and in which it fails; failed
    execution_timeout: Duration | None  #: how long it waits for the run
    do_xcom_push: bool  #: keep which run it made as its result; True


class ExternalArguments(WaitArguments, total=False):
    """What `ExternalTaskSensor` takes. Every text may be a Jinja template."""

    external_dag_id: Required[str]  #: the DAG whose run it waits for
    external_task_id: str | None  #: a task of it; the whole run
    external_task_ids: Sequence[str]  #: several
    external_task_group_id: str | None  #: a group of its tasks
    allowed_states: Sequence[TaskState | RunState | str]  #: what they all have to come to; success
    failed_states: Sequence[TaskState | RunState | str]  #: it fails where one comes to these; none
    skipped_states: Sequence[TaskState | RunState | str]  #: it is skipped where one comes to these; none
    execution_delta: Duration | None  #: how much earlier the other run's logical date is; 0
    execution_date_fn: str | None  #: or a template that gives that date
    check_existence: bool  #: fail at once where there is no such DAG or task; else it may come yet
    timeout: Duration  #: how long it waits, retries included; 7 days
    soft_fail: bool  #: skipped, and not failed; False
    # accepted without effect: a warning says why
    execution_timeout: Any
    do_xcom_push: Any


class ApprovalArguments(RestingArguments, total=False):
    """What `ApprovalOperator` takes."""

    prompt: Text  #: what is asked, a template
    params: Mapping[str, Any]  #: what who approves may set: the result
    roles: Sequence[str]  #: whose decision it is: kept for when there are users to tell apart
    timeout: Duration | None  #: how long it waits; for ever
    do_xcom_push: bool  #: keep the params as its result; True
    # accepted without effect: a warning says why
    execution_timeout: Any


ScheduleArgument = (
    str
    | Sequence[str]
    | timedelta
    | TimeSchedule
    | AssetExpression
    | Sequence[AssetExpression]
    | AssetOrTime
    | None
)


class DagArguments(TypedDict, total=False):
    """What `DAG` and `@dag` take besides the id."""

    description: str  #: one line, shown beside it
    schedule: ScheduleArgument  #: cron, several, a preset, a timedelta, CronTrigger, assets; None: asked for
    schedule_interval: ScheduleArgument  #: the same as `schedule`
    start_date: datetime | None  #: aware; the current interval
    end_date: datetime | None  #: aware, inclusive for the logical date
    timezone: str | tzinfo | None  #: of cron and of dates in templates; the schedule's or start date's, else UTC
    catchup: bool | None  #: run every interval since the start; setting `scheduling.catchup_by_default`
    default_args: Mapping[str, Any]  #: arguments for the operators in this DAG that take them
    max_active_runs: int  #: 16
    max_active_tasks: int  #: 16
    concurrency: int  #: the same as `max_active_tasks`
    dagrun_timeout: Duration | None  #: how long a run may take: then it fails, and its tasks are stopped
    deadline: Duration | None  #: how long after its interval's end, or its making by hand, a run is late
    sla: Duration | None  #: the same as `deadline`
    fail_fast: bool  #: one task that fails for good ends the run; False
    fail_stop: bool  #: the same as `fail_fast`
    max_consecutive_failed_dag_runs: int  #: after so many failed runs in a row the DAG is paused; 0: never
    params: Mapping[str, Any]  #: what a run may be given: names to defaults, or to `Param(default, **JSON schema)`
    user_defined_macros: Mapping[str, Any] | None  #: further names for templates: constants
    render_template_as_native_obj: bool  #: `{{ x }}` alone is the value itself in arguments and commands; False
    template_searchpath: str | Path | Sequence[str | Path]  #: folders of `TemplateFile`s, besides the DAG file's
    tags: Sequence[str]  #: to find it by
    owner: str  #: who answers for it
    doc_md: Text | None  #: Markdown shown beside it
    is_paused_upon_creation: bool | None  #: setting `scheduling.paused_on_creation`
    engine: str | None  #: as an operator's
    # accepted without effect: a warning says why
    sla_miss_callback: Any
    access_control: Any
