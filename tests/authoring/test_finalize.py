"""From a rendered template to a container spec: every argument, every refusal, and where the result goes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import FinalizeError
from orchestrator.ids import DeploymentId, Epoch, RunKey, TaskKey, TryId, TryKey, VersionId, container_name
from orchestrator.planning.rows import Interval, Run
from orchestrator.spec.container import ContainerSpec, Device, ImageFacts, Mount, MountType, Port, Share, Ulimit
from orchestrator.spec.dag import ContainerTemplate, DagSpec, TaskSpec
from orchestrator.spec.finalize import Site, finalize, with_try
from orchestrator.states import RunState, RunType

START = datetime(2013, 1, 1, 5, tzinfo=UTC)
RUN = Run(
    key=RunKey("d", "scheduled__x"),
    run_type=RunType.SCHEDULED,
    state=RunState.RUNNING,
    version=VersionId("v"),
    interval=Interval(start=START, end=START + timedelta(days=1)),
    conf={"a": [1, "ü"]},
    created_at=START,
)
KEY = TaskKey("d", "scheduled__x", "t")
TASK = TaskSpec(task_id="t", stop_grace=timedelta(seconds=3))
FLOW = DagSpec(dag_id="d", file="d.py", owner="ann", timezone="America/New_York")
SITE = Site(network="net", project="/srv/project", root_path=lambda name: f"/srv/roots/{name}")
ROOT = ImageFacts(id="sha256:1")
USER = ImageFacts(id="sha256:1", user="1000", world_writable_tmp=True)


def final(
    facts: ImageFacts = ROOT,
    /,
    *,
    task: TaskSpec = TASK,
    dag: DagSpec = FLOW,
    site: Site = SITE,
    **arguments: Any,
) -> ContainerSpec:
    template = ContainerTemplate(**{"image": "tool", **arguments})
    return finalize(template, dag=dag, task=task, run=RUN, key=KEY, image=facts, site=site)


def refusal(**arguments: Any) -> FinalizeError:
    with pytest.raises(FinalizeError) as refused:
        final(**arguments)
    assert refused.value.fix
    assert refused.value.message.startswith(refused.value.field + ": ")
    return refused.value


def test_a_bare_template_takes_everything_from_image_and_site() -> None:
    spec = final()
    assert spec == ContainerSpec(
        name="",
        image="sha256:1",
        image_name="tool",
        environment=spec.environment,
        network="net",
        stop_grace=timedelta(seconds=3),
        result_path="/.orchestrator-result",
    )


def test_what_engines_take_as_it_is_is_passed_on() -> None:
    arguments: dict[str, Any] = {
        "user": "root:1000",
        "hostname": "h",
        "platform": "linux/amd64",
        "network": "none",
        "tty": True,
        "init": True,
        "stop_signal": "INT",
        "cap_add": ("A",),
        "cap_drop": ("ALL",),
        "group_add": ("1",),
        "labels": {"team": "data"},
        "tmpfs": {"/t": "size=1m"},
    }
    assert final(**arguments) == msgspec.structs.replace(final(), **arguments)
    assert final(environment={"A": "x"}).environment == final().environment | {"A": "x"}
    assert final(working_dir="/w/./x/").working_dir == "/w/x"


def test_limits_become_numbers() -> None:
    spec = final(
        cpus="1.5",
        cpu_shares="512",
        mem_limit="1g",
        mem_reservation=2**20,
        memswap_limit="-1",
        shm_size="64m",
        pids_limit=100,
    )
    assert spec == msgspec.structs.replace(
        final(),
        cpus=1.5,
        cpu_shares=512,
        memory=2**30,
        memory_reservation=2**20,
        memory_swap=-1,
        shm_size=2**26,
        pids_limit=100,
        share=Share(cpus=1.5, memory=2**30),
    )


def test_what_declares_no_limit_counts_for_what_the_site_assumes() -> None:
    site = msgspec.structs.replace(SITE, assume_cpus=0.25, assume_memory=2**20)
    assert final(site=site).share == Share(cpus=0.25, memory=2**20)
    declared = final(site=site, cpus=2, mem_limit="1g", concurrency_key=" warehouse ")
    assert declared.share == Share(cpus=2.0, memory=2**30, key="warehouse")
    assert final(concurrency_key=" ").share == Share()


# --- the process --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "command"),
    [
        (None, None),
        ("echo 'a b' c", ("echo", "a b", "c")),
        (["echo", "a b", "", "$X | y"], ("echo", "a b", "", "$X | y")),
        ("sh -c 'echo \"a  b\" | wc'", ("sh", "-c", 'echo "a  b" | wc')),
        ([""], ("",)),
    ],
)
def test_a_text_is_split_as_a_shell_would_and_a_list_is_left_alone(written: Any, command: Any) -> None:
    assert final(command=written).command == command


@given(st.lists(st.text(), min_size=1))
def test_no_list_is_ever_split_again(words: list[str]) -> None:
    assert final(command=words).command == tuple(words)


def test_a_script_runs_in_a_shell_without_the_images_entrypoint() -> None:
    spec = final(script="echo a\necho 'b")
    assert (spec.entrypoint, spec.command) == ((), ("sh", "-ec", "echo a\necho 'b"))


@pytest.mark.parametrize(
    ("written", "entrypoint"), [(None, None), ("", ()), ([], ()), ("a 'b c'", ("a", "b c")), (["a b"], ("a b",))]
)
def test_an_entrypoint_may_be_taken_away(written: Any, entrypoint: Any) -> None:
    assert final(entrypoint=written).entrypoint == entrypoint


@pytest.mark.parametrize(
    ("arguments", "field", "says"),
    [
        ({"image": ""}, "image", "is empty"),
        ({"image": "  "}, "image", "is empty"),
        ({"image": None}, "image", "is empty"),
        ({"command": ""}, "command", "is empty"),
        ({"command": "  "}, "command", "is empty"),
        ({"command": []}, "command", "is empty"),
        ({"command": "echo 'a"}, "command", "No closing quotation"),
        ({"script": " \n"}, "script", "is empty"),
        ({"script": "a", "command": "b"}, "script", "excludes"),
        ({"working_dir": "w"}, "working_dir", "no absolute path"),
        ({"mem_limit": "much"}, "mem_limit", "no size"),
        ({"cpus": "0"}, "cpus", "no number of cores"),
        ({"labels": {"orchestrator.kind": "x"}}, "labels['orchestrator.kind']", "are the orchestrator's"),
        ({"labels": {"": "x"}}, "labels['']", "are the orchestrator's"),
        ({"environment": {"A=B": "x"}}, "environment['A=B']", "no variable"),
        ({"environment": {"": "x"}}, "environment['']", "no variable"),
        ({"environment": {"A": "x\0"}}, "environment['A']", "no variable"),
        ({"environment": {"ORCHESTRATOR_RESULT": "x"}}, "environment['ORCHESTRATOR_RESULT']", "is set by"),
        ({"environment": {"ORCHESTRATOR_TRY_NUMBER": "x"}}, "environment['ORCHESTRATOR_TRY_NUMBER']", "is set by"),
        ({"environment": {"AIRFLOW_CTX_DAG_ID": "x"}}, "environment['AIRFLOW_CTX_DAG_ID']", "is set by"),
        ({"env_file": {"A=B": "x"}}, "env_file['A=B']", "no variable"),
        ({"container_name": "a b"}, "container_name", "cannot begin a name"),
        ({"container_name": "x" * 33}, "container_name", "cannot begin a name"),
        ({"network": "a", "networks": ("b",)}, "networks", "excludes network"),
        ({"networks": ("a", "host")}, "networks", "'host' cannot be one of several"),
        ({"networks": ("container:x", "a")}, "networks", "'container:x' cannot be one of several"),
        ({"ports": ("80", "eighty")}, "ports[1]", "'eighty' is no port"),
        ({"ports": ("70000:80",)}, "ports[0]", "is no port"),
        ({"ports": ("0",)}, "ports[0]", "is no port"),
        ({"ulimits": ("nofile",)}, "ulimits[0]", "no limit of a process"),
        ({"devices": ("null",)}, "devices[0]", "no device"),
        ({"devices": ("/dev/null:/dev/x:rx",)}, "devices[0]", "no device"),
        ({"cpuset_cpus": "all"}, "cpuset_cpus", "names no processors"),
        ({"blkio_weight": 5}, "blkio_weight", "no whole number from 10 to 1000"),
        ({"oom_score_adj": "-1001"}, "oom_score_adj", "no whole number from -1000 to 1000"),
        ({"oom_score_adj": "a"}, "oom_score_adj", "no whole number"),
        ({"sysctls": {"": "1"}}, "sysctls", "is empty"),
        ({"tmpfs": {"t": ""}}, "tmpfs", "no absolute path"),
        ({"tmpfs": {"/": ""}}, "tmpfs", "root of the container"),
        ({"inputs": {"in": ""}}, "inputs['in']", "no absolute path"),
        ({"inputs": {"/in/": ""}}, "inputs['/in/']", "no path of one file"),
        ({"inputs": {"/a/b": "", "/a/./b": ""}}, "inputs['/a/./b']", "/a/b is copied in twice"),
    ],
)
def test_what_no_container_can_have_is_refused_by_field(arguments: dict[str, Any], field: str, says: str) -> None:
    refused = refusal(**arguments)
    assert refused.field == field
    assert says in refused.message


@pytest.mark.parametrize("name", ["user", "hostname", "platform", "stop_signal", "working_dir"])
def test_a_text_that_renders_to_nothing_counts_as_not_given(name: str) -> None:
    arguments: dict[str, Any] = {name: ""}
    assert final(**arguments) == final()


def test_an_empty_network_is_the_sites() -> None:
    assert final(network="").network == "net"
    assert final(networks=("",)).network == "net"


def test_of_several_networks_one_is_the_first() -> None:
    spec = final(networks=("a", "", "b", "a"))
    assert (spec.network, spec.networks) == ("a", ("b",))


@pytest.mark.parametrize(
    ("written", "port"),
    [
        ("80", Port(container="80/tcp")),
        ("80/udp", Port(container="80/udp")),
        ("8080:80", Port(container="80/tcp", host_port="8080")),
        ("127.0.0.1:8080:80", Port(container="80/tcp", host_ip="127.0.0.1", host_port="8080")),
        ("127.0.0.1::80", Port(container="80/tcp", host_ip="127.0.0.1")),
        ("[::1]:8080:80/tcp", Port(container="80/tcp", host_ip="::1", host_port="8080")),
    ],
)
def test_a_port_is_read_as_docker_run_reads_it(written: str, port: Port) -> None:
    assert final(ports=(written,)).ports == (port,)


@pytest.mark.parametrize(
    ("written", "device"),
    [
        ("/dev/x", Device(host="/dev/x", container="/dev/x")),
        ("/dev/x:/dev/y", Device(host="/dev/x", container="/dev/y")),
        ("/dev/x:/dev/y:r", Device(host="/dev/x", container="/dev/y", permissions="r")),
        ("/dev/x:rw", Device(host="/dev/x", container="/dev/x", permissions="rw")),
    ],
)
def test_a_device_is_read_as_docker_run_reads_it(written: str, device: Device) -> None:
    assert final(devices=(written,)).devices == (device,)


def test_limits_of_processes_are_soft_and_hard() -> None:
    assert final(ulimits=("nofile=1:2", "core=-1")).ulimits == (
        Ulimit(name="nofile", soft=1, hard=2),
        Ulimit(name="core", soft=-1, hard=-1),
    )


def test_an_item_that_renders_to_nothing_is_left_out() -> None:
    assert final(dns=("", "10.0.0.1")).dns == ("10.0.0.1",)
    assert final(ports=("",), cpuset_cpus="") == final()


def test_written_variables_come_over_those_of_a_file() -> None:
    environment = final(env_file={"A": "file", "B": "file"}, environment={"B": "written"}).environment
    assert (environment["A"], environment["B"]) == ("file", "written")


def test_a_name_of_ones_own_keeps_what_makes_it_unique() -> None:
    key, deployment = TryKey(KEY, 2), DeploymentId("0a1b2c3d")
    own, usual = container_name(deployment, key, first="load"), container_name(deployment, key)
    assert own.startswith("load-0a1b2c3d-")
    assert own.split("-")[-3:] == usual.split("-")[-3:]
    longest = container_name(DeploymentId("0a1b2c3dt0123"), TryKey(KEY, 999), first="x" * 32)
    assert len(longest) <= 63


def test_a_site_may_choose_the_user_of_a_task_that_names_none() -> None:
    asked: list[tuple[str, ...]] = []

    def run_as(roots: tuple[str, ...]) -> str:
        asked.append(roots)
        return "1000:5"

    site = msgspec.structs.replace(SITE, run_as=run_as)
    mounts = (Mount(type=MountType.ROOT, source="flights", target="/d"), Mount(source="vol", target="/v"))
    spec = finalize(
        ContainerTemplate(image="tool", mounts=mounts), dag=FLOW, task=TASK, run=RUN, key=KEY, image=ROOT, site=site
    )
    assert (spec.user, asked) == ("1000:5", [("flights",)])
    assert spec.result_path != final().result_path, "that user cannot write where root can"
    named = ContainerTemplate(image="tool", user="7")
    assert finalize(named, dag=FLOW, task=TASK, run=RUN, key=KEY, image=ROOT, site=site).user == "7"


# --- environment and identity -------------------------------------------------------------------------


def test_every_container_is_told_what_it_stands_for() -> None:
    start, end = "2013-01-01T00:00:00-05:00", "2013-01-02T00:00:00-05:00"
    assert final(environment={"A": "1"}).environment == {
        "A": "1",
        "ORCHESTRATOR_DAG_ID": "d",
        "ORCHESTRATOR_TASK_ID": "t",
        "ORCHESTRATOR_RUN_ID": "scheduled__x",
        "ORCHESTRATOR_MAP_INDEX": "-1",
        "ORCHESTRATOR_LOGICAL_DATE": start,
        "ORCHESTRATOR_DATA_INTERVAL_START": start,
        "ORCHESTRATOR_DATA_INTERVAL_END": end,
        "ORCHESTRATOR_CONF": '{"a":[1,"ü"]}',
        "ORCHESTRATOR_RESULT": "/.orchestrator-result",
        "AIRFLOW_CTX_DAG_OWNER": "ann",
        "AIRFLOW_CTX_DAG_ID": "d",
        "AIRFLOW_CTX_TASK_ID": "t",
        "AIRFLOW_CTX_DAG_RUN_ID": "scheduled__x",
        "AIRFLOW_CTX_LOGICAL_DATE": start,
        "AIRFLOW_CTX_EXECUTION_DATE": start,
    }


def test_a_tasks_owner_comes_before_the_dags() -> None:
    task = TaskSpec(task_id="t", owner="bob")
    assert final(task=task).environment["AIRFLOW_CTX_DAG_OWNER"] == "bob"


def test_a_try_adds_its_name_labels_and_number() -> None:
    before = final(labels={"team": "data"})
    key, deployment = TryKey(KEY, 3), DeploymentId("0a1b2c3d")
    spec = with_try(before, deployment=deployment, key=key, try_id=TryId("f" * 16), epoch=Epoch(7))
    assert spec == msgspec.structs.replace(
        before,
        name=container_name(deployment, key),
        labels={
            "team": "data",
            "orchestrator.deployment": "0a1b2c3d",
            "orchestrator.kind": "try",
            "orchestrator.dag_id": "d",
            "orchestrator.run_id": "scheduled__x",
            "orchestrator.task_id": "t",
            "orchestrator.map_index": "-1",
            "orchestrator.try_number": "3",
            "orchestrator.try_id": "f" * 16,
            "orchestrator.epoch": "7",
        },
        environment=before.environment | {"ORCHESTRATOR_TRY_NUMBER": "3", "AIRFLOW_CTX_TRY_NUMBER": "3"},
    )
