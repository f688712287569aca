"""A scheduler as a process of its own that a test can kill like a power failure would."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from engine_proxy import PATIENCE


class SchedulerProcess:
    """`python -m orchestrator scheduler` in a session of its own. What it logs is kept in `lines`."""

    program: tuple[str, ...] = ("orchestrator", "scheduler")

    def __init__(self, project: Path, environment: Mapping[str, str]) -> None:
        self.lines: list[str] = []
        self._silent = False
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", *self.program],
            cwd=project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_running(self) -> None:
        """Until it says that it runs; by then its local socket listens."""
        with self._changed:
            told = self._changed.wait_for(lambda: self._silent or self._said("scheduler.running"), PATIENCE)
        assert told, "the scheduler does not get going"
        assert self._said("scheduler.running"), "the scheduler ended: " + "".join(self.lines[-20:])

    def wait_said(self, event: str, times: int = 1) -> None:
        """Until so many of its lines told of this."""
        with self._changed:
            told = self._changed.wait_for(lambda: sum(event in line for line in self.lines) >= times, PATIENCE)
        assert told, f"it never said {event!r}: " + "".join(self.lines[-20:])

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self, *, early: bool = False) -> None:
        """SIGKILL to this one process, and see its children end by themselves; `early`: it may have none yet."""
        children = _children(self._process.pid)
        assert children or early or sys.platform != "linux", "the scheduler has no authoring server"
        self._process.kill()
        assert self._process.wait(PATIENCE) == -signal.SIGKILL
        for child in children:
            assert _ended(child), "a child outlived the scheduler"
        self._reader.join(PATIENCE)

    def stop(self) -> int:
        """TERM; its exit code."""
        self._process.terminate()
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def end(self) -> None:
        """By force if it still runs: for the end of a test, however that went."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)

    def _said(self, event: str) -> bool:
        return any(event in line for line in self.lines)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                with self._changed:
                    self.lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._silent = True
            self._changed.notify_all()


def _children(pid: int) -> list[int]:
    """Descriptors that become readable when a child of the process ends; none where the kernel has no such."""
    if sys.platform != "linux":
        return []
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [os.pidfd_open(int(child)) for thread in threads for child in (thread / "children").read_text().split()]


def _ended(child: int) -> bool:
    poll = select.poll()
    poll.register(child, select.POLLIN)
    ended = bool(poll.poll(PATIENCE * 1000))
    os.close(child)
    return ended
