"""From arguments as written to the fields of spec values. One table tells for each argument which field of
which value it fills and how it is read; the type of that field has the last word."""

from collections.abc import Callable, Container, Mapping, Sequence
from datetime import timedelta
from functools import cache, partial
from typing import Any, NamedTuple

import msgspec

from orchestrator.authoring import docker_forms, forms, secrets, waiting_forms
from orchestrator.authoring.assets import read_assets
from orchestrator.authoring.caching import read_cache
from orchestrator.authoring.dates import read_date
from orchestrator.authoring.faults import Note, Rule, fault, nearest, user_line
from orchestrator.authoring.graph import Graph
from orchestrator.authoring.params import constants_of, specs_of
from orchestrator.authoring.schedules import read_schedule
from orchestrator.authoring.template_files import with_texts
from orchestrator.spec.control import Approval, External, Trigger
from orchestrator.spec.dag import ContainerTemplate, DagSpec, RetryPolicy, SensorSpec, ShortCircuitChoice, TaskSpec
from orchestrator.spec.value import Value


class Argument(NamedTuple):
    """Which field of which value an argument fills. `read` turns what users may write into what the field's
    type accepts, and raises ValueError with a sentence; `least` is the smallest number or duration allowed."""

    part: type[Value]
    field: str
    read: Callable[[Any], Any] | None = None
    least: int | timedelta | None = None


#: Values of fields, by the kind of value they belong to.
Fields = dict[type[Value], dict[str, Any]]

