"""Processes that are killed, in one process: a `Life` ends as by `kill -9`, and what outlives it (the store, the
engine, the log files) is met again by the next one."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

from orchestrator.ids import DeploymentId
from orchestrator.ports import Engine
from orchestrator.spec.container import EngineEvent
from orchestrator.testing.fake_engine import FakeEngine
from orchestrator.testing.faults import FaultPlan, Pause

T = TypeVar("T")


class Killed(Exception):  # noqa: N818 - no error: how the threads of a life that is over come to their end
    """Raised by every call of a life that is over."""


class Life:
    """While it lasts calls go through; `kill` ends it, and no call of it takes effect from then on. `calls` is how
    many it makes: the last one has its effect, but its answer is not heard any more."""

    def __init__(self, calls: int | None = None) -> None:
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._left = calls
        self.faults = FaultPlan()  #: calls of this life that go wrong
        self._pauses: list[Pause] = []
        self._at_end: list[Callable[[], None]] = []

    def at(self, verb: str, *, after_effect: bool = False) -> Pause:
        """The next call of `verb` stands still, before or after its effect, until it may proceed or the life
        ends."""
        pause = self.faults.pause(verb, after_effect=after_effect)
        self._pauses.append(pause)
        return pause

    def kill(self) -> None:
        self._over.set()
        for pause in self._pauses:
            pause.proceed.set()
        for end in self._at_end:
            end()

    def when_it_ends(self, act: Callable[[], None]) -> None:
        self._at_end.append(act)

    def around(self, verb: str, act: Callable[[], T]) -> T:
        """Do `act` if this life lasts; its answer is heard if it still does."""
        result = self.faults.around(verb, lambda: self._lasting(act))
        if self.over:
            if hasattr(result, "close"):
                result.close()  # a connection that nobody takes goes with the process
            raise Killed
        return result

    @property
    def over(self) -> bool:
        return self._over.is_set()

    def _lasting(self, act: Callable[[], T]) -> T:
        self._check()
        last = self._spend()
        try:
            return act()
        finally:
            if last:
                self.kill()

    def _spend(self) -> bool:
        """Whether this call is the last one."""
        with self._lock:
            if self._left is None:
                return False
            self._left -= 1
            if self._left < 0:
                raise Killed
            return not self._left

    def _check(self) -> None:
        if self._over.is_set():
            raise Killed


def mortal(target: T, life: Life) -> T:
    """The same, as one life sees it."""
    return cast("T", _Mortal(target, life))


def mortal_engine(engine: FakeEngine, life: Life) -> Engine:
    """The engine as one life sees it: closing it ends the connections of that life only."""
    return cast("Engine", _MortalEngine(engine, life))


class _Mortal:
    def __init__(self, target: object, life: Life) -> None:
        self._target = target
        self._life = life

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        method = getattr(self._target, verb)
        return lambda *args, **named: self._life.around(verb, lambda: method(*args, **named))


class _MortalEngine(_Mortal):
    def __init__(self, engine: FakeEngine, life: Life) -> None:
        super().__init__(engine, life)
        self._engine = engine
        self._ends: list[Callable[[], None]] = []
        life.when_it_ends(self.close)

    def events(self, deployment: DeploymentId) -> Iterator[EngineEvent]:
        subscription = self._engine.board.subscribe(deployment)
        self._ends.append(subscription.close)
        return iter(subscription)

    def close(self) -> None:
        for end in self._ends:
            end()
