"""Arguments of operators: each reaches the spec, nothing else is taken, mistakes name their way out."""

import inspect
from datetime import UTC, datetime, timedelta
from typing import Any, get_type_hints
from zoneinfo import ZoneInfo

import msgspec
import pendulum
import pytest
from docker.types import DeviceRequest as DockerDeviceRequest
from docker.types import Ulimit

from orchestrator import DAG, Asset, DockerOperator, EmptyOperator, Mount, TaskGroup, TriggerRule
from orchestrator.authoring.arguments import AtOnceArguments, DagArguments, DockerArguments, TaskArguments
from orchestrator.authoring.taken import DAG as DAG_TABLE
from orchestrator.authoring.taken import DOCKER, EMPTY
from orchestrator.authoring.without_effect import IDLE, IDLE_DAG, IDLE_DOCKER, IDLE_EMPTY
from orchestrator.errors import AuthoringError
from orchestrator.spec.assets import AssetSpec
from orchestrator.spec.container import DeviceRequest
from orchestrator.spec.container import Mount as MountSpec
from orchestrator.spec.dag import (
    ContainerTemplate,
    DagSpec,
    PullPolicy,
    ResultFrom,
    RetryPolicy,
    TaskKind,
    TaskSpec,
    WeightRule,
)
from orchestrator.spec.params import ParamSpec

