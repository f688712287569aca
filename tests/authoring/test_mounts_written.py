"""Mounts in every form that a DAG file may write them in."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from docker.types import DriverConfig
from docker.types import Mount as DockerMount

from orchestrator import DAG, DockerOperator, Mount
from orchestrator.errors import AuthoringError
from orchestrator.spec.container import Mount as MountSpec
from orchestrator.spec.container import MountType


def read(written: Sequence[Any]) -> tuple[MountSpec, ...]:
    with DAG("d"):
        container = DockerOperator(task_id="t", mounts=written).spec.container
    assert container is not None
    return container.mounts


def test_mounts_in_every_form_mean_the_same() -> None:
    forms: list[Any] = [
        Mount("data", "/d", read_only=True),
        Mount("data", "/d", "volume", True),
        Mount(target="/d", source="data", type="volume", read_only=True),
        {"source": "data", "target": "/d", "read_only": True},
        {"Source": "data", "Target": "/d", "Type": "volume", "ReadOnly": True},
        "data:/d:ro",
    ]
    assert set(map(repr, read(forms))) == {repr(MountSpec(source="data", target="/d", read_only=True))}


@pytest.mark.parametrize(
    ("text", "kind", "source"),
    [
        ("/srv/x:/d", MountType.BIND, "/srv/x"),
        ("./x:/d", MountType.BIND, "./x"),
        ("../x:/d", MountType.BIND, "../x"),
        ("x_{{ ds }}:/d", MountType.VOLUME, "x_{{ ds }}"),
        ("/srv/{{ logical_date.format('HH:mm') }}:/d", MountType.BIND, "/srv/{{ logical_date.format('HH:mm') }}"),
    ],
)
def test_a_text_mount_is_a_path_or_a_volume_by_how_it_begins(text: str, kind: MountType, source: str) -> None:
    assert read([text]) == (MountSpec(type=kind, source=source, target="/d"),)


def test_a_data_root_is_named_not_placed() -> None:
    assert Mount.root("flights", "/data", read_only=True).spec == MountSpec(
        type=MountType.ROOT, source="flights", target="/data", read_only=True
    )


def test_volumes_of_a_run_and_a_dag_have_no_name_to_write() -> None:
    assert Mount.run("/data", read_only=True).spec == MountSpec(type=MountType.RUN, target="/data", read_only=True)
    assert Mount.dag("/data").spec == MountSpec(type=MountType.DAG, target="/data")


def test_options_are_those_of_docker_py() -> None:
    own = Mount("v", "/d", no_copy=True, labels={"a": "b"}, driver_config={"name": "nfs", "options": {"o": "x"}})
    driver = DriverConfig("nfs", {"o": "x"})
    theirs = DockerMount("/d", "v", no_copy=True, labels={"a": "b"}, driver_config=driver)
    keywords = {"target": "/d", "source": "v", "no_copy": True, "labels": {"a": "b"}, "driver_config": driver}
    assert read([own, theirs, keywords]) == (own.spec,) * 3
    memory = Mount(None, "/t", "tmpfs", tmpfs_size=1024, tmpfs_mode=0o700)
    assert read([DockerMount("/t", None, type="tmpfs", tmpfs_size=1024, tmpfs_mode=0o700)]) == (memory.spec,)
    bind = Mount("/s", "/t", "bind", propagation="rslave", consistency="cached")
    assert read([DockerMount("/t", "/s", type="bind", propagation="rslave", consistency="cached")]) == (bind.spec,)


@pytest.mark.parametrize(
    ("construct", "says"),
    [
        (lambda: Mount("data"), "no target"),
        (lambda: Mount("/data", "data"), "look exchanged"),
        (lambda: Mount("data", "/d", "root"), "written otherwise"),
        (lambda: Mount(None, "/d", "run"), "written otherwise"),
        (lambda: read([{"target": "/d", "type": "dag"}]), "written otherwise"),
        (lambda: Mount("v", "/d", driver_config={"nam": "x"}), "driver_config is"),
        (lambda: Mount("v", "/d", no_cpy=True), "did you mean 'no_copy'"),  # type: ignore[call-arg]  # a slip
        (lambda: Mount("data", "/d", "nfs"), "nfs"),
        (lambda: read([{"source": 3, "target": "/d"}]), "expected `str`"),
        (lambda: read(["{{ var }}:/d"]), "before rendering"),
        (lambda: read(["a:/b:rx"]), "is no mount"),
        (lambda: read(["a"]), "is no mount"),
        (lambda: read([{"source": "a", "taget": "/d"}]), "did you mean 'target'"),
    ],
)
def test_a_mount_that_cannot_be_is_refused(construct: Any, says: str) -> None:
    with pytest.raises(AuthoringError, match="(?i)" + says):
        construct()


def test_of_a_constructor_that_there_is_not_the_nearest_is_named() -> None:
    with pytest.raises(AuthoringError, match=r"Mount has no 'rot'; did you mean 'root'\?") as refused:
        getattr(Mount, "rot")("flights", "/data")  # noqa: B009 - a type checker would refuse the name itself
    assert refused.value.rule == "unknown_argument"
    assert "Mount.root(name, target)" in refused.value.fix


@pytest.mark.parametrize(
    ("write", "rule", "fix"),
    [
        (lambda root: root("flights"), "missing_argument", "Mount.root(name, target)"),
        (lambda root: root("flights", "/data", readonly=True), "unknown_argument", "Mount.root(name, target)"),
    ],
)
def test_a_constructor_says_how_it_is_written(write: Callable[[Any], object], rule: str, fix: str) -> None:
    with pytest.raises(AuthoringError) as refused:
        write(Mount.root)
    assert (refused.value.rule, refused.value.fix) == (rule, f"write {fix}")
    assert refused.value.line is not None