_A_MOMENT = timedelta(microseconds=1)
_COMMON = {
    "trigger_rule": Argument(TaskSpec, "trigger_rule", forms.trigger_rule),
    "depends_on_past": Argument(TaskSpec, "depends_on_past"),
    "wait_for_downstream": Argument(TaskSpec, "wait_for_downstream"),
    "owner": Argument(TaskSpec, "owner"),
    "doc_md": Argument(TaskSpec, "doc_md"),
    "inlets": Argument(TaskSpec, "inlets", read_assets),
    "outlets": Argument(TaskSpec, "outlets", read_assets),
    "deadline": Argument(TaskSpec, "deadline", forms.duration, _A_MOMENT),
    "sla": Argument(TaskSpec, "deadline", forms.duration, _A_MOMENT),
}
_CONTAINER = {
    field: Argument(ContainerTemplate, field)
    for field in ContainerTemplate.__struct_fields__
    if field not in ("sealed", "call")
} | {
    "command": Argument(ContainerTemplate, "command", forms.words),
    "entrypoint": Argument(ContainerTemplate, "entrypoint", forms.words),
    "user": Argument(ContainerTemplate, "user", forms.number_or_text),
    "cache": Argument(ContainerTemplate, "cache", read_cache),
    "environment": Argument(ContainerTemplate, "environment", forms.texts),
    "private_environment": Argument(ContainerTemplate, "private_environment", secrets.private),
    "secrets": Argument(ContainerTemplate, "secrets", secrets.secrets),
    "connections": Argument(ContainerTemplate, "connections", secrets.connections),
    "inputs": Argument(ContainerTemplate, "inputs", forms.texts),
    "outputs": Argument(ContainerTemplate, "outputs", docker_forms.texts),
    "labels": Argument(ContainerTemplate, "labels", forms.labels),
    "mounts": Argument(ContainerTemplate, "mounts", forms.mounts),
    "volumes": Argument(ContainerTemplate, "mounts", forms.mounts),
    "tmpfs": Argument(ContainerTemplate, "tmpfs", forms.tmpfs),
    "network_mode": Argument(ContainerTemplate, "network"),
    "group_add": Argument(ContainerTemplate, "group_add", forms.text_list),
    "env_file": Argument(ContainerTemplate, "env_file", docker_forms.env_file),
    "networks": Argument(ContainerTemplate, "networks", docker_forms.texts),
    "ports": Argument(ContainerTemplate, "ports", docker_forms.ports),
    "port_bindings": Argument(ContainerTemplate, "ports", docker_forms.ports),
    "dns": Argument(ContainerTemplate, "dns", docker_forms.texts),
    "dns_search": Argument(ContainerTemplate, "dns_search", docker_forms.texts),
    "extra_hosts": Argument(ContainerTemplate, "extra_hosts", forms.hosts),
    "ulimits": Argument(ContainerTemplate, "ulimits", docker_forms.ulimits),
    "devices": Argument(ContainerTemplate, "devices", docker_forms.texts),
    "device_requests": Argument(ContainerTemplate, "device_requests", docker_forms.device_requests),
    "storage_opt": Argument(ContainerTemplate, "storage_opt", forms.texts),
    "sysctls": Argument(ContainerTemplate, "sysctls", forms.texts),
    "security_opt": Argument(ContainerTemplate, "security_opt", docker_forms.texts),
}
_RETRY = {
    "retries": Argument(RetryPolicy, "retries", least=0),
    "retry_delay": Argument(RetryPolicy, "delay", forms.duration, timedelta(0)),
    "retry_exponential_backoff": Argument(RetryPolicy, "exponential"),
    "max_retry_delay": Argument(RetryPolicy, "max_delay", forms.duration, timedelta(0)),
    "retry_jitter": Argument(RetryPolicy, "jitter"),
    "infrastructure_retries": Argument(RetryPolicy, "infrastructure_retries", least=0),
    "rerun_lost": Argument(RetryPolicy, "rerun_lost"),
    "retry_exit_codes": Argument(RetryPolicy, "retry_exit_codes", forms.exit_codes),
    "fail_exit_codes": Argument(RetryPolicy, "fail_exit_codes", forms.exit_codes),
}
_LIFE = {
    "execution_timeout": Argument(TaskSpec, "execution_timeout", forms.duration, _A_MOMENT),
    "start_timeout": Argument(TaskSpec, "start_timeout", forms.duration, _A_MOMENT),
    "idle_timeout": Argument(TaskSpec, "idle_timeout", forms.duration, _A_MOMENT),
    "keep_failed": Argument(TaskSpec, "keep_failed"),
    "pull_timeout": Argument(TaskSpec, "pull_timeout", forms.duration, _A_MOMENT),
    "stop_grace": Argument(TaskSpec, "stop_grace", forms.duration, timedelta(0)),
    "pull": Argument(TaskSpec, "pull"),
    "docker_conn_id": Argument(TaskSpec, "docker_conn_id", secrets.connection),
    "force_pull": Argument(TaskSpec, "pull", forms.always_pull),
    "skip_on_exit_code": Argument(TaskSpec, "skip_on_exit_code", forms.exit_codes),
    "do_xcom_push": Argument(TaskSpec, "push_result"),
    "xcom": Argument(TaskSpec, "result_from"),
    "xcom_all": Argument(TaskSpec, "result_from", forms.every_line),
    "retrieve_output": Argument(TaskSpec, "retrieve_output"),
    "multiple_outputs": Argument(TaskSpec, "multiple_outputs"),
    "result_schema": Argument(TaskSpec, "result_schema", forms.json_values_if_any),
    "pool": Argument(TaskSpec, "pool"),
    "pool_slots": Argument(TaskSpec, "pool_slots", least=1),
    "priority_weight": Argument(TaskSpec, "priority_weight"),
    "weight_rule": Argument(TaskSpec, "weight_rule"),
    "max_active_tis_per_dag": Argument(TaskSpec, "max_active_tis_per_dag", least=1),
    "task_concurrency": Argument(TaskSpec, "max_active_tis_per_dag", least=1),
    "max_active_tis_per_dagrun": Argument(TaskSpec, "max_active_tis_per_dagrun", least=1),
    "params": Argument(TaskSpec, "params", specs_of),
}
#: What each constructor takes, by the argument's name.
EMPTY: dict[str, Argument] = _COMMON
DOCKER: dict[str, Argument] = _COMMON | _CONTAINER | _RETRY | _LIFE
SHORT_CIRCUIT: dict[str, Argument] = DOCKER | {
    "ignore_downstream_trigger_rules": Argument(ShortCircuitChoice, "ignore_downstream_trigger_rules")
}
SENSOR: dict[str, Argument] = {name: each for name, each in DOCKER.items() if name != "cache"} | {
    "poke_interval": Argument(SensorSpec, "poke_interval", forms.duration, _A_MOMENT),
    "timeout": Argument(SensorSpec, "timeout", forms.duration, _A_MOMENT),
    "exponential_backoff": Argument(SensorSpec, "exponential_backoff"),
    "max_wait": Argument(SensorSpec, "max_wait", forms.duration, _A_MOMENT),
    "soft_fail": Argument(SensorSpec, "soft_fail"),
    "not_ready_exit_codes": Argument(SensorSpec, "not_ready_exit_codes", forms.exit_codes),
}
#: Of retries, what has to do with containers.
_OF_CONTAINERS = ("infrastructure_retries", "rerun_lost", "retry_exit_codes", "fail_exit_codes")
_AGAIN = {name: each for name, each in _RETRY.items() if name not in _OF_CONTAINERS}
_AGAIN["params"] = Argument(TaskSpec, "params", specs_of)
TRIGGER: dict[str, Argument] = {
    **(_COMMON | _AGAIN),
    "trigger_dag_id": Argument(Trigger, "dag_id"),
    "conf": Argument(Trigger, "conf", waiting_forms.conf),
    "logical_date": Argument(Trigger, "logical_date", waiting_forms.date),
    "execution_date": Argument(Trigger, "logical_date", waiting_forms.date),
    "run_id": Argument(Trigger, "run_id"),
    "trigger_run_id": Argument(Trigger, "run_id"),
    "reset_dag_run": Argument(Trigger, "reset"),
    "skip_when_already_exists": Argument(Trigger, "skip_when_exists"),
    "wait_for_completion": Argument(Trigger, "wait"),
    "allowed_states": Argument(Trigger, "allowed_states", waiting_forms.run_states),
    "failed_states": Argument(Trigger, "failed_states", waiting_forms.run_states),
    "execution_timeout": Argument(Trigger, "timeout", forms.duration, _A_MOMENT),
}
EXTERNAL: dict[str, Argument] = {
    **(_COMMON | _AGAIN),
    "external_dag_id": Argument(External, "dag_id"),
    "external_task_id": Argument(External, "task_ids", waiting_forms.task_ids),
    "external_task_ids": Argument(External, "task_ids", waiting_forms.task_ids),
    "external_task_group_id": Argument(External, "group"),
    **{name: Argument(External, name, waiting_forms.states) for name in waiting_forms.STATES},
    "execution_delta": Argument(External, "delta", waiting_forms.delta),
    "execution_date_fn": Argument(External, "date", waiting_forms.template),
    "check_existence": Argument(External, "check_existence"),
    "timeout": Argument(External, "timeout", forms.duration, _A_MOMENT),
    "soft_fail": Argument(External, "soft_fail"),
}
APPROVAL: dict[str, Argument] = {
    **_COMMON,
    "prompt": Argument(Approval, "prompt"),
    "params": Argument(Approval, "params", specs_of),
    "roles": Argument(Approval, "roles", forms.text_list),
    "timeout": Argument(Approval, "timeout", forms.duration, _A_MOMENT),
}
DAG: dict[str, Argument] = {
    "description": Argument(DagSpec, "description"),
    "schedule": Argument(DagSpec, "schedule", read_schedule),
    "schedule_interval": Argument(DagSpec, "schedule", read_schedule),
    "start_date": Argument(DagSpec, "start_date", partial(read_date, "start_date")),
    "end_date": Argument(DagSpec, "end_date", partial(read_date, "end_date")),
    "catchup": Argument(DagSpec, "catchup"),
    "max_active_runs": Argument(DagSpec, "max_active_runs", least=1),
    "max_active_tasks": Argument(DagSpec, "max_active_tasks", least=1),
    "concurrency": Argument(DagSpec, "max_active_tasks", least=1),
    "dagrun_timeout": Argument(DagSpec, "dagrun_timeout", forms.duration, _A_MOMENT),
    "deadline": Argument(DagSpec, "deadline", forms.duration, _A_MOMENT),
    "sla": Argument(DagSpec, "deadline", forms.duration, _A_MOMENT),
    "fail_fast": Argument(DagSpec, "fail_fast"),
    "max_consecutive_failed_dag_runs": Argument(DagSpec, "max_consecutive_failed_dag_runs", least=0),
    "params": Argument(DagSpec, "params", specs_of),
    "user_defined_macros": Argument(DagSpec, "macros", constants_of),
    "render_template_as_native_obj": Argument(DagSpec, "native"),
    "tags": Argument(DagSpec, "tags"),
    "owner": Argument(DagSpec, "owner"),
    "doc_md": Argument(DagSpec, "doc_md"),
    "is_paused_upon_creation": Argument(DagSpec, "paused_on_creation"),
}
#: Of a container's arguments, what is the same for all instances of a mapped task.
_WRITTEN_ONCE = frozenset({"env_file", "concurrency_key", "map_index_template", "cache"})
#: What `default_args` may hold: any argument of any operator, and the dates, which are the DAG's.
DEFAULTS: dict[str, Argument] = (TRIGGER | EXTERNAL | APPROVAL | SHORT_CIRCUIT | SENSOR | EMPTY) | {
    name: DAG[name] for name in ("start_date", "end_date")
}

