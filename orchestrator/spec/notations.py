"""Ports, devices, kernel limits and processors in the notations of `docker run`, read into values. Every function
raises `FinalizeError`, naming the argument, where a text is none."""

import re

from orchestrator.errors import FinalizeError
from orchestrator.spec.container import Device, Port, Ulimit

_PORT = re.compile(
    r"(?:(?:(?P<ip>\[[^\]]+\]|[^:\[\]]+):)?(?P<host>[0-9]{0,5}):)?(?P<container>[0-9]{1,5})(?:/(?P<protocol>tcp|udp|sctp))?"
)
_ULIMIT = re.compile(r"(?P<name>[a-z]+)=(?P<soft>-1|[0-9]{1,18})(?::(?P<hard>-1|[0-9]{1,18}))?")
_PERMISSIONS = re.compile(r"[rwm]{1,3}")
_PROCESSORS = re.compile(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*")
_LAST_PORT = 65535


def port(field: str, text: str) -> Port:
    """`80`, `8080:80/udp`, `127.0.0.1:8080:80`, `127.0.0.1::80`."""
    found = _PORT.fullmatch(text.strip())
    if found is None or any(
        int(found[part] or 1) not in range(1, _LAST_PORT + 1) for part in ("host", "container")
    ):
        raise FinalizeError(field, f"{text!r} is no port", fix="write [[ip:]host port:]container port[/udp]")
    return Port(
        container=f"{found['container']}/{found['protocol'] or 'tcp'}",
        host_ip=(found["ip"] or "").strip("[]"),
        host_port=found["host"] or "",
    )


def ulimit(field: str, text: str) -> Ulimit:
    """`nofile=1024` or `nofile=1024:2048`."""
    found = _ULIMIT.fullmatch(text.strip())
    if found is None:
        raise FinalizeError(
            field, f"{text!r} is no limit of a process", fix="write name=soft:hard, like nofile=64:128"
        )
    return Ulimit(name=found["name"], soft=int(found["soft"]), hard=int(found["hard"] or found["soft"]))


def device(field: str, text: str) -> Device:
    """`/dev/x`, `/dev/x:/dev/y` or `/dev/x:/dev/y:rw`."""
    host, _, rest = text.strip().partition(":")
    container, _, permissions = rest.partition(":")
    if _PERMISSIONS.fullmatch(container):
        container, permissions = "", container
    found = Device(host=host, container=container or host, permissions=permissions or "rwm")
    if not (host.startswith("/") and found.container.startswith("/") and _PERMISSIONS.fullmatch(found.permissions)):
        raise FinalizeError(field, f"{text!r} is no device", fix="write /dev/x, or /dev/x:/dev/y:rwm")
    return found


def processors(field: str, text: str | None) -> str | None:
    """`0`, `0-3`, `0,2`; "" and None for no choice."""
    if not text:
        return None
    if not _PROCESSORS.fullmatch(text):
        raise FinalizeError(field, f"{text!r} names no processors", fix="write numbers, like 0-3 or 0,2")
    return text
