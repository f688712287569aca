"""A `ContainerSpec` as the body of the engine's create call. Pure; what it leaves out, the engine's default is."""

from typing import Any

from orchestrator.ids import LABEL_PREFIX
from orchestrator.spec.container import ContainerSpec, Mount, MountType

#: Read-only in every container: the engine's own default list, then the three files that the engine writes,
#: so that a result never depends on whether the network namespace was shared (spec images-and-engine 3).
READONLY_PATHS = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/hostname",
)

#: Always explicit: a daemon's default may rotate lines away, or keep no log at all.
LOG_CONFIG = {"Type": "json-file", "Config": {"max-size": "100g"}}

_NANO = 1_000_000_000


def create_query(spec: ContainerSpec) -> dict[str, str]:
    """The query of the create call."""
    return {"name": spec.name} | ({"platform": spec.platform} if spec.platform else {})


def create_body(spec: ContainerSpec) -> dict[str, Any]:
    """The body of the create call."""
    body: dict[str, Any] = {
        "Image": spec.image,
        "Cmd": _words(spec.command),
        "Entrypoint": _words(spec.entrypoint),
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "Labels": dict(spec.labels),
        "User": spec.user,
        "WorkingDir": spec.working_dir,
        "Hostname": spec.hostname,
        "Tty": spec.tty,
        "StopSignal": spec.stop_signal,
        "StopTimeout": max(1, round(spec.stop_grace.total_seconds())),
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": _said(_host_config(spec)),
    }
    return _said(body)


def _host_config(spec: ContainerSpec) -> dict[str, Any]:
    return {
        "NetworkMode": spec.network,
        "ExtraHosts": _extra_hosts(spec),
        "Mounts": [_mount(mount) for mount in spec.mounts] + [_anonymous(target, spec) for target in spec.volumes],
        "Tmpfs": spec.tmpfs or None,
        "ReadonlyRootfs": spec.read_only,
        "ReadonlyPaths": list(READONLY_PATHS),
        "SecurityOpt": ["no-new-privileges"],
        "LogConfig": LOG_CONFIG,
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no"},
        "Init": spec.init,
        "NanoCpus": None if spec.cpus is None else round(spec.cpus * _NANO),
        "CpuShares": spec.cpu_shares,
        "Memory": spec.memory,
        "MemoryReservation": spec.memory_reservation,
        "MemorySwap": spec.memory_swap,
        "ShmSize": spec.shm_size,
        "PidsLimit": spec.pids_limit,
        "CapAdd": list(spec.cap_add) or None,
        "CapDrop": list(spec.cap_drop) or None,
        "GroupAdd": list(spec.group_add) or None,
    }


def _extra_hosts(spec: ContainerSpec) -> list[str] | None:
    """The engine's host by name, on every engine; a borrowed namespace has hosts of its own."""
    borrowed = spec.network is not None and spec.network.startswith("container:")
    return None if borrowed else ["host.docker.internal:host-gateway"]


def _mount(mount: Mount) -> dict[str, Any]:
    if mount.type is MountType.ROOT:
        raise ValueError(f"data root {mount.source!r} of {mount.target} was not resolved")
    source = {"Source": mount.source} if mount.source else {}
    return {"Type": mount.type.value, **source, "Target": mount.target, "ReadOnly": mount.read_only}


def _anonymous(target: str, spec: ContainerSpec) -> dict[str, Any]:
    """A volume without a name, removed with its container; labelled, as everything that we make is."""
    ours = {name: value for name, value in spec.labels.items() if name.startswith(LABEL_PREFIX)}
    return {"Type": "volume", "Target": target, "VolumeOptions": {"Labels": ours}}


def _words(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)


def _said(values: dict[str, Any]) -> dict[str, Any]:
    """Without what the spec leaves to the engine."""
    return {name: value for name, value in values.items() if value is not None}