#: What names the engine; a socket of this machine means the one that the settings name.
ENGINE_NAMES = frozenset({"engine", "docker_url"})
_ONE_ENGINE = "there is one engine yet: the setting engine.address says where it is"
_LOCAL = ("unix:", "npipe:", "/")

#: What Airflow takes and nothing here needs: accepted, with one warning for each reason why it has no effect.
IDLE_EMPTY: Mapping[str, str] = {
    **dict.fromkeys(("queue", "executor", "executor_config"), "the scheduler starts every container itself"),
    "run_as_user": "`user` says who a container runs as",
    **dict.fromkeys(("email", "email_on_failure", "email_on_retry"), "nobody is told by mail yet"),
}
IDLE_DOCKER: Mapping[str, str] = {
    **IDLE_EMPTY,
    "auto_remove": "a container is always removed once its log is read",
    "host_tmp_dir": "temporary files are in a volume of the engine",
    **dict.fromkeys(ENGINE_NAMES, _ONE_ENGINE),
    "api_version": "the API version is negotiated",
    "timeout": "the setting engine.timeout says how long the engine has to answer",
    **dict.fromkeys(
        ("tls_ca_cert", "tls_client_cert", "tls_client_key", "tls_verify", "tls_hostname", "tls_ssl_version"),
        "how the engine is reached is said by the setting engine.address, and by DOCKER_HOST",
    ),
}
#: A sensor's `timeout` is its own.
IDLE_SENSOR: Mapping[str, str] = {name: why for name, why in IDLE_DOCKER.items() if name != "timeout"} | {
    "mode": "between two looks a sensor never holds anything, and each look is a container of its own"
}
#: What the scheduler does itself.
IDLE_WAIT: Mapping[str, str] = {
    **IDLE_EMPTY,
    **dict.fromkeys(("pool", "pool_slots", "priority_weight", "weight_rule"), "it takes no slot"),
    **dict.fromkeys(
        ("poke_interval", "mode", "deferrable", "exponential_backoff", "max_wait"),
        "it never looks: it is told when what it waits for has come",
    ),
}
IDLE_DAG: Mapping[str, str] = {
    "engine": _ONE_ENGINE,
    "sla_miss_callback": "nobody is told of lateness yet",
    "access_control": "there are no users to tell apart yet",
}
#: Of what has no effect, those that ask for something by an empty value, too: not to remove a container.
_ASKING_ALWAYS = frozenset({"auto_remove"})