MIDNIGHT = datetime(2024, 1, 2, tzinfo=UTC)
GPUS = DeviceRequest(count=-1, capabilities=(("gpu",),))
#: One way to write each argument, the field it fills, and what must stand there.
WRITTEN: list[tuple[str, Any, str, Any]] = [
    ("image", "alpine:3", "container.image", "alpine:3"),
    ("command", "echo {{ ds }}", "container.command", "echo {{ ds }}"),
    ("command", ("echo", "a b"), "container.command", ["echo", "a b"]),
    ("script", "echo a\necho b", "container.script", "echo a\necho b"),
    ("entrypoint", ["python3"], "container.entrypoint", ["python3"]),
    ("entrypoint", [], "container.entrypoint", []),
    ("environment", {"A": "x", "B": 3}, "container.environment", {"A": "x", "B": "3"}),
    ("inputs", {"/in": "text"}, "container.inputs", {"/in": "text"}),
    ("labels", {"team": "data"}, "container.labels", {"team": "data"}),
    ("labels", ["team=data", "flag"], "container.labels", {"team": "data", "flag": ""}),
    ("mounts", ["data:/d:ro"], "container.mounts", (MountSpec(source="data", target="/d", read_only=True),)),
    ("volumes", ["data:/d"], "container.mounts", (MountSpec(source="data", target="/d"),)),
    ("tmpfs", {"/t": "size=1m"}, "container.tmpfs", {"/t": "size=1m"}),
    ("tmpfs", ["/t", "/u:size=1m"], "container.tmpfs", {"/t": "", "/u": "size=1m"}),
    ("mount_tmp_dir", True, "container.mount_tmp_dir", True),
    ("tmp_dir", "/scratch", "container.tmp_dir", "/scratch"),
    ("user", 1000, "container.user", "1000"),
    ("working_dir", "/w", "container.working_dir", "/w"),
    ("hostname", "h", "container.hostname", "h"),
    ("platform", "linux/amd64", "container.platform", "linux/amd64"),
    ("container_name", "load", "container.container_name", "load"),
    ("runtime", "runc", "container.runtime", "runc"),
    ("network", "none", "container.network", "none"),
    ("network_mode", "none", "container.network", "none"),
    ("tty", True, "container.tty", True),
    ("init", True, "container.init", True),
    ("read_only", True, "container.read_only", True),
    ("stop_signal", "INT", "container.stop_signal", "INT"),
    ("cpus", 1, "container.cpus", 1.0),
    ("cpus", "1.5", "container.cpus", "1.5"),
    ("cpu_shares", 512, "container.cpu_shares", 512),
    ("mem_limit", "512m", "container.mem_limit", "512m"),
    ("mem_reservation", "256m", "container.mem_reservation", "256m"),
    ("memswap_limit", -1, "container.memswap_limit", -1),
    ("shm_size", 1024, "container.shm_size", 1024),
    ("pids_limit", 100, "container.pids_limit", 100),
    ("cap_add", ["SYS_NICE"], "container.cap_add", ("SYS_NICE",)),
    ("cap_drop", {"B", "C", "A"}, "container.cap_drop", ("A", "B", "C")),
    ("group_add", [1000, "docker"], "container.group_add", ("1000", "docker")),
    ("cpuset_cpus", "0-1", "container.cpuset_cpus", "0-1"),
    ("blkio_weight", 100, "container.blkio_weight", 100),
    ("oom_score_adj", "{{ params.x }}", "container.oom_score_adj", "{{ params.x }}"),
    ("ulimits", {"nofile": 1, "core": (2, 3)}, "container.ulimits", ("nofile=1", "core=2:3")),
    ("ulimits", [Ulimit(name="nofile", soft=1, hard=2)], "container.ulimits", ("nofile=1:2",)),
    ("ulimits", [{"Name": "core", "Hard": 2}, "cpu=5"], "container.ulimits", ("core=2:2", "cpu=5")),
    ("devices", ["/dev/null:/dev/x:r"], "container.devices", ("/dev/null:/dev/x:r",)),
    ("device_requests", [{"count": -1, "capabilities": [["gpu"]]}], "container.device_requests", (GPUS,)),
    (
        "device_requests",
        [DockerDeviceRequest(count=-1, capabilities=[["gpu"]])],
        "container.device_requests",
        (GPUS,),
    ),
    ("storage_opt", {"size": "1G"}, "container.storage_opt", {"size": "1G"}),
    ("networks", ["a", "b"], "container.networks", ("a", "b")),
    ("ports", [80, "8080:80/udp"], "container.ports", ("80", "8080:80/udp")),
    (
        "port_bindings",
        {"80/tcp": 8080, 81: None, "82": ("127.0.0.1", 1), "83": [1, 2], "84": ("::1",)},
        "container.ports",
        ("8080:80/tcp", "81", "127.0.0.1:1:82", "1:83", "2:83", "::1::84"),
    ),
    ("dns", ["10.0.0.1"], "container.dns", ("10.0.0.1",)),
    ("dns_search", "example.org", "container.dns_search", ("example.org",)),
    ("extra_hosts", {"db": "10.0.0.1"}, "container.extra_hosts", {"db": "10.0.0.1"}),
    ("extra_hosts", ["db:10.0.0.1"], "container.extra_hosts", {"db": "10.0.0.1"}),
    ("privileged", True, "container.privileged", True),
    ("security_opt", ["seccomp=unconfined"], "container.security_opt", ("seccomp=unconfined",)),
    ("userns_mode", "host", "container.userns_mode", "host"),
    ("ipc_mode", "private", "container.ipc_mode", "private"),
    ("pid_mode", "host", "container.pid_mode", "host"),
    ("sandbox", False, "container.sandbox", False),
    ("log_opts_max_size", "10m", "container.log_opts_max_size", "10m"),
    ("log_opts_max_file", "3", "container.log_opts_max_file", "3"),
    ("sysctls", {"net.core.somaxconn": 1024}, "container.sysctls", {"net.core.somaxconn": "1024"}),
    ("retries", 3, "retry.retries", 3),
    ("retry_delay", 90, "retry.delay", timedelta(seconds=90)),
    ("retry_delay", pendulum.duration(minutes=2), "retry.delay", timedelta(minutes=2)),
    ("retry_exponential_backoff", True, "retry.exponential", True),
    ("max_retry_delay", timedelta(hours=1), "retry.max_delay", timedelta(hours=1)),
    ("retry_jitter", True, "retry.jitter", True),
    ("infrastructure_retries", 0, "retry.infrastructure_retries", 0),
    ("rerun_lost", False, "retry.rerun_lost", False),
    ("retry_exit_codes", {76, 75}, "retry.retry_exit_codes", (75, 76)),
    ("fail_exit_codes", 2, "retry.fail_exit_codes", (2,)),
    ("trigger_rule", "all_done", "trigger_rule", TriggerRule.ALL_DONE),
    ("trigger_rule", TriggerRule.ONE_DONE, "trigger_rule", TriggerRule.ONE_DONE),
    ("trigger_rule", "dummy", "trigger_rule", TriggerRule.ALWAYS),
    ("trigger_rule", "none_failed_or_skipped", "trigger_rule", TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS),
    ("execution_timeout", 1.5, "execution_timeout", timedelta(seconds=1.5)),
    ("start_timeout", 5, "start_timeout", timedelta(seconds=5)),
    ("idle_timeout", 0.5, "idle_timeout", timedelta(seconds=0.5)),
    ("keep_failed", True, "keep_failed", True),
    ("retrieve_output", True, "retrieve_output", True),
    ("retrieve_output_path", "/out", "container.retrieve_output_path", "/out"),
    ("multiple_outputs", True, "multiple_outputs", True),
    ("pull_timeout", timedelta(minutes=1), "pull_timeout", timedelta(minutes=1)),
    ("stop_grace", 0, "stop_grace", timedelta(0)),
    ("pull", "always", "pull", PullPolicy.ALWAYS),
    ("force_pull", True, "pull", PullPolicy.ALWAYS),
    ("skip_on_exit_code", 99, "skip_on_exit_code", (99,)),
    ("skip_on_exit_code", None, "skip_on_exit_code", ()),
    ("do_xcom_push", False, "push_result", False),
    ("xcom", None, "result_from", None),
    ("xcom", "all_lines", "result_from", ResultFrom.ALL_LINES),
    ("xcom_all", True, "result_from", ResultFrom.ALL_LINES),
    ("pool", "gpu", "pool", "gpu"),
    ("pool_slots", 2, "pool_slots", 2),
    ("priority_weight", -5, "priority_weight", -5),
    ("weight_rule", "absolute", "weight_rule", WeightRule.ABSOLUTE),
    ("max_active_tis_per_dag", 2, "max_active_tis_per_dag", 2),
    ("task_concurrency", 2, "max_active_tis_per_dag", 2),
    ("max_active_tis_per_dagrun", 2, "max_active_tis_per_dagrun", 2),
    ("params", {"n": (1, 2)}, "params", {"n": ParamSpec(default=[1, 2])}),
    ("concurrency_key", "db {{ ds }}", "container.concurrency_key", "db {{ ds }}"),
    ("map_index_template", "{{ ds }}", "container.map_index_template", "{{ ds }}"),
    ("outputs", ["/out/*.csv"], "container.outputs", ("/out/*.csv",)),
    ("result_schema", {"type": "object"}, "result_schema", {"type": "object"}),
    ("owner", "ann", "owner", "ann"),
    ("skip_exit_code", 99, "skip_on_exit_code", (99,)),
    ("start_date", datetime(2024, 1, 2, 1, tzinfo=ZoneInfo("Europe/Berlin")), "start_date", MIDNIGHT),
    ("end_date", MIDNIGHT, "end_date", MIDNIGHT),
    ("depends_on_past", True, "depends_on_past", True),
    ("wait_for_downstream", True, "wait_for_downstream", True),
    ("doc_md", "# Hi", "doc_md", "# Hi"),
    ("inlets", Asset("a"), "inlets", (AssetSpec(name="a"),)),
    ("outlets", [Asset("a")], "outlets", (AssetSpec(name="a"),)),
]


