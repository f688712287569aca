"""Tries, while it is parsed, what no DAG file may do in the container, and says how it fared: what it got, or the
name of the error. Run as a program by the scheduler's own user, it shows that these things can be done at all."""

import ctypes
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from orchestrator import DAG, EmptyOperator

HOME = Path("/var/lib/orchestrator")
ENGINE = "/var/run/docker.sock"
ALL_IDS = "Uid:\t{0}\t{0}\t{0}\t{0}\n"


def attempt(action: Callable[[], object]) -> str:
    try:
        action()
    except Exception as error:  # noqa: BLE001 - whatever keeps it from being done
        return type(error).__name__
    return "done"


def call(kind: int, address: object) -> None:
    with socket.socket(kind) as caller:
        caller.settimeout(5)
        caller.connect(address)


#: Root's in every container: the first process, and for an instant what the engine enters it with (health checks).
EXPECTED = ("orchestrator.entrypoint", "runc init")


def processes(uid: int) -> Iterator[tuple[str, Path]]:
    """Command lines and places of a user's processes; some end while one looks."""
    for place in Path("/proc").glob("[1-9]*"):
        with suppress(OSError):
            if ALL_IDS.format(uid) in (place / "status").read_text():
                yield (place / "cmdline").read_text().replace("\0", " "), place


def environment_of_the_scheduler() -> str:
    (place,) = (place for line, place in processes(10001) if "-m orchestrator scheduler" in line)
    return (place / "environ").read_text()


FINDINGS = {
    "user": [os.getuid(), os.geteuid(), os.getgid(), *os.getgroups()],
    "own environment": Path("/proc/self/environ").read_text(),
    "a variable of the C library's": bool(ctypes.CDLL(None).getenv(b"PATH")),
    "root's processes": [line for line, _ in processes(0) if not any(known in line for known in EXPECTED)],
    "engine": attempt(lambda: call(socket.AF_UNIX, ENGINE)),
    "engine's socket": os.access(ENGINE, os.R_OK) or os.access(ENGINE, os.W_OK),
    "scheduler's socket": attempt(lambda: call(socket.AF_UNIX, str(HOME / "run" / "scheduler.sock"))),
    "network": attempt(lambda: call(socket.AF_INET, ("127.0.0.1", 1))),
    "database": attempt(lambda: call(socket.AF_INET, ("postgres", 5432))),
    "database's password": attempt(Path("/run/database/pgpass").read_text),
    "home": attempt(lambda: list(HOME.iterdir())),
    "secrets": attempt(Path("/run/secrets/probe").read_text),
    "task images": attempt(lambda: list(Path("/project/task-images").iterdir())),
    "scheduler's environment": attempt(environment_of_the_scheduler),
    "first process's environment": attempt(Path("/proc/1/environ").read_text),
    "first process's files": attempt(lambda: list(Path("/proc/1/fd").iterdir())),
    "signals to the first process": attempt(lambda: os.kill(1, 0)),
    "being the scheduler": attempt(lambda: os.setuid(10001)),
    "being root": attempt(lambda: os.setuid(0)),
    "reading DAG files": attempt(lambda: list(Path("/project/dags").iterdir())),
    "writing DAG files": attempt(Path("/project/dags/new.py").touch),
}

with DAG("hostile", schedule=None, description=json.dumps(FINDINGS)):
    EmptyOperator(task_id="nothing")

if __name__ == "__main__":
    sys.stdout.write(json.dumps(FINDINGS))
