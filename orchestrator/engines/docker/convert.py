"""A `ContainerSpec` as the body of the engine's create call. Pure; what it leaves out, the engine's default is."""

from typing import Any

from orchestrator.engines.docker.options import told
from orchestrator.ids import LABEL_PREFIX
from orchestrator.spec.container import ContainerSpec, Mount, MountType

#: What the engine makes read-only by itself where a container is not privileged.
ENGINES_READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
#: The files that the engine writes: read-only in every container that might borrow a network namespace, so that a
#: result never depends on whether it did (spec images-and-engine 3).
OWN_READONLY_PATHS = ("/etc/hosts", "/etc/resolv.conf", "/etc/hostname")

#: Always explicit: a daemon's default may rotate lines away, or keep no log at all.
LOG_DRIVER = "json-file"
_NEVER_FULL = "100g"


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
        "ExposedPorts": {port.container: {} for port in spec.ports} or None,
        "StopTimeout": max(1, round(spec.stop_grace.total_seconds())),
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": _said(_host_config(spec)),
    }
    return _said(body) | told(spec, host=False)


def _host_config(spec: ContainerSpec) -> dict[str, Any]:
    return told(spec, host=True) | {
        "ExtraHosts": [f"{name}:{address}" for name, address in host_names(spec).items()] or None,
        "Mounts": [_mount(mount) for mount in spec.mounts] + [_anonymous(target, spec) for target in spec.volumes],
        "ReadonlyPaths": _read_only_paths(spec),
        "SecurityOpt": security_options(spec),
        "LogConfig": {"Type": LOG_DRIVER, "Config": {"max-size": _NEVER_FULL} | log_options(spec)},
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no"},
    }


def _read_only_paths(spec: ContainerSpec) -> list[str]:
    return [*(() if spec.privileged else ENGINES_READONLY_PATHS), *(OWN_READONLY_PATHS if spec.sandbox else ())]


def log_options(spec: ContainerSpec) -> dict[str, str]:
    """What the task itself asks of the engine's log."""
    asked = {"max-size": spec.log_size, "max-file": spec.log_files}
    return {name: str(value) for name, value in asked.items() if value is not None}


def host_names(spec: ContainerSpec) -> dict[str, str]:
    """Names that a container knows besides those of its networks: the task's, and the engine's host on every
    engine; a borrowed namespace has names of its own."""
    borrowed = spec.network is not None and spec.network.startswith("container:")
    return ({} if borrowed else {"host.docker.internal": "host-gateway"}) | spec.extra_hosts


def security_options(spec: ContainerSpec) -> list[str]:
    """No process of a task gains privileges that it was not started with."""
    return ["no-new-privileges", *spec.security_opt]


def _mount(mount: Mount) -> dict[str, Any]:
    if mount.type not in (MountType.VOLUME, MountType.BIND, MountType.TMPFS):
        raise ValueError(f"{mount.type} mount {mount.source!r} of {mount.target} was not resolved")
    driver = {"Name": mount.driver, "Options": mount.driver_options}
    volume = {
        "NoCopy": mount.no_copy or None,
        "Labels": mount.labels or None,
        "DriverConfig": driver if mount.driver or mount.driver_options else None,
        "Subpath": mount.subpath or None,
    }
    return _said(
        {
            "Type": mount.type.value,
            "Source": mount.source or None,
            "Target": mount.target,
            "ReadOnly": mount.read_only,
            "Consistency": mount.consistency or None,
            "BindOptions": {"Propagation": mount.propagation} if mount.propagation else None,
            "VolumeOptions": _said(volume) or None,
            "TmpfsOptions": _said({"SizeBytes": mount.tmpfs_size, "Mode": mount.tmpfs_mode}) or None,
        }
    )


def _anonymous(target: str, spec: ContainerSpec) -> dict[str, Any]:
    """A volume without a name, removed with its container; labelled, as everything that we make is."""
    ours = {name: value for name, value in spec.labels.items() if name.startswith(LABEL_PREFIX)}
    return {"Type": "volume", "Target": target, "VolumeOptions": {"Labels": ours}}


def _words(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)


def _said(values: dict[str, Any]) -> dict[str, Any]:
    """Without what the spec leaves to the engine."""
    return {name: value for name, value in values.items() if value is not None}
