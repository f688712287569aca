"""Mounts in every form that a DAG file may write them in."""

from collections.abc import Sequence
from typing import Any

import pytest

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


@pytest.mark.parametrize(
    ("construct", "says"),
    [
        (lambda: Mount("data"), "no target"),
        (lambda: Mount("/data", "data"), "look exchanged"),
        (lambda: Mount("data", "/d", "root"), "written otherwise"),
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
