"""One row for each field of a container spec that the engine takes as it stands: its key in the create call's
body, the option of `docker run` that says the same, and how either writes the value."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from orchestrator.spec.container import ContainerSpec, Device, DeviceRequest, Port, Ulimit

Told = Callable[[Any], Any]
Typed = Callable[[Any], Iterable[str]]


class Option(NamedTuple):
    """`key` stands in the body itself, or, where `host` is set, in its HostConfig. `told` is the value there;
    `typed` are the words after each occurrence of the option."""

    field: str
    key: str
    option: str
    told: Told
    typed: Typed
    host: bool = True


def _same(value: Any) -> Any:
    return value


def _once(value: Any) -> Iterable[str]:
    return (str(value),)


def _each(values: Iterable[Any]) -> Iterable[str]:
    return map(str, values)


def _pairs(separator: str) -> Typed:
    def typed(values: dict[str, str]) -> Iterable[str]:
        return (f"{name}{separator}{value}" if value else name for name, value in values.items())

    return typed


def _told_ulimits(ulimits: tuple[Ulimit, ...]) -> Any:
    return [{"Name": each.name, "Soft": each.soft, "Hard": each.hard} for each in ulimits]


def _typed_ulimits(ulimits: tuple[Ulimit, ...]) -> Iterable[str]:
    return (f"{each.name}={each.soft}:{each.hard}" for each in ulimits)


def _told_devices(devices: tuple[Device, ...]) -> Any:
    return [
        {"PathOnHost": each.host, "PathInContainer": each.container, "CgroupPermissions": each.permissions}
        for each in devices
    ]


def _typed_devices(devices: tuple[Device, ...]) -> Iterable[str]:
    return (f"{each.host}:{each.container}:{each.permissions}" for each in devices)


def _told_requests(requests: tuple[DeviceRequest, ...]) -> Any:
    return [
        {
            "Driver": each.driver,
            "Count": each.count,
            "DeviceIDs": list(each.device_ids) or None,
            "Capabilities": [list(group) for group in each.capabilities],
            "Options": each.options,
        }
        for each in requests
    ]


def _typed_requests(requests: tuple[DeviceRequest, ...]) -> Iterator[str]:
    """As `--gpus` reads them: comma-separated fields, those that hold commas in quotes."""
    for each in requests:
        which = f'"device={",".join(each.device_ids)}"' if each.device_ids else f"count={each.count}"
        able = ",".join(name for group in each.capabilities for name in group)
        parts = (f"driver={each.driver}" if each.driver else "", which, f'"capabilities={able}"' if able else "")
        yield ",".join(part for part in parts if part)


def _told_ports(ports: tuple[Port, ...]) -> Any:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        bindings.setdefault(port.container, []).append({"HostIp": port.host_ip, "HostPort": port.host_port})
    return bindings


def _typed_ports(ports: tuple[Port, ...]) -> Iterator[str]:
    for port in ports:
        ip = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip
        yield f"{ip}:{port.host_port}:{port.container}" if ip else f"{port.host_port}:{port.container}".lstrip(":")


def _plain(field: str, key: str, option: str, *, host: bool = True) -> Option:
    return Option(field, key, option, _same, _once, host)


def _flag(field: str, key: str, option: str, *, host: bool = True) -> Option:
    return Option(field, key, option, _same, lambda _: (), host)


def _list(field: str, key: str, option: str) -> Option:
    return Option(field, key, option, list, _each)


def _table(field: str, key: str, option: str, separator: str = "=") -> Option:
    return Option(field, key, option, dict, _pairs(separator))


OPTIONS: tuple[Option, ...] = (
    _plain("user", "User", "--user", host=False),
    _plain("working_dir", "WorkingDir", "--workdir", host=False),
    _plain("hostname", "Hostname", "--hostname", host=False),
    _flag("tty", "Tty", "--tty", host=False),
    _plain("stop_signal", "StopSignal", "--stop-signal", host=False),
    _plain("runtime", "Runtime", "--runtime"),
    _plain("network", "NetworkMode", "--network"),
    Option("ports", "PortBindings", "--publish", _told_ports, _typed_ports),
    _list("dns", "Dns", "--dns"),
    _list("dns_search", "DnsSearch", "--dns-search"),
    _flag("read_only", "ReadonlyRootfs", "--read-only"),
    _flag("init", "Init", "--init"),
    _table("tmpfs", "Tmpfs", "--tmpfs", ":"),
    Option("cpus", "NanoCpus", "--cpus", lambda cores: round(cores * 1_000_000_000), _once),
    _plain("cpu_shares", "CpuShares", "--cpu-shares"),
    _plain("cpuset_cpus", "CpusetCpus", "--cpuset-cpus"),
    _plain("memory", "Memory", "--memory"),
    _plain("memory_reservation", "MemoryReservation", "--memory-reservation"),
    _plain("memory_swap", "MemorySwap", "--memory-swap"),
    _plain("shm_size", "ShmSize", "--shm-size"),
    _plain("pids_limit", "PidsLimit", "--pids-limit"),
    _plain("blkio_weight", "BlkioWeight", "--blkio-weight"),
    _plain("oom_score_adj", "OomScoreAdj", "--oom-score-adj"),
    Option("ulimits", "Ulimits", "--ulimit", _told_ulimits, _typed_ulimits),
    Option("devices", "Devices", "--device", _told_devices, _typed_devices),
    Option("device_requests", "DeviceRequests", "--gpus", _told_requests, _typed_requests),
    _table("storage_opt", "StorageOpt", "--storage-opt"),
    _flag("privileged", "Privileged", "--privileged"),
    _list("cap_add", "CapAdd", "--cap-add"),
    _list("cap_drop", "CapDrop", "--cap-drop"),
    _list("group_add", "GroupAdd", "--group-add"),
    _plain("userns_mode", "UsernsMode", "--userns"),
    _plain("ipc_mode", "IpcMode", "--ipc"),
    _plain("pid_mode", "PidMode", "--pid"),
    _table("sysctls", "Sysctls", "--sysctl"),
)


def told(spec: ContainerSpec, *, host: bool) -> dict[str, Any]:
    """The keys of the create call's body, or of its HostConfig; without what the spec leaves to the engine."""
    given = ((each, getattr(spec, each.field)) for each in OPTIONS if each.host is host)
    return {each.key: each.told(value) for each, value in given if value not in (None, (), {})}


def typed(spec: ContainerSpec) -> Iterator[str]:
    """The same as words of `docker run`."""
    for each in OPTIONS:
        value = getattr(spec, each.field)
        if value is True:
            yield each.option
        elif value is not False and value is not None:
            for word in each.typed(value):
                yield from (each.option, word)