def spec_of(**arguments: Any) -> TaskSpec:
    with DAG("d"):
        return DockerOperator(**{"task_id": "t", **arguments}).spec


def refusal(**arguments: Any) -> AuthoringError:
    with DAG("d"), pytest.raises(AuthoringError) as refused:
        DockerOperator(**{"task_id": "t", **arguments})
    return refused.value


@pytest.mark.parametrize(("name", "written", "field", "value"), WRITTEN)
def test_an_argument_reaches_its_field(name: str, written: Any, field: str, value: Any) -> None:
    found: Any = spec_of(**{name: written})
    for part in field.split("."):
        found = getattr(found, part)
    assert found == value
    assert type(found) is type(value)


def test_every_argument_is_written_once_above() -> None:
    told_elsewhere = {"env_file", "private_environment", "secrets", "connections", "docker_conn_id"}
    told_elsewhere |= {"cache", "deadline", "sla"}
    assert {name for name, *_ in WRITTEN} | told_elsewhere == DOCKER.keys()


def test_the_signature_names_just_what_is_read() -> None:
    where = {"task_id", "dag", "task_group"}
    assert get_type_hints(DockerArguments).keys() == DOCKER.keys() | IDLE_DOCKER.keys() | where
    assert get_type_hints(TaskArguments).keys() == EMPTY.keys() | IDLE.keys() | where
    assert get_type_hints(AtOnceArguments).keys() == EMPTY.keys() | IDLE_EMPTY.keys() | where
    dag = DAG_TABLE.keys() | IDLE_DAG.keys() | {"timezone", "default_args", "template_searchpath"}
    assert get_type_hints(DagArguments).keys() == dag


