"""The tiny parent of `orchestrator up`: it starts the scheduler as a process of its own, starts it again when it
dies, and ends it when it stands still (`pulses`), since containers whose output nobody reads stand still with it.
Containers keep running meanwhile and are adopted.

`up` becomes this program (`python -m orchestrator.supervisor`) once it has looked at the machine, so that what
stays in memory is small: nothing is imported here but the standard library, the clock and the pulses.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import NoReturn

from orchestrator.clock import Clock, SystemClock
from orchestrator.pulses import PulseWatch, start_watched

#: Seconds to a restart after a quick death, at first and at most; and how long a life counts as a good one.
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
GOOD_LIFE = 60.0
#: Seconds a child has to end in order.
STOP_SECONDS = 8.0
#: Exit code of a child that cannot run at all (bad settings, another scheduler, a foreign schema).
HOPELESS = 3
#: This interpreter, with modules from where it is installed and never from the folder the user stands in.
_PYTHON = (sys.executable, "-P", "-m")


class Supervisor:
    """Keeps one child process alive until it is told to stop. `say` hears what a person should know."""

    def __init__(self, command: Sequence[str], clock: Clock, say: Callable[[str], None]) -> None:
        self._command = list(command)
        self._clock = clock
        self._say = say
        self._stop = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Blocks; returns the exit code for our own process: 0 after `stop`, else the hopeless child's."""
        delay = FIRST_DELAY
        while not self._stop.is_set():
            born = self._clock.monotonic()
            self._child, watch = start_watched(self._command, self._clock, environment=os.environ)
            if self._stop.is_set():  # told while it was being born
                _end(self._child)
            code = self._lived(self._child, watch)
            if self._stop.is_set():
                return os.EX_OK
            if code == HOPELESS:
                return code
            if self._clock.monotonic() - born > GOOD_LIFE:
                delay = FIRST_DELAY
            self._say(f"the scheduler ended with {_words(code)}; it is started again in {delay:g} s")
            self._clock.wait(self._stop, delay)
            delay = min(delay * 2, LONGEST_DELAY)
        return os.EX_OK

    def _lived(self, child: subprocess.Popen[bytes], watch: PulseWatch) -> int:
        """How its life ended: by our force where it stood still, which ends also a process that was stopped."""
        stood_still = watch.stall(ended=lambda: child.poll() is not None)
        watch.close()
        if stood_still is not None:
            self._say(f"the scheduler made no progress for {stood_still:g} s and is ended by force")
            child.kill()
        return child.wait()

    def stop(self) -> None:
        """End the child in order (TERM), then by force; from a signal handler's thread."""
        self._stop.set()
        if self._child is not None:
            _end(self._child)


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


def _words(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def scheduler_command() -> list[str]:
    """How the scheduler is started as a process of its own."""
    return [*_PYTHON, "orchestrator", "scheduler"]


def on_stop_signals(action: Callable[[], None]) -> None:
    """Have SIGTERM and SIGINT call `action`, once, in a thread of its own."""
    called = threading.Event()

    def heard(_number: int, _frame: object) -> None:
        if not called.is_set():
            called.set()
            threading.Thread(target=action, name="stop", daemon=True).start()

    signal.signal(signal.SIGTERM, heard)
    signal.signal(signal.SIGINT, heard)


def become_supervisor() -> NoReturn:
    """Go on as this program, in the same process."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [*_PYTHON, "orchestrator.supervisor"])  # noqa: S606 - our own interpreter, no shell


def main() -> int:
    """Keep a scheduler for the project here alive until TERM or Ctrl-C."""

    def say(text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    supervisor = Supervisor(scheduler_command(), SystemClock(), say)
    on_stop_signals(supervisor.stop)
    code = supervisor.run()
    if code == os.EX_OK:
        say("stopped; containers that run are left running, the next `up` adopts them")
    return code


if __name__ == "__main__":
    sys.exit(main())
