"""Calls that fail, or hang, when a test says so: before they took effect, or after."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


class Pause:
    """A call that hangs: the test waits for `reached`, looks around, and sets `proceed`."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.proceed = threading.Event()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    verb: str
    after_effect: bool
    error: Exception | None = None
    pause: Pause | None = None

    def strike(self) -> None:
        if self.pause is not None:
            self.pause.reached.set()
            self.pause.proceed.wait()
        if self.error is not None:
            raise self.error


class FaultPlan:
    """Which of the next calls go wrong. Each planned fault strikes once, in the order of planning."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[_Fault] = []

    def fail(self, verb: str, error: Exception, *, after_effect: bool = False, times: int = 1) -> None:
        """The next `times` calls of `verb` raise `error`; with `after_effect` they do their work first."""
        fault = _Fault(verb=verb, after_effect=after_effect, error=error)
        with self._lock:
            self._planned += [fault] * times

    def pause(self, verb: str, *, after_effect: bool = False) -> Pause:
        """The next call of `verb` hangs until the returned `Pause` is told to proceed."""
        pause = Pause()
        with self._lock:
            self._planned.append(_Fault(verb=verb, after_effect=after_effect, pause=pause))
        return pause

    def around(self, verb: str, act: Callable[[], T]) -> T:
        """Do `act`, with the faults planned for this call of `verb`."""
        fault = self._take(verb)
        if fault is not None and not fault.after_effect:
            fault.strike()
        result = act()
        if fault is not None and fault.after_effect:
            fault.strike()
        return result

    def _take(self, verb: str) -> _Fault | None:
        with self._lock:
            fault = next((planned for planned in self._planned if planned.verb == verb), None)
            if fault is not None:
                self._planned.remove(fault)
            return fault
