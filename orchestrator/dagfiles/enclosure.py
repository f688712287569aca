"""What a worker may touch: no descriptor but its own two, a session of its own, so much memory and time."""

import contextlib
import ctypes
import faulthandler
import fcntl
import os
import resource
import signal
import sys

from orchestrator.clock import Clock
from orchestrator.dagfiles.wire import Limits

#: The descriptors of a worker's conversation and report.
TALK, REPORT = 3, 4
#: Bytes kept back so that running out of memory can still be told.
_RESERVE = 64 * 1024 * 1024
_PR_SET_PDEATHSIG = 1


def enclose(talk: int, report: int) -> None:
    """Leave everything of the server behind."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _keep_only(talk, report)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    sys.dont_write_bytecode = True


def limit(limits: Limits) -> None:
    """Have the kernel refuse memory beyond the limit, and end what burns time in spite of the watchdog."""
    _at_most(resource.RLIMIT_AS, limits.memory, limits.memory + _RESERVE)
    seconds = int(limits.seconds) + 2
    _at_most(resource.RLIMIT_CPU, seconds, seconds + 1)
    _at_most(resource.RLIMIT_CORE, 0, 0)


def use_reserve() -> None:
    """After a MemoryError: enough memory to say so."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


class Watchdog:
    """Writes a traceback into the report and ends the process when its time is up; pauses while it waits."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._clock = clock
        self._left = limits.seconds
        self._since = 0.0
        faulthandler.enable(file=REPORT, all_threads=False)

    def resume(self) -> None:
        self._since = self._clock.monotonic()
        faulthandler.dump_traceback_later(max(self._left, 0.001), exit=True, file=REPORT)

    def pause(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        self._left -= self._clock.monotonic() - self._since


def _keep_only(talk: int, report: int) -> None:
    """Move the two to their places by way of high ones, so that neither treads on the other."""
    high = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, REPORT + 1) for each in (talk, report)]
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.dup2(high[0], TALK, inheritable=False)
    os.dup2(high[1], REPORT, inheritable=False)
    os.closerange(REPORT + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _at_most(kind: int, soft: int, hard: int) -> None:
    _, ceiling = resource.getrlimit(kind)
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    with contextlib.suppress(OSError, ValueError):  # systems that cannot limit this
        resource.setrlimit(kind, (soft, hard))
