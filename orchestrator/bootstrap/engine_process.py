"""An engine that we started ourselves, because no service manager does: detached from us, remembered in
`<home>/engine.json`, so that exactly this one can be stopped again.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import msgspec

from orchestrator.bootstrap.steps import Say
from orchestrator.clock import Clock
from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.client import Client
from orchestrator.engines.owners import identity, is_alive
from orchestrator.errors import EngineError, RepairError
from orchestrator.spec.value import Value

#: The socket of an engine that is started without being told where to listen.
STANDARD_SOCKET = Path("/var/run/docker.sock")

_READY_LIMIT = timedelta(seconds=90)
_STOP_LIMIT = timedelta(seconds=60)
_LOOK_EVERY = 0.1
_LAST_LINES = 20
#: What dockerd's log says of the traps of small machines, and the way out.
_TRAPS = (
    (
        "failed to initialize nft",
        "this kernel lacks nftables: update-alternatives --set iptables /usr/sbin/iptables-legacy",
    ),
    (
        "devices cgroup isn't mounted",
        "no control groups are mounted: apt-get install cgroupfs-mount && cgroupfs-mount",
    ),
    (
        "cgroup mountpoint does not exist",
        "no control groups are mounted: apt-get install cgroupfs-mount && cgroupfs-mount",
    ),
    (
        "operation not permitted",
        "this machine may not run an engine (a container needs --privileged): use a remote one",
    ),
    ("permission denied", "this machine may not run an engine (a container needs --privileged): use a remote one"),
)


class EngineRecord(Value, frozen=True, kw_only=True):
    """The engine we started: its process, which boot and start tell from another of the same number."""

    pid: int
    identity: str
    socket: str


class Daemon(Value, frozen=True, kw_only=True):
    """How an engine is started, and where it listens then."""

    command: tuple[str, ...] = ("dockerd",)
    socket: Path = STANDARD_SOCKET


def start_engine(home: Path, daemon: Daemon, clock: Clock, say: Say) -> None:
    """Start the engine detached, its output in `<home>/dockerd.log`, and wait until it answers. `RepairError`
    with the log's last lines where it does not."""
    home.mkdir(parents=True, exist_ok=True)
    log = home / "dockerd.log"
    say(f"starting {' '.join(daemon.command)}, its output goes to {log}")
    log_start = log.stat().st_size if log.exists() else 0
    pid = _spawn(daemon.command, log)
    record = EngineRecord(pid=pid, identity=identity(pid), socket=str(daemon.socket))
    (home / "engine.json").write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
    ready = wait_until(clock, _READY_LIMIT, lambda: _ended(pid) or answers(daemon.socket))
    if _ended(pid):
        (home / "engine.json").unlink()
        if not answers(daemon.socket):  # unless another one was quicker
            raise _not_started(log, log_start, "ended")
    elif not ready:
        stop_engine(home, clock)
        raise _not_started(log, log_start, f"did not answer within {_READY_LIMIT.total_seconds():g} s")


def stop_engine(home: Path, clock: Clock) -> bool:
    """Stop the engine that `start_engine` started for this home, and wait until it is gone; False where there is
    none, or it is gone already. `RepairError` where it does not end."""
    file = home / "engine.json"
    try:
        record = msgspec.json.decode(file.read_bytes(), type=EngineRecord)
    except FileNotFoundError:
        return False
    except msgspec.MsgspecError as error:
        raise RepairError(
            f"{file} cannot be read: {error}", fix="stop that engine by hand and remove the file"
        ) from error
    running = is_alive(record.identity) and not _ended(record.pid)
    if running:
        with suppress(ProcessLookupError):
            os.kill(record.pid, signal.SIGTERM)
        if not wait_until(clock, _STOP_LIMIT, lambda: _gone(record)):
            raise RepairError(
                f"the engine (process {record.pid}) has not ended {_STOP_LIMIT.total_seconds():g} s after TERM",
                fix="stop its containers first, or end it by hand",
            )
    file.unlink()
    return running


def wait_until(clock: Clock, limit: timedelta, condition: Callable[[], bool]) -> bool:
    """Look at `condition` until it holds; False where it does not within `limit`."""
    end = clock.monotonic() + limit.total_seconds()
    never = threading.Event()
    while not condition():
        if clock.monotonic() > end:
            return False
        clock.wait(never, _LOOK_EVERY)
    return True


def answers(socket: Path) -> bool:
    """Whether an engine answers at this socket."""
    client = Client(lambda: Address(url=f"unix://{socket}"), timeout=5)
    try:
        client.negotiate()
    except EngineError:
        return False
    finally:
        client.close()
    return True


def advice(log_lines: Iterable[str]) -> str:
    """What to do about an engine whose log ends so."""
    text = "\n".join(log_lines).lower()
    return next((fix for trap, fix in _TRAPS if trap in text), "read its log; start the engine by hand")


def _spawn(command: tuple[str, ...], log: Path) -> int:
    """Start a program in a session of its own, so that it outlives us; returns its process id."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
    try:
        return os.posix_spawnp(
            command[0],
            command,
            {**os.environ, "PATH": path},
            setsid=True,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
        )
    except OSError as error:
        raise RepairError(f"`{command[0]}` cannot be started: {error}", fix="install the engine") from error


def _ended(pid: int) -> bool:
    """Whether a process is no more; takes the exit of a child of ours, so that it does not linger."""
    with suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return identity(pid) == ""


def _gone(record: EngineRecord) -> bool:
    """Whether nothing is left of it. A child of ours is gone when its exit was taken: its first thread looks dead
    while others still end."""
    try:
        return os.waitpid(record.pid, os.WNOHANG)[0] == record.pid
    except ChildProcessError:
        return not is_alive(record.identity)


def _not_started(log: Path, start: int, how: str) -> RepairError:
    with log.open(errors="replace") as file:
        file.seek(start)
        lines = file.read().splitlines()[-_LAST_LINES:]
    told = "\n".join(f"    {line}" for line in lines)
    return RepairError(f"the engine was started and {how}; the end of {log}:\n{told}", fix=advice(lines))
