"""Waiting for trouble around us to pass (invariant I5): growing delays on the stop event, never a sleep."""

import threading

from orchestrator.clock import Clock

#: First and longest delay between two attempts, in seconds.
FIRST_DELAY = 0.2
LONGEST_DELAY = 5.0


class Patience:
    """Delays for one piece of work that is tried again and again."""

    def __init__(self, clock: Clock, stop: threading.Event) -> None:
        self._clock = clock
        self._stop = stop
        self._delay = FIRST_DELAY

    def wait(self) -> bool:
        """Wait the next delay; False once the process is stopping."""
        stopping = self._clock.wait(self._stop, self._delay)
        self._delay = min(self._delay * 2, LONGEST_DELAY)
        return not stopping
