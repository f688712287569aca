"""Owners of containers that belong to one process (`dags test`, `tasks run`) rather than to a deployment's
scheduler: the label says boot, process and its start, so that a dead owner is told from a reused pid."""

import os
from pathlib import Path

from orchestrator.ids import OWNER_LABEL as OWNER_LABEL


def own_identity() -> str:
    """The process we are, as an owner."""
    return identity(os.getpid())


def identity(pid: int) -> str:
    """What tells a running process from all others before and after it; "" where there is none."""
    started = _started(pid)
    return f"{_boot()}:{pid}:{started}" if started else ""


def is_alive(identity: str) -> bool:
    """Whether the process that made this identity still runs on this machine. An identity that cannot be read
    counts as alive: nothing is removed on a guess."""
    boot, _, rest = identity.partition(":")
    pid, _, started = rest.partition(":")
    if not (boot and pid.isdigit() and started):
        return True
    return boot == _boot() and _started(int(pid)) == started


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"  # no /proc (macOS): pid and ps tell enough


def _started(pid: int) -> str:
    """Start time of a process, or "" where there is none, or only one that ended and was not waited for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
