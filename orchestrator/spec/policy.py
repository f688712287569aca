"""What a site lets its tasks ask of the engine. The default is safe: nothing that makes a task the host's root.

A refusal names the line of `policy.toml` that would allow what was refused.
"""

import fnmatch
import posixpath
from collections.abc import Callable, Iterable, Iterator

from orchestrator.errors import PolicyError
from orchestrator.spec.container import Mount, MountType
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.mounting import inside
from orchestrator.spec.value import Value

#: What engines give by default, and what is of no more use against the host.
_HARMLESS = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "IPC_LOCK", "KILL", "MKNOD", "NET_ADMIN",
    "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT", "SYS_NICE", "SYS_PTRACE",
    "SYS_RESOURCE",
)  # fmt: skip
#: By which names engines are reached; a folder above them is as good.
_SOCKETS = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
)


class Policy(Value, frozen=True, kw_only=True):
    """`policy.toml`. Lists hold shell patterns, but for `host_paths`: folders, with all that is in them."""

    images: tuple[str, ...] = ("*",)  #: names of task images, and references as DAG files write them
    privileged: bool = False
    host_namespaces: tuple[str, ...] = ()  #: of network, pid, ipc, userns
    host_paths: tuple[str, ...] = ()  #: besides the project folder and the data roots
    devices: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = _HARMLESS
    security_options: tuple[str, ...] = ("label=*",)


class Grounds(Value, frozen=True, kw_only=True):
    """Paths on the engine's host (None: it has none there): tasks may mount what is in the project folder, but
    nothing of the home (where the database is) or above it."""

    project: str | None
    home: str | None


def enforce(
    policy: Policy,
    grounds: Callable[[], Grounds],
    template: ContainerTemplate,
    network: str | None,
    mounts: Iterable[Mount],
) -> None:
    """`PolicyError` for the first of the `violations`."""
    for violation in violations(policy, grounds, template, network, mounts):
        raise violation


def violations(
    policy: Policy,
    grounds: Callable[[], Grounds],
    template: ContainerTemplate,
    network: str | None,
    mounts: Iterable[Mount],
) -> Iterator[PolicyError]:
    """Everything that is not allowed. `grounds` are asked for only where a path of the host is mounted. `mounts`
    are settled and hold no data roots."""
    yield from _outside("image", [template.image or ""], "images", policy.images)
    if template.privileged and not policy.privileged:
        yield PolicyError("privileged", "a privileged container is root on the engine's host", "privileged = true")
    for field, kind, mode in _namespaces(template, network):
        if kind not in policy.host_namespaces:
            yield PolicyError(
                field, f"{mode!r} is not allowed", _line("host_namespaces", policy.host_namespaces, kind)
            )
    yield from _outside("devices", [each.partition(":")[0] for each in template.devices], "devices", policy.devices)
    wanted = [each.upper().removeprefix("CAP_") for each in template.cap_add]
    yield from _outside("cap_add", wanted, "capabilities", policy.capabilities)
    options = [each.replace(":", "=", 1) for each in template.security_opt]
    yield from _outside("security_opt", options, "security_options", policy.security_options)
    for mount in mounts:
        for path in _host_paths(mount):
            yield from _outside_folders(policy, grounds, mount, path)


def _outside(field: str, wanted: Iterable[str], key: str, allowed: tuple[str, ...]) -> Iterator[PolicyError]:
    for each in wanted:
        harmless = field == "security_opt" and each in ("no-new-privileges", "no-new-privileges=true")
        if each and not harmless and not any(fnmatch.fnmatchcase(each, pattern) for pattern in allowed):
            yield PolicyError(field, f"{each!r} is not allowed", _line(key, allowed, each))


def _namespaces(template: ContainerTemplate, network: str | None) -> Iterator[tuple[str, str, str]]:
    modes = {
        "network_mode": ("network", network),
        "pid_mode": ("pid", template.pid_mode),
        "ipc_mode": ("ipc", template.ipc_mode),
        "userns_mode": ("userns", template.userns_mode),
    }
    for field, (kind, mode) in modes.items():
        if mode == "host" or (mode or "").startswith("container:"):
            yield field, kind, str(mode)


def _host_paths(mount: Mount) -> Iterator[str]:
    """What of the host a mount shows; a volume of the local driver may be a bind in disguise."""
    if mount.type is MountType.BIND:
        yield mount.source
    device = mount.driver_options.get("device", "")
    if mount.type is MountType.VOLUME and device.startswith("/"):
        yield posixpath.normpath(device)


def _outside_folders(
    policy: Policy, grounds: Callable[[], Grounds], mount: Mount, path: str
) -> Iterator[PolicyError]:
    field = f"mounts[{mount.target!r}].source"
    line = _line("host_paths", policy.host_paths, path)
    if any(inside(socket, path) for socket in _SOCKETS):
        if path not in policy.host_paths:
            yield PolicyError(field, f"{path} holds the engine's socket, which is root on its host", line)
    elif not any(inside(path, allowed) for allowed in policy.host_paths):
        ours = grounds()
        if ours.home is not None and (inside(path, ours.home) or inside(ours.home, path)):
            yield PolicyError(field, f"{path} holds what is the orchestrator's own, its database among it", line)
        elif ours.project is None or not inside(path, ours.project):
            yield PolicyError(field, f"{path} is outside the project folder and the data roots", line)


def _line(key: str, allowed: tuple[str, ...], wanted: str) -> str:
    listed = ", ".join(f'"{each}"' for each in ((*allowed, wanted) if allowed is not _HARMLESS else (wanted,)))
    return f"{key} = [{listed}]"
