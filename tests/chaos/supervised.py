"""A scheduler under its supervisor, as `up` leaves it."""

import os
import signal
import sys
from pathlib import Path

import pytest
from scheduler_process import SchedulerProcess

#: What the supervisor says of one that it is about to end.
STANDS_STILL = "made no progress for"


class SupervisedProcess(SchedulerProcess):
    """`python -m orchestrator.supervisor`; its lines are those of all its schedulers, too."""

    program = ("orchestrator.supervisor",)

    @property
    def scheduler_pid(self) -> int:
        """The scheduler that runs now."""
        if sys.platform != "linux":
            pytest.skip("needs /proc")
        threads = Path(f"/proc/{self.pid}/task").iterdir()
        (child,) = (int(pid) for thread in threads for pid in (thread / "children").read_text().split())
        return child

    def freeze_scheduler(self) -> None:
        """It stands still from now on, and can do nothing about it."""
        os.kill(self.scheduler_pid, signal.SIGSTOP)

    def end(self) -> None:
        if self._process.poll() is None:
            self.stop()
        super().end()
