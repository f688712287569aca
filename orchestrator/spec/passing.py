"""What a container takes over from its rendered template, one row for each field: which argument fills it, and how
what was rendered is read. Values that need more than their own argument are settled in `finalize`."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from orchestrator.errors import FinalizeError
from orchestrator.spec import notations, quantities
from orchestrator.spec.dag import ContainerTemplate

#: The argument's name and its rendered value, to the field's value; raises `FinalizeError`.
Reader = Callable[[str, Any], Any]


class Passed(NamedTuple):
    """An argument, and how its rendered value is read."""

    argument: str
    read: Reader


def passed_on(template: ContainerTemplate) -> dict[str, Any]:
    """Fields of the container spec. `FinalizeError` names the argument whose value cannot be."""
    return {field: read(argument, getattr(template, argument)) for field, (argument, read) in PASSED.items()}


def _as_it_is(_: str, value: Any) -> Any:
    return value


def _text(_: str, text: str | None) -> str | None:
    """One that renders to nothing counts as not given."""
    return text or None


def _texts(_: str, texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text for text in texts if text)


def _each(read: Reader, field: str, texts: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(read(f"{field}[{index}]", text) for index, text in enumerate(texts) if text)


def _named(field: str, values: dict[str, str]) -> dict[str, str]:
    if "" in values:
        raise FinalizeError(field, "one of its names is empty", fix="name each value")
    return values


def _same(read: Reader, *arguments: str) -> dict[str, Passed]:
    return {argument: Passed(argument, read) for argument in arguments}


#: By the field of the container spec.
PASSED: Mapping[str, Passed] = {
    **_same(_text, "user", "hostname", "platform", "runtime", "stop_signal", "userns_mode", "ipc_mode", "pid_mode"),
    **_same(_as_it_is, "tty", "init", "read_only", "privileged", "device_requests", "sandbox"),
    **_same(_texts, "dns", "dns_search", "cap_add", "cap_drop", "security_opt", "group_add"),
    **_same(_named, "extra_hosts", "storage_opt", "sysctls"),
    **_same(partial(_each, notations.port), "ports"),
    **_same(partial(_each, notations.ulimit), "ulimits"),
    **_same(partial(_each, notations.device), "devices"),
    **_same(notations.processors, "cpuset_cpus"),
    **_same(quantities.cores, "cpus"),
    **_same(quantities.count, "cpu_shares"),
    **_same(quantities.size, "shm_size"),
    **_same(quantities.count_or_unlimited, "pids_limit"),
    **_same(partial(quantities.within, 10, 1000), "blkio_weight"),
    **_same(partial(quantities.within, -1000, 1000), "oom_score_adj"),
    "log_size": Passed("log_opts_max_size", quantities.size),
    "log_files": Passed("log_opts_max_file", quantities.count),
    "memory": Passed("mem_limit", quantities.size),
    "memory_reservation": Passed("mem_reservation", quantities.size),
    "memory_swap": Passed("memswap_limit", quantities.size_or_unlimited),
}
