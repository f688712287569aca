"""Which field of which spec value each argument of an operator or a DAG fills, and how it is read. A new argument
is a field of the spec and a line here."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from orchestrator.authoring import docker_forms, forms, secrets, waiting_forms
from orchestrator.authoring.assets import read_assets
from orchestrator.authoring.caching import read_cache
from orchestrator.authoring.dates import read_date
from orchestrator.authoring.params import constants_of, specs_of
from orchestrator.authoring.schedules import read_schedule
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


_A_MOMENT = timedelta(microseconds=1)
_COMMON = {
    "trigger_rule": Argument(TaskSpec, "trigger_rule", forms.trigger_rule),
    "depends_on_past": Argument(TaskSpec, "depends_on_past"),
    "wait_for_downstream": Argument(TaskSpec, "wait_for_downstream"),
    "start_date": Argument(TaskSpec, "start_date", partial(read_date, "start_date")),
    "end_date": Argument(TaskSpec, "end_date", partial(read_date, "end_date")),
    "priority_weight": Argument(TaskSpec, "priority_weight"),
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
    "skip_exit_code": Argument(TaskSpec, "skip_on_exit_code", forms.exit_codes),
    "do_xcom_push": Argument(TaskSpec, "push_result"),
    "xcom": Argument(TaskSpec, "result_from"),
    "xcom_all": Argument(TaskSpec, "result_from", forms.every_line),
    "retrieve_output": Argument(TaskSpec, "retrieve_output"),
    "multiple_outputs": Argument(TaskSpec, "multiple_outputs"),
    "result_schema": Argument(TaskSpec, "result_schema", forms.json_values_if_any),
    "pool": Argument(TaskSpec, "pool"),
    "pool_slots": Argument(TaskSpec, "pool_slots", least=1),
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
_RESULT = {"do_xcom_push": _LIFE["do_xcom_push"]}
TRIGGER: dict[str, Argument] = {
    **(_COMMON | _AGAIN | _RESULT),
    "params": _LIFE["params"],
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
    "params": _LIFE["params"],
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
    **(_COMMON | _AGAIN | _RESULT),
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
    "fail_stop": Argument(DagSpec, "fail_fast"),
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
WRITTEN_ONCE = frozenset({"env_file", "concurrency_key", "map_index_template", "cache"})
#: What `default_args` may hold: any argument of any operator.
DEFAULTS: dict[str, Argument] = TRIGGER | EXTERNAL | APPROVAL | SHORT_CIRCUIT | SENSOR | EMPTY
