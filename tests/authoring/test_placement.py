"""Mounts, files and results of a finalized container: where everything goes, and what cannot be."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from orchestrator.errors import FinalizeError
from orchestrator.ids import DeploymentId, Epoch, RunKey, TaskKey, TryId, TryKey, VersionId
from orchestrator.planning.rows import Interval, Run
from orchestrator.spec.container import (
    ContainerSpec,
    ImageFacts,
    InputFile,
    Mount,
    MountType,
)
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
    facts: ImageFacts = ROOT, /, *, task: TaskSpec = TASK, dag: DagSpec = FLOW, **arguments: Any
) -> ContainerSpec:
    template = ContainerTemplate(**{"image": "tool", **arguments})
    return finalize(template, dag=dag, task=task, run=RUN, key=KEY, image=facts, site=SITE)


def refusal(**arguments: Any) -> FinalizeError:
    with pytest.raises(FinalizeError) as refused:
        final(**arguments)
    assert refused.value.fix
    assert refused.value.message.startswith(refused.value.field + ": ")
    return refused.value


# --- volumes of ours ----------------------------------------------------------------------------------


def mounts_of(deployment: str, key: TaskKey, *mounts: Mount, **arguments: Any) -> tuple[Mount, ...]:
    spec = final(mounts=mounts, **arguments)
    identity = {"try_id": TryId("f" * 16), "epoch": Epoch(7)}
    return with_try(spec, deployment=DeploymentId(deployment), key=TryKey(key, 1), **identity).mounts


def test_a_run_has_one_volume_and_a_dag_has_one() -> None:
    run, dag = Mount(type=MountType.RUN, target="/r"), Mount(type=MountType.DAG, target="/d")
    other_task, other_run = TaskKey("d", "scheduled__x", "u"), TaskKey("d", "scheduled__y", "t")
    names = [
        [mount.source for mount in mounts_of("0a1b2c3d", key, run, dag)] for key in (KEY, other_task, other_run)
    ]
    assert names[0] == names[1]
    assert names[0][0] != names[2][0]
    assert names[0][1] == names[2][1] != names[0][0]
    assert {mount.type for mount in mounts_of("0a1b2c3d", KEY, run, dag)} == {MountType.VOLUME}


def test_a_test_has_a_run_volume_of_its_own_and_the_homes_other_volumes() -> None:
    mounts = (
        Mount(type=MountType.RUN, target="/r"),
        Mount(type=MountType.DAG, target="/d"),
        Mount(source="vol", target="/v"),
    )
    real, test = (mounts_of(deployment, KEY, *mounts) for deployment in ("0a1b2c3d", "0a1b2c3dt0123"))
    assert real[0].source != test[0].source
    assert test[0].labels["orchestrator.deployment"] == "0a1b2c3dt0123"
    assert real[1:] == test[1:]


def test_the_volume_for_temporary_files_carries_the_labels_of_its_try() -> None:
    (mount,) = mounts_of("0a1b2c3d", KEY, mount_tmp_dir=True)
    assert (mount.source, mount.target, mount.labels["orchestrator.try_id"]) == ("", "/tmp/airflow", "f" * 16)
    assert final(mount_tmp_dir=True, tmp_dir="/x").environment["AIRFLOW_TMP_DIR"] == "/x"


@pytest.mark.parametrize(
    ("mount", "field"),
    [
        (Mount(source="v", target="/d", propagation="rslave"), "propagation"),
        (Mount(type=MountType.BIND, source="/x", target="/d", subpath="a"), "subpath"),
        (Mount(type=MountType.BIND, source="/x", target="/d", no_copy=True), "no_copy"),
        (Mount(source="v", target="/d", tmpfs_size=1), "tmpfs_size"),
        (Mount(type=MountType.TMPFS, target="/d", tmpfs_size="x"), "tmpfs_size"),
        (Mount(type=MountType.RUN, source="x", target="/d"), "source"),
        (Mount(source="v", target="/d", labels={"orchestrator.kind": "x"}), "labels['orchestrator.kind']"),
    ],
)
def test_a_mount_has_only_what_is_of_its_type(mount: Mount, field: str) -> None:
    assert refusal(mounts=(mount,)).field == f"mounts['/d'].{field}"


# --- mounts and files ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mount", "kind", "source"),
    [
        (Mount(source="data", target="/d"), MountType.VOLUME, "data"),
        (Mount(type=MountType.BIND, source="/srv/x/", target="/d"), MountType.BIND, "/srv/x"),
        (Mount(type=MountType.BIND, source="./x/../y", target="/d"), MountType.BIND, "/srv/project/y"),
        (Mount(type=MountType.BIND, source=".", target="/d"), MountType.BIND, "/srv/project"),
        (Mount(type=MountType.ROOT, source="flights", target="/d"), MountType.BIND, "/srv/roots/flights"),
        (Mount(type=MountType.TMPFS, target="/d"), MountType.TMPFS, ""),
    ],
)
def test_a_mount_becomes_what_an_engine_knows(mount: Mount, kind: MountType, source: str) -> None:
    for read_only in (False, True):
        written = msgspec.structs.replace(mount, target="/d//", read_only=read_only)
        made = Mount(type=kind, source=source, target="/d", read_only=read_only)
        assert final(mounts=(written,)).mounts == (made,)


@pytest.mark.parametrize(
    ("mount", "field", "says"),
    [
        (Mount(source="", target="/d"), "mounts['/d'].source", "is empty"),
        (Mount(source="data", target=""), "mounts[''].target", "is empty"),
        (Mount(source="data", target="d"), "mounts['d'].target", "no absolute path"),
        (Mount(source="data", target="/x/.."), "mounts['/x/..'].target", "root of the container"),
        (Mount(source="data", target="/.orchestrator/x"), "mounts['/.orchestrator/x'].target", "own"),
        (Mount(source="/srv/x", target="/d"), "mounts['/d'].source", "no volume's name"),
        (Mount(type=MountType.BIND, source=" ", target="/d"), "mounts['/d'].source", "is empty"),
        (Mount(type=MountType.BIND, source="~/x", target="/d"), "mounts['/d'].source", "whose home"),
        (Mount(type=MountType.ROOT, source="../x", target="/d"), "mounts['/d'].source", "no data root's name"),
        (Mount(type=MountType.TMPFS, source="x", target="/d"), "mounts['/d'].source", "has none"),
    ],
)
def test_a_mount_that_cannot_be_is_refused(mount: Mount, field: str, says: str) -> None:
    refused = refusal(mounts=(mount,))
    assert refused.field == field
    assert says in refused.message


def test_two_mounts_of_one_place_are_refused() -> None:
    one = Mount(source="data", target="/d")
    assert "two of them stand at /d" in refusal(mounts=(one, one)).message
    assert "two of them stand at /d" in refusal(mounts=(one,), tmpfs={"/d/": ""}).message


def test_inputs_are_files_that_anybody_may_read() -> None:
    assert final(inputs={"/in/./a": "ü"}).files == (InputFile(path="/in/a", data="ü".encode(), mode=0o644),)


VOLUME = Mount(source="data", target="/v")


def test_inputs_of_a_read_only_container_go_into_a_volume() -> None:
    files = final(read_only=True, mounts=(VOLUME,), inputs={"/v/a": "x"}).files
    assert files == (InputFile(path="/v/a", data=b"x", volume="/v"),)
    assert final(mounts=(VOLUME,), inputs={"/v/a": "x"}).files == (InputFile(path="/v/a", data=b"x"),)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"read_only": True}, "is read-only there"),
        ({"read_only": True, "mounts": (Mount(source="data", target="/other"),)}, "is read-only there"),
        ({"mounts": (msgspec.structs.replace(VOLUME, read_only=True),)}, "the mount at /v is read-only"),
        ({"tmpfs": {"/v": ""}}, "the tmpfs at /v would hide it"),
        ({"mounts": (Mount(type=MountType.TMPFS, target="/v"),)}, "the tmpfs at /v would hide it"),
        ({"mounts": (VOLUME,), "tmpfs": {"/v/in": ""}}, "the tmpfs at /v/in would hide it"),
    ],
)
def test_an_input_that_would_not_arrive_is_refused(arguments: dict[str, Any], says: str) -> None:
    refused = refusal(inputs={"/v/in/a": "x"}, **arguments)
    assert refused.field == "inputs['/v/in/a']"
    assert says in refused.message


# --- the result ---------------------------------------------------------------------------------------

OPEN = InputFile(path="/.orchestrator/open", mode=0o1777)


@pytest.mark.parametrize("user", [None, "root", "0", "0:1000", "root:users"])
def test_roots_result_needs_no_copying(user: str | None) -> None:
    spec = final(USER if user else ROOT, user=user)
    assert (spec.result_path, spec.files, spec.volumes) == ("/.orchestrator-result", (), ())


@pytest.mark.parametrize("arguments", [{}, {"user": "nobody"}, {"tmpfs": {"/tmp/x": ""}}])
def test_others_write_to_an_open_tmp(arguments: dict[str, Any]) -> None:
    spec = final(USER, **arguments)
    assert (spec.result_path, spec.files, spec.volumes) == ("/tmp/.orchestrator-result", (), ())


@pytest.mark.parametrize(
    ("image", "arguments"),
    [
        (msgspec.structs.replace(USER, world_writable_tmp=False), {}),
        (msgspec.structs.replace(USER, volumes=("/tmp/",)), {}),
        (USER, {"tmpfs": {"/tmp": ""}}),
        (USER, {"mounts": (Mount(source="data", target="/tmp"),)}),
        (USER, {"mounts": (Mount(source="data", target="/tmp/.orchestrator-result"),)}),
    ],
)
def test_others_get_a_folder_where_tmp_will_not_do(image: ImageFacts, arguments: dict[str, Any]) -> None:
    spec = final(image, **arguments)
    assert (spec.result_path, spec.files, spec.volumes) == ("/.orchestrator/open/result", (OPEN,), ())


def test_a_read_only_container_gets_a_volume_for_its_result() -> None:
    spec = final(read_only=True)
    assert (spec.result_path, spec.files, spec.volumes) == ("/.orchestrator/result", (), ("/.orchestrator",))
    spec = final(USER, read_only=True)
    opened = msgspec.structs.replace(OPEN, volume="/.orchestrator")
    assert (spec.result_path, spec.files) == ("/.orchestrator/open/result", (opened,))
    assert spec.volumes == ("/.orchestrator",)


def test_a_result_that_nobody_wants_may_still_be_written() -> None:
    spec = final(task=TaskSpec(task_id="t", push_result=False))
    assert spec.result_path is None
    assert spec.environment["ORCHESTRATOR_RESULT"] == "/.orchestrator-result"
