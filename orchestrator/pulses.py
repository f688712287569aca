"""The pipe by which a child process tells its parent that it makes progress: one that stands still is ended.

A child that makes progress says once a second for how long the next word may be out. Who says nothing for that long
stands still: in a call, in a deadlock, or because it was stopped from outside. A child that has said nothing yet is
left alone. Nothing is imported here but the standard library and the clock: the parents are small.
"""

import os
import select
import stat
import subprocess
from collections.abc import Callable, Mapping, Sequence

from orchestrator.clock import Clock

#: The variable by which a parent names the pipe's descriptor to its child.
HEARTBEAT = "ORCHESTRATOR_HEARTBEAT"
#: Seconds that the parent waits at one time.
_SLICE = 1.0
#: Seconds by which such a wait may be late. Beyond, we stood still ourselves, and the child gets all its time anew.
_LATE = 1.0
_READ = 64 * 1024


class Pulse:
    """The child's end. `seconds`: for how long the next call may be out; 0: for ever."""

    def __init__(self, descriptor: int, seconds: float) -> None:
        self._descriptor = descriptor
        self._word = f"{seconds:g}\n".encode()
        os.set_inheritable(descriptor, False)
        os.set_blocking(descriptor, False)

    def __call__(self) -> bool:
        """Say that there is progress; never waits. Whether anybody listens."""
        try:
            os.write(self._descriptor, self._word)
        except BlockingIOError:  # a parent that stood still has enough to read
            return True
        except OSError:
            return False
        return True


def is_pipe(descriptor: int) -> bool:
    """Whether this is an open pipe: the variable may have come down from a process of another kind."""
    try:
        return stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:
        return False


class PulseWatch:
    """The parent's end of one child's pipe."""

    def __init__(self, descriptor: int, clock: Clock, *, seconds: float = _SLICE) -> None:
        """`seconds`: how long to wait at one time."""
        self._descriptor = descriptor
        self._clock = clock
        self._slice = seconds
        self._allowed = 0.0
        self._rest = b""

    def stall(self, ended: Callable[[], bool] = lambda: False) -> float | None:
        """Blocks until the child has said nothing for as long as it said: these seconds. None when it has closed
        its end, mostly by ending, or when `ended`, which is asked now and then, says so."""
        silent = 0.0
        while not ended():
            began = self._clock.monotonic()
            ready, _, _ = select.select([self._descriptor], [], [], self._slice)
            took = self._clock.monotonic() - began
            if ready:
                if not self._hear():
                    return None
                silent = 0.0
            elif took > self._slice + _LATE:
                silent = 0.0
            else:
                silent += took
            if 0 < self._allowed <= silent:
                return self._allowed
        return None

    def close(self) -> None:
        os.close(self._descriptor)

    def _hear(self) -> bool:
        data = os.read(self._descriptor, _READ)
        *words, self._rest = (self._rest + data).split(b"\n")
        if words:
            self._allowed = float(words[-1])
        return bool(data)


def start_watched(
    command: Sequence[str], clock: Clock, *, environment: Mapping[str, str], pass_fds: Sequence[int] = ()
) -> tuple[subprocess.Popen[bytes], PulseWatch]:
    """Start a child that may tell of its progress, and the watch over it."""
    ours, theirs = os.pipe()
    try:
        child = subprocess.Popen(command, env={**environment, HEARTBEAT: str(theirs)}, pass_fds=(*pass_fds, theirs))
    except OSError:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    return child, PulseWatch(ours, clock)