def test_every_field_of_a_task_can_be_written() -> None:
    ours = {"task_id", "kind", "operator", "upstream", "container", "retry", "group", "line"}
    ours |= {"choice", "setup", "teardown", "map", "function", "sensor", "control"}
    filled = {(argument.part, argument.field) for argument in DOCKER.values()}
    for part, hidden in ((ContainerTemplate, {"sealed", "call"}), (RetryPolicy, set()), (TaskSpec, ours)):
        assert {field for of, field in filled if of is part} == set(part.__struct_fields__) - hidden
    dag_ours = {"dag_id", "file", "line", "timezone", "tasks", "groups", "edge_labels"}
    assert {argument.field for argument in DAG_TABLE.values()} == set(DagSpec.__struct_fields__) - dag_ours


def test_what_is_not_written_has_the_specs_defaults() -> None:
    assert spec_of(image="x") == TaskSpec(
        task_id="t", container=ContainerTemplate(image="x"), line=spec_of(image="x").line
    )


def test_a_spec_survives_serialization() -> None:
    spec = spec_of(command=["a"], mounts=[Mount.root("r", "/r")], retry_delay=pendulum.duration(seconds=3))
    assert msgspec.json.decode(msgspec.json.encode(spec), type=TaskSpec) == spec


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("comand", "command"), ("mem_limits", "mem_limit"), ("retry", "retries"), ("environments", "environment")],
)
def test_an_unknown_argument_names_the_nearest(name: str, nearest: str) -> None:
    refused = refusal(**{name: 1})
    assert refused.rule == "unknown_argument"
    assert f"{name!r}; did you mean {nearest!r}?" in refused.message
    assert "DockerOperator 't'" in refused.message


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("image", 3), ("command", ["a", 1]), ("command", {"a"}), ("script", ["a"]), ("environment", ["A=1"]),
        ("environment", {"A": None}), ("environment", {"A": {"b": 1}}), ("inputs", ["/a"]), ("labels", 1),
        ("mounts", "data:/d"), ("mounts", [3]), ("tmpfs", 1), ("tty", "yes"), ("cap_add", "ALL"), ("cpus", True),
        ("mem_limit", 1.5), ("retries", -1), ("retries", 1.5), ("retries", True), ("retry_delay", "5m"),
        ("retry_delay", -1), ("retry_delay", True), ("execution_timeout", 0), ("skip_on_exit_code", 256),
        ("skip_on_exit_code", "99"), ("fail_exit_codes", [True]), ("pool_slots", 0), ("pull", "sometimes"),
        ("force_pull", 1), ("xcom_all", None), ("xcom", "first"), ("max_active_tis_per_dag", 0),
        ("params", [1]), ("params", {"a": object()}), ("trigger_rule", None), ("weight_rule", "up"),
        ("ports", "80"), ("ports", [1.5]), ("ulimits", [3]), ("ulimits", [{"soft": 1}]), ("dns", 3),
        ("device_requests", ["all"]), ("device_requests", [{"cout": 1}]), ("privileged", "yes"),
        ("extra_hosts", "db:1"), ("env_file", 3), ("env_file", "missing.env"), ("sysctls", ["a=1"]),
        ("environment", {"{{ ds }}": "x"}), ("inputs", {"/{{ ds }}": "x"}), ("tmpfs", ["/{{ ds }}"]),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused_by_its_name(name: str, written: Any) -> None:
    refused = refusal(**{name: written})
    assert refused.rule == "bad_argument"
    assert "DockerOperator 't'" in refused.message or "mount" in refused.message
    assert name in refused.message or "mount" in refused.message
    assert refused.fix


def test_an_unknown_trigger_rule_names_the_nearest() -> None:
    assert "did you mean 'all_done'" in refusal(trigger_rule="all_don").message


def test_two_names_of_one_thing_are_refused_together() -> None:
    refused = refusal(network="a", network_mode="b")
    assert refused.message.endswith("network and network_mode say the same thing")


