"""Kill means stopped, then gone (invariant I6): TERM, a timer of our own, KILL; on a thread of its own, never
behind the start gate."""

import heapq
import itertools
import threading
from datetime import datetime, timedelta

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import EngineUnavailableError, NoSuchContainerError
from orchestrator.ports import Engine
from orchestrator.scheduler.attempts import OpenAttempt, OpenAttempts

_log = structlog.get_logger()

#: How long until a signal that the engine did not take is sent again.
_AGAIN = timedelta(seconds=1)


class Stopper:
    """Signals tries that are to end, each twice at most."""

    def __init__(self, engine: Engine, attempts: OpenAttempts, clock: Clock) -> None:
        self._engine = engine
        self._attempts = attempts
        self._clock = clock
        self._order = itertools.count()
        self._due: list[tuple[datetime, int, OpenAttempt, str]] = []
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="stopper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(2)

    def stop(self, entry: OpenAttempt) -> None:
        """Stop the try's container: TERM now, or KILL if its grace is over already (after a restart). A try
        without a container is left to the launcher, which looks before it starts."""
        asked = entry.attempt.stop_requested_at or self._clock.now()
        over = self._clock.now() >= asked + entry.attempt.spec.stop_grace
        self._push(self._clock.now(), entry, "KILL" if over else self._first_signal(entry))

    @staticmethod
    def _first_signal(entry: OpenAttempt) -> str:
        return (entry.attempt.spec.stop_signal or "TERM").removeprefix("SIG")

    def _push(self, at: datetime, entry: OpenAttempt, signal: str) -> None:
        with self._changed:
            heapq.heappush(self._due, (at, next(self._order), entry, signal))
            self._changed.notify()

    def _run(self) -> None:
        while (due := self._next()) is not None:
            self._signal(*due)

    def _next(self) -> tuple[OpenAttempt, str] | None:
        with self._changed:
            while not self._closing:
                now = self._clock.now()
                if self._due and self._due[0][0] <= now:
                    _, _, entry, signal = heapq.heappop(self._due)
                    return entry, signal
                self._changed.wait((self._due[0][0] - now).total_seconds() if self._due else None)
            return None

    def _signal(self, entry: OpenAttempt, signal: str) -> None:
        if self._attempts.get(entry.try_id) is not entry or entry.container_id is None:
            return
        try:
            took = self._engine.signal(entry.container_id, signal)
        except NoSuchContainerError:
            return
        except EngineUnavailableError:
            self._push(self._clock.now() + _AGAIN, entry, signal)
            return
        _log.info("try.signalled", try_id=entry.try_id, signal=signal, running=took)
        if took and signal != "KILL":
            self._push(self._clock.now() + entry.attempt.spec.stop_grace, entry, "KILL")
