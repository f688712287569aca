"""One doing per key, however many threads ask for it at one time: a second build of the same tag, or a second
pull of the same image, waits for the first and takes its outcome.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from typing import Generic, TypeVar

from orchestrator.clock import Clock
from orchestrator.planning.rows import Reason

Progress = Callable[[Reason], None]
T = TypeVar("T")


class _Doing(Generic[T]):
    """One piece of work under way, who listens to it, and in the end its outcome."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.outcome: Future[T] = Future()
        self.listeners: list[Progress] = []
        self.last: Reason | None = None


class Once(Generic[T]):
    """Work by key, done by the first thread that asks; the others wait for it and share value or error."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._doing: dict[str, _Doing[T]] = {}

    def run(
        self, key: str, work: Callable[[Progress], T], progress: Progress, patience: timedelta | None = None
    ) -> T:
        """The outcome of `work` for `key`. `work` gets a `Progress` that reaches all who wait. `TimeoutError`
        where another thread's work takes longer than `patience`; it goes on all the same."""
        with self._lock:
            mine = key not in self._doing
            doing = self._doing.setdefault(key, _Doing())
            doing.listeners.append(progress)
            last = doing.last
        if mine:
            return self._do(key, doing, work)
        if last:
            progress(last)
        if not self._clock.wait(doing.done, patience.total_seconds() if patience else threading.TIMEOUT_MAX):
            raise TimeoutError(key)
        return doing.outcome.result(timeout=0)

    def _do(self, key: str, doing: _Doing[T], work: Callable[[Progress], T]) -> T:
        def tell(reason: Reason) -> None:
            with self._lock:
                doing.last = reason
                listeners = tuple(doing.listeners)
            for listener in listeners:
                listener(reason)

        try:
            value = work(tell)
        except BaseException as error:
            doing.outcome.set_exception(error)
            raise
        else:
            doing.outcome.set_result(value)
            return value
        finally:
            with self._lock:
                del self._doing[key]
            doing.done.set()