#: What is refused for now, rather than accepted without effect.
_NOT_YET: Mapping[str, str] = {
    **dict.fromkeys(("start_date", "end_date"), "dates are the DAG's, for all of its tasks"),
    "on_deadline_miss": "nobody is told of lateness yet; `orchestrator runs late` lists what is late",
    **dict.fromkeys(
        ("on_failure_callback", "on_success_callback", "on_retry_callback", "on_skipped_callback"),
        "nobody is told how it ends yet; add a task with trigger_rule that tells",
    ),
}


def read_arguments(
    what: str,
    table: Mapping[str, Argument],
    given: Mapping[str, Any],
    defaults: Mapping[str, Any] | None = None,
    searchpath: Sequence[str] = (),
) -> Fields:
    """The fields that the given arguments fill, and, where they leave one open, `defaults`: of these, names
    that are not in the table are passed over. `what` names the thing constructed in messages; template files are
    looked for in `searchpath`."""
    check_names(f"{what} takes no argument", table, given)
    own = _by_field(what, table, given)
    known = {name: value for name, value in (defaults or {}).items() if name in table}
    fields: Fields = {}
    for (part, field), name in (_by_field("default_args", table, known) | own).items():
        written = given[name] if own.get((part, field)) == name else known[name]
        written = with_texts(f"{what}: {name}", written, searchpath)
        fields.setdefault(part, {})[field] = _value(f"{what}: {name}", table[name], written)
    return fields


