"""Waiting for trouble around us to pass (invariant I5): growing delays on the stop event, never a sleep."""

import threading

from orchestrator.clock import Clock

#: First and longest delay between two attempts, in seconds.
FIRST_DELAY = 0.2
LONGEST_DELAY = 5.0
#: Seconds after which our log tells of the same trouble again.
_AGAIN = 60.0


class Patience:
    """Delays for one piece of work that is tried again and again."""

    def __init__(self, clock: Clock, stop: threading.Event, *, longest: float = LONGEST_DELAY) -> None:
        """`longest`: delay in seconds that is not exceeded."""
        self._clock = clock
        self._stop = stop
        self._longest = longest
        self._delay = FIRST_DELAY
        self._told: float | None = None

    def is_news(self) -> bool:
        """Whether what is waited for is worth a line in the log: at first, and once a minute from then on."""
        now = self._clock.monotonic()
        news = self._told is None or now - self._told >= _AGAIN
        self._told = now if news else self._told
        return news

    def wait(self) -> bool:
        """Wait the next delay; False once the process is stopping."""
        stopping = self._clock.wait(self._stop, self._delay)
        self._delay = min(self._delay * 2, self._longest)
        return not stopping
