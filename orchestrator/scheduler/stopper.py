"""Kill means stopped, then gone (invariant I6): TERM, a timer of our own, KILL; on threads of its own, never
behind the start gate."""

import heapq
import itertools
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import EngineError, NoSuchContainerError
from orchestrator.ids import TryId
from orchestrator.planning.events import Signalled
from orchestrator.ports import Engine
from orchestrator.scheduler.attempts import OpenAttempt, OpenAttempts
from orchestrator.scheduler.inbox import Message
from orchestrator.scheduler.vigil import Vigil
from orchestrator.scheduler.workers import Workers

_log = structlog.get_logger()

#: How long until a signal that the engine did not take is sent again.
_AGAIN = timedelta(seconds=1)
#: Signals that are sent at one time: one that the engine does not answer holds up no other.
_SENDERS = 8
#: The signal that nobody can be deaf to.
_LAST = "KILL"
#: Seconds to wait where nothing is due: until somebody asks.
_EVER = threading.TIMEOUT_MAX


class _Step(NamedTuple):
    """A signal that is due: when by the monotonic clock, so that no hands that are set hasten or delay it."""

    at: float
    order: int
    entry: OpenAttempt
    signal: str
    asked: datetime  #: since when its grace runs


class Stopper:
    """Signals tries that are to end: each gets its stop signal once, and after its grace KILL."""

    def __init__(
        self,
        engine: Engine,
        attempts: OpenAttempts,
        vigil: Vigil,
        *,
        post: Callable[[Message], None],
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._attempts = attempts
        self._vigil = vigil
        self._post = post
        self._clock = clock
        self._order = itertools.count()
        self._lock = threading.Lock()
        self._due: list[_Step] = []
        self._stopping: set[TryId] = set()  #: those in `_due`, and the one that is being signalled
        self._asked = threading.Event()
        self._closing = threading.Event()
        self._senders = Workers(_SENDERS, "stop")
        self._thread = threading.Thread(target=self._run, name="stopper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._asked.set()
        self._senders.close()

    def join(self, seconds: float) -> bool:
        until = self._clock.monotonic() + seconds
        if self._thread.ident is not None:
            self._thread.join(seconds)
        sent = self._senders.join(max(until - self._clock.monotonic(), 0.0))
        return sent and not self._thread.is_alive()

    def stop(self, entry: OpenAttempt) -> None:
        """Stop the try's container: its stop signal now, or what is left of the grace that an earlier process
        began. One that is being stopped is left to that; one without a container is left to the launcher, which
        looks before it starts and asks again afterwards."""
        kill_at, grace = entry.attempt.kill_at, entry.attempt.spec.stop_grace
        with self._lock:
            if entry.try_id in self._stopping:
                return
            self._stopping.add(entry.try_id)
            if kill_at is None:
                self._push(entry, _first_signal(entry))
            else:
                self._push(entry, _LAST, min(kill_at - self._clock.now(), grace))

    def _push(
        self, entry: OpenAttempt, signal: str, after: timedelta = timedelta(0), *, asked: datetime | None = None
    ) -> None:
        at = self._clock.monotonic() + after.total_seconds()
        step = _Step(at, next(self._order), entry, signal, asked or self._clock.now())
        heapq.heappush(self._due, step)
        self._asked.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._clock.wait(self._asked, self._seconds())
            self._asked.clear()
            for step in self._take_due():
                self._senders.submit(partial(self._signal, step))

    def _seconds(self) -> float:
        with self._lock:
            return max(self._due[0].at - self._clock.monotonic(), 0.0) if self._due else _EVER

    def _take_due(self) -> list[_Step]:
        now = self._clock.monotonic()
        taken = []
        with self._lock:
            while self._due and self._due[0].at <= now:
                taken.append(heapq.heappop(self._due))
        return taken

    def _signal(self, step: _Step) -> None:
        """Send one signal, and see to what follows: again if the engine did not take it, KILL after the grace, or
        nothing more."""
        spared = self._vigil.left_alone_until(step.asked) if step.signal == _LAST else None
        if spared is not None:
            following: tuple[timedelta, str] | None = (spared - self._clock.now(), step.signal)
        else:
            following = self._sent(step.entry, step.signal)
        with self._lock:
            if following is None:
                self._stopping.discard(step.entry.try_id)
            else:
                after, signal = following
                self._push(step.entry, signal, after, asked=step.asked if signal == step.signal else None)

    def _sent(self, entry: OpenAttempt, signal: str) -> tuple[timedelta, str] | None:
        container = entry.container_id
        if container is None or not self._attempts.is_open(entry):
            return None
        try:
            took = self._engine.signal(container, signal)
        except NoSuchContainerError:
            return None
        except EngineError as trouble:
            _log.warning("stop.waits", try_id=entry.try_id, signal=signal, trouble=trouble.message)
            return _AGAIN, signal
        except Exception:  # noqa: BLE001 - the shell of a loop: logged, and tried again
            _log.exception("stop.broke", try_id=entry.try_id, signal=signal)
            return _AGAIN, signal
        _log.info("try.signalled", try_id=entry.try_id, signal=signal, running=took)
        return (self._begun_grace(entry), _LAST) if took and signal != _LAST else None

    def _begun_grace(self, entry: OpenAttempt) -> timedelta:
        """Have it written down when the grace ends, so that it does not begin anew should this process end."""
        grace = entry.attempt.spec.stop_grace
        self._post(Signalled(try_id=entry.try_id, kill_at=self._clock.now() + grace))
        return grace


def _first_signal(entry: OpenAttempt) -> str:
    return (entry.attempt.spec.stop_signal or "TERM").removeprefix("SIG")