def read_elements(what: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a container's template that elements of a mapped operator fill. Raises as `field_of` and
    `read_arguments`."""
    for name in given:
        field_of(what, name)
    return read_arguments(what, DOCKER, given).get(ContainerTemplate, {})


def field_of(what: str, name: str, *, expanded: bool = True) -> str:
    """The field that an argument fills. Where it is `expanded` it must be one of the container's: those are all
    that an operator can be mapped over."""
    argument = DOCKER.get(name)
    if not expanded:
        return name if argument is None else argument.field
    if argument is None or argument.part is not ContainerTemplate or name in _WRITTEN_ONCE:
        known = [each for each, taken in DOCKER.items() if taken.part is ContainerTemplate]
        raise fault(
            f"{what}: {name!r} cannot be expanded{'' if argument else nearest(str(name), known)}",
            rule=Rule.BAD_ARGUMENT,
            fix="expand what a container is given, like command or environment; the rest goes into .partial()",
        )
    return argument.field


def read_defaults(
    what: str, written: object, graph: Graph, outer: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """`default_args` as they were given, over those of the scope around: any argument of any operator."""
    if not isinstance(written, Mapping | None):
        raise fault(f"{what}: default_args is {written!r}", rule=Rule.BAD_ARGUMENT, fix="write a dict")
    inner = without_idle(f"{what}: default_args", DEFAULTS, IDLE_SENSOR, written or {}, graph)
    check_names(f"{what}: default_args: no operator takes", DEFAULTS, inner)
    fields = {DEFAULTS[name][:2] for name in inner}
    return {name: value for name, value in (outer or {}).items() if DEFAULTS[name][:2] not in fields} | inner


def without_idle(
    what: str,
    takes: Container[str],
    idle: Mapping[str, str],
    given: Mapping[str, Any],
    graph: Graph,
    task_id: str | None = None,
) -> dict[str, Any]:
    """What is given but for what changes nothing: names of the one engine there is; empty values of what is not
    to be had yet (not in `takes`); and what has no effect, of which the graph notes a warning for each reason."""
    asked: dict[str, list[str]] = {}
    for name, value in given.items():
        if name in idle and name in ENGINE_NAMES:
            _refuse_other_engine(what, name, value)
        elif name in idle and (value or name in _ASKING_ALWAYS):
            asked.setdefault(idle[name], []).append(name)
    for why, names in asked.items():
        text = f"{what}: {' and '.join(names)} {'have' if len(names) > 1 else 'has'} no effect: {why}"
        graph.notes.append(Note(Rule.NO_EFFECT, text, "leave it out", user_line(), task_id))
    empty = {name for name in _NOT_YET if name not in takes and not given.get(name)}
    return {name: value for name, value in given.items() if name not in idle and name not in empty}


def _refuse_other_engine(what: str, name: str, written: object) -> None:
    for each in written if isinstance(written, list | tuple) else (written,):
        if each not in (None, "default") and not (isinstance(each, str) and each.startswith(_LOCAL)):
            raise fault(
                f"{what}: {name} names another engine, {each!r}",
                rule=Rule.BAD_ARGUMENT,
                fix=f"leave it out: {_ONE_ENGINE}",
            )


def check_names(subject: str, table: Mapping[str, object], given: Mapping[str, Any]) -> None:
    """`unknown_argument`, naming the nearest known one, where a name is not in the table. `subject` begins the
    sentence: "... takes no argument"."""
    for name in given:
        if name not in table:
            waits = _NOT_YET.get(name)
            raise fault(
                f"{subject} {name!r}{' yet' if waits else nearest(str(name), table)}",
                rule=Rule.UNKNOWN_ARGUMENT,
                fix=f"leave it out: {waits}" if waits else "correct the name, or leave it out",
            )


def _by_field(
    what: str, table: Mapping[str, Argument], names: Mapping[str, Any]
) -> dict[tuple[type[Value], str], str]:
    """The name under which each field was given; two names for one field are an error."""
    found: dict[tuple[type[Value], str], str] = {}
    for name in names:
        place = (table[name].part, table[name].field)
        if place in found:
            raise fault(
                f"{what}: {found[place]} and {name} say the same thing",
                rule=Rule.BAD_ARGUMENT,
                fix=f"keep {found[place]}",
            )
        found[place] = name
    return found


def _value(what: str, argument: Argument, written: Any) -> Any:
    try:
        read = argument.read(written) if argument.read else written
        if isinstance(read, set | frozenset):  # in one order, so that one file is one version
            read = sorted(read, key=str)
        value = msgspec.convert(read, _types(argument.part)[argument.field])
    except (ValueError, msgspec.ValidationError) as error:
        raise fault(f"{what}: {error}", rule=Rule.BAD_ARGUMENT, fix="write a value that fits") from error
    if argument.least is not None and value is not None and value < argument.least:
        raise fault(f"{what} is {written!r}", rule=Rule.BAD_ARGUMENT, fix=f"write {argument.least} or more")
    return value


@cache
def _types(part: type[Value]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(part)}
