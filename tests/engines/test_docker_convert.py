from datetime import timedelta
from typing import Any

import pytest

from orchestrator.engines.docker.convert import create_body, create_query
from orchestrator.spec.container import ContainerSpec, Mount, MountType

LABELS = {"orchestrator.deployment": "0" * 8, "team": "data"}


def spec(**changes: Any) -> ContainerSpec:
    return ContainerSpec(name="orc-x", image="sha256:1", image_name="x", labels=LABELS, **changes)


def test_the_smallest_container_has_what_every_container_has() -> None:
    assert create_body(spec()) == {
        "Image": "sha256:1",
        "Env": [],
        "Labels": LABELS,
        "Tty": False,
        "StopTimeout": 10,
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {
            "ExtraHosts": ["host.docker.internal:host-gateway"],
            "Mounts": [],
            "ReadonlyRootfs": False,
            "ReadonlyPaths": [
                "/proc/bus",
                "/proc/fs",
                "/proc/irq",
                "/proc/sys",
                "/proc/sysrq-trigger",
                "/etc/hosts",
                "/etc/resolv.conf",
                "/etc/hostname",
            ],
            "SecurityOpt": ["no-new-privileges"],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "100g"}},
            "AutoRemove": False,
            "RestartPolicy": {"Name": "no"},
            "Init": False,
            "Privileged": False,
        },
    }


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ({"command": ("a", "b c")}, "Cmd", ["a", "b c"]),
        ({"entrypoint": ()}, "Entrypoint", []),
        ({"entrypoint": ("sh", "-c")}, "Entrypoint", ["sh", "-c"]),
        ({"environment": {"A": "1=2", "B": ""}}, "Env", ["A=1=2", "B="]),
        ({"user": "1000:5"}, "User", "1000:5"),
        ({"working_dir": "/w"}, "WorkingDir", "/w"),
        ({"hostname": "h"}, "Hostname", "h"),
        ({"tty": True}, "Tty", True),
        ({"stop_signal": "SIGINT"}, "StopSignal", "SIGINT"),
        ({"stop_grace": timedelta(minutes=2)}, "StopTimeout", 120),
        ({"stop_grace": timedelta(milliseconds=100)}, "StopTimeout", 1),
    ],
)
def test_what_a_container_is(change: dict[str, Any], key: str, value: object) -> None:
    assert create_body(spec(**change))[key] == value


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ({"network": "tasks"}, "NetworkMode", "tasks"),
        ({"tmpfs": {"/t": "size=1m"}}, "Tmpfs", {"/t": "size=1m"}),
        ({"read_only": True}, "ReadonlyRootfs", True),
        ({"init": True}, "Init", True),
        ({"cpus": 0.1}, "NanoCpus", 100_000_000),
        ({"cpu_shares": 512}, "CpuShares", 512),
        ({"memory": 2**29}, "Memory", 2**29),
        ({"memory_reservation": 2**20}, "MemoryReservation", 2**20),
        ({"memory_swap": -1}, "MemorySwap", -1),
        ({"shm_size": 2**20}, "ShmSize", 2**20),
        ({"pids_limit": 64}, "PidsLimit", 64),
        ({"cap_add": ("SYS_PTRACE",)}, "CapAdd", ["SYS_PTRACE"]),
        ({"cap_drop": ("ALL",)}, "CapDrop", ["ALL"]),
        ({"group_add": ("5",)}, "GroupAdd", ["5"]),
    ],
)
def test_what_the_engine_is_to_give_it(change: dict[str, Any], key: str, value: object) -> None:
    assert create_body(spec())["HostConfig"].get(key) != value
    assert create_body(spec(**change))["HostConfig"][key] == value


@pytest.mark.parametrize(
    ("mount", "told"),
    [
        (
            Mount(source="vol", target="/v"),
            {"Type": "volume", "Source": "vol", "Target": "/v", "ReadOnly": False},
        ),
        (
            Mount(type=MountType.BIND, source="/h", target="/b", read_only=True),
            {"Type": "bind", "Source": "/h", "Target": "/b", "ReadOnly": True},
        ),
        (Mount(type=MountType.TMPFS, target="/t"), {"Type": "tmpfs", "Target": "/t", "ReadOnly": False}),
    ],
)
def test_mounts(mount: Mount, told: dict[str, object]) -> None:
    assert create_body(spec(mounts=(mount,)))["HostConfig"]["Mounts"] == [told]


def test_an_anonymous_volume_carries_our_labels_only() -> None:
    assert create_body(spec(volumes=("/out",)))["HostConfig"]["Mounts"] == [
        {"Type": "volume", "Target": "/out", "VolumeOptions": {"Labels": {"orchestrator.deployment": "0" * 8}}}
    ]


def test_a_data_root_must_have_been_resolved() -> None:
    with pytest.raises(ValueError, match="root mount 'flights' of /d was not resolved"):
        create_body(spec(mounts=(Mount(type=MountType.ROOT, source="flights", target="/d"),)))


def test_a_borrowed_network_namespace_gets_no_hosts_of_its_own() -> None:
    assert "ExtraHosts" not in create_body(spec(network="container:abc"))["HostConfig"]


def test_the_name_and_platform_are_asked_for_beside_the_body() -> None:
    assert create_query(spec()) == {"name": "orc-x"}
    assert create_query(spec(platform="linux/arm64")) == {"name": "orc-x", "platform": "linux/arm64"}