@pytest.mark.parametrize("other", [{"command": "x"}, {"entrypoint": ["x"]}])
def test_a_script_excludes_a_command(other: dict[str, Any]) -> None:
    assert "script excludes command and entrypoint" in refusal(script="true", **other).message


def test_a_task_needs_an_id() -> None:
    with DAG("d"), pytest.raises(AuthoringError) as refused:
        EmptyOperator()  # type: ignore[call-arg]  # what a user might forget
    assert refused.value.rule == "missing_argument"


@pytest.mark.parametrize("task_id", ["", "a b", "a/b", "ä", "x" * 251])
def test_an_id_has_letters_digits_and_dots_only(task_id: str) -> None:
    assert refusal(task_id=task_id).rule == "bad_id"


def test_a_second_task_of_the_same_id_is_refused_with_the_line_of_the_first() -> None:
    with DAG("d") as made:
        first = EmptyOperator(task_id="t")
        with pytest.raises(AuthoringError) as refused:
            EmptyOperator(task_id="t")
    assert refused.value.rule == "duplicate_id"
    assert f"DAG 'd' has a task 't' already (line {first.spec.line})" in refused.value.message
    assert list(made.graph.tasks) == ["t"]


def test_an_empty_operator_takes_only_what_has_an_effect_on_it() -> None:
    with DAG("d"):
        spec = EmptyOperator(task_id="e", trigger_rule="all_done", owner="ann", doc_md="x").spec
        assert (spec.kind, spec.operator, spec.container) == (TaskKind.EMPTY, "EmptyOperator", None)
        with pytest.raises(AuthoringError, match="EmptyOperator 'f' takes no argument 'image'"):
            EmptyOperator(task_id="f", image="x:1")  # type: ignore[call-arg]  # what a user might try


def test_a_task_outside_every_dag_is_refused() -> None:
    with pytest.raises(AuthoringError) as refused:
        EmptyOperator(task_id="t")
    assert refused.value.rule == "outside_dag"


def test_a_task_may_name_its_dag_or_group() -> None:
    made, other = DAG("d"), DAG("e")
    with made:
        group = TaskGroup("g")
    with other:
        EmptyOperator(task_id="a", dag=made)
        EmptyOperator(task_id="b", task_group=group)
    assert list(made.graph.tasks) == ["a", "g.b"]
    assert not other.graph.tasks


def test_naming_the_dag_one_is_in_keeps_the_group_one_is_in() -> None:
    with DAG("d") as made, TaskGroup("g"):
        assert EmptyOperator(task_id="a", dag=made).task_id == "g.a"


def test_a_task_belongs_to_one_dag() -> None:
    with DAG("d"):
        group = TaskGroup("g")
    with pytest.raises(AuthoringError, match="two DAGs, 'd' and 'e'") as refused:
        EmptyOperator(task_id="t", dag=DAG("e"), task_group=group)
    assert refused.value.rule == "outside_dag"


def test_something_else_than_a_dag_is_refused() -> None:
    with pytest.raises(AuthoringError, match="'d' is no DAG"):
        EmptyOperator(task_id="t", dag="d")  # type: ignore[arg-type]  # what a user might try


def test_the_line_is_that_of_the_constructor_call() -> None:
    frame = inspect.currentframe()
    assert frame is not None
    with DAG("d") as made:
        here = frame.f_lineno
        task = DockerOperator(
            task_id="t",
            image="x",
        )
    assert (task.spec.line, made.spec.line) == (here + 1, here - 1)
    with pytest.raises(AuthoringError) as refused:
        DockerOperator(task_id="u", imag="x", dag=made)  # type: ignore[call-arg]  # what a user might mistype
    assert refused.value.line == here + 7


def test_notes_may_be_added_afterwards_and_nothing_else() -> None:
    with DAG("d") as made:
        task = EmptyOperator(task_id="t")
    task.doc_md = "about the task"
    made.doc_md = "about the DAG"
    assert made.graph.tasks["t"].doc_md == task.doc_md == "about the task"
    assert made.spec.doc_md == made.doc_md == "about the DAG"
    with pytest.raises(AttributeError):
        task.retries = 3  # type: ignore[attr-defined]  # what has no effect must not pass
