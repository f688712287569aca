"""The tiny parent of `orchestrator up`: it starts the scheduler as a process of its own and starts it again
when it dies. Containers keep running meanwhile and are adopted."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

import structlog

from orchestrator.clock import Clock

_log = structlog.get_logger()

#: Seconds to a restart after a quick death, at first and at most; and how long a life counts as a good one.
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
GOOD_LIFE = 60.0
#: Seconds a child has to end in order.
STOP_SECONDS = 8.0
#: Exit code of a child that cannot run at all (bad settings, another scheduler, a foreign schema).
HOPELESS = 3


class Supervisor:
    """Keeps one child process alive until it is told to stop."""

    def __init__(self, command: Sequence[str], clock: Clock) -> None:
        self._command = list(command)
        self._clock = clock
        self._stop = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Blocks; returns the exit code for our own process: 0 after `stop`, else the hopeless child's."""
        delay = FIRST_DELAY
        while not self._stop.is_set():
            born = self._clock.monotonic()
            self._child = subprocess.Popen(self._command)
            code = self._child.wait()
            if self._stop.is_set():
                return 0
            if code == HOPELESS:
                return code
            if self._clock.monotonic() - born > GOOD_LIFE:
                delay = FIRST_DELAY
            _log.error("scheduler.died", exit_code=code, restart_in_seconds=delay)
            self._clock.wait(self._stop, delay)
            delay = min(delay * 2, LONGEST_DELAY)
        return 0

    def stop(self) -> None:
        """End the child in order (TERM), then by force; from a signal handler's thread."""
        self._stop.set()
        child = self._child
        if child is None or child.poll() is not None:
            return
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()


def scheduler_command() -> list[str]:
    """How the scheduler is started as a process of its own."""
    return [sys.executable, "-m", "orchestrator", "scheduler"]


def on_stop_signals(action: Callable[[], None]) -> None:
    """Have SIGTERM and SIGINT call `action`, once, in a thread of its own."""
    called = threading.Event()

    def heard(_number: int, _frame: object) -> None:
        if not called.is_set():
            called.set()
            threading.Thread(target=action, name="stop", daemon=True).start()

    signal.signal(signal.SIGTERM, heard)
    signal.signal(signal.SIGINT, heard)
