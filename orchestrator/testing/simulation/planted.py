"""Bugs to be planted into the shipped code, one function each, to see that the simulation finds them. Each is a
mistake that somebody could make there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from orchestrator.errors import EngineError, EngineUnavailableError
from orchestrator.planning import admission, retry
from orchestrator.scheduler import attempts, loop
from orchestrator.scheduler.attempts import OpenAttempt
from orchestrator.scheduler.collector import Collector
from orchestrator.scheduler.launcher import Launcher
from orchestrator.scheduler.loop import Loop
from orchestrator.scheduler.pump import LogPump
from orchestrator.scheduler.reconciler import Reconciler
from orchestrator.scheduler.results import Results
from orchestrator.scheduler.settling import Settled, Settling
from orchestrator.scheduler.stopper import Stopper
from orchestrator.spec.container import ContainerFacts
from orchestrator.store import leadership

# Services are patched where only they themselves look: their insides are what is broken.
# ruff: noqa: SLF001


def _effects_first(self: Loop, changes: Any) -> None:
    """The loop sends out effects, then commits."""
    self._dispatch(changes)
    _commit(self, changes)


def _start_again(self: Launcher, entry: OpenAttempt, container: Any) -> Settled:
    """A start without an answer is sent once more."""
    entry.start_sent = True
    try:
        self._engine.start(container)
    except EngineUnavailableError:
        self._engine.start(container)
    self._tell_started(entry, container)
    return Settled.DONE


def _start_what_is_there(self: Settling, entry: OpenAttempt, facts: ContainerFacts) -> Settled:
    """A container that was only created is started by whoever meets it."""
    entry.container_id = facts.id  # type: ignore[assignment]  # the same text
    self._engine.start(facts.id)  # type: ignore[arg-type]  # see above
    return self._settle(entry, self._engine.inspect(facts.id))  # type: ignore[arg-type]  # see above


def _adopt_what_is_there(self: Settling, entry: OpenAttempt, facts: ContainerFacts) -> Settled:
    """A container that was only created is taken for one that runs."""
    self._adopt(entry, facts)
    return Settled.DONE


def _remove_first(self: Collector, *given: Any, **named: Any) -> None:
    """The container is removed before its outcome is told."""
    with suppress(EngineError):
        self._engine.remove(given[1])
    _tell(self, *given, **named)


def _signal_once(self: Stopper, step: Any) -> None:
    """The stop signal is sent, and no KILL after it."""
    self._sent(step.entry, step.signal)
    with self._lock:
        self._stopping.discard(step.entry.try_id)


def _nothing(*given: Any, **named: Any) -> None:
    """It is not done, or not found."""
    del given, named


def _yes(*given: Any) -> bool:
    """It is not looked at."""
    del given
    return True


def _no(*given: Any) -> bool:
    """It is not looked at."""
    del given
    return False


def _none(*given: Any) -> tuple[()]:
    """It is not done."""
    del given
    return ()


def _one_more(*given: Any) -> int | None:
    """What a limit lets in is counted wrongly."""
    cap = _cap_of(*given)
    return None if cap is None else cap + 1


def _closed_as_it_is(self: LogPump, key: Any, *given: Any, **named: Any) -> bool:
    """A log is not read to its end."""
    del given, named
    self.close(key)
    return True


_commit, _tell, _cap_of = Loop._commit, Collector._tell, admission.cap_of


class Planted(NamedTuple):
    """One bug: what is put in place of what. `seed` is one that finds it, as things were when it was written."""

    what: str
    target: Any
    name: str
    bug: Callable[..., Any] | Any
    seed: int = 0


PLANTED: dict[str, Planted] = {
    "outcome-before-result": Planted("an outcome is told without its result", Results, "of", _nothing, seed=2),
    "create-without-intent": Planted(
        "effects are sent out before the commit", Loop, "_commit", _effects_first, seed=2
    ),
    "no-fence": Planted("nobody asks who leads before a start", Launcher, "_may_start", _yes, seed=1),
    "start-twice": Planted("a start without an answer is sent again", Launcher, "_start", _start_again, seed=21),
    "start-what-is-there": Planted(
        "a container made by another process is started", Settling, "_clear", _start_what_is_there
    ),
    "adopt-unstarted": Planted(
        "what never started is taken for running", Settling, "_clear", _adopt_what_is_there, seed=21
    ),
    "remove-before-outcome": Planted(
        "a container is removed before its outcome is committed", Collector, "_tell", _remove_first
    ),
    "one-slot-too-many": Planted("limits let one more in", admission, "cap_of", _one_more, seed=7),
    "retry-spent-on-loss": Planted("a loss spends retries", retry, "INFRASTRUCTURE_REASONS", frozenset(), seed=18),
    "any-epoch-writes": Planted("who lost the lead writes on", leadership, "check", _nothing, seed=16),
    "log-not-read": Planted("a log is closed as it is", LogPump, "finish", _closed_as_it_is, seed=21),
    "stops-by-others-count": Planted("what others stopped has failed by itself", attempts, "_ends", _no, seed=18),
    "never-kill": Planted("nothing follows the stop signal", Stopper, "_signal", _signal_once, seed=79),
    "no-list": Planted("events are all that is believed", Reconciler, "_pass", _nothing),
    "nothing-resumed": Planted("a new process waits for news", loop, "resume", _none, seed=7),
}


@contextmanager
def planted(bug: Planted) -> Iterator[None]:
    """While it lasts the shipped code has this bug."""
    sound = getattr(bug.target, bug.name)
    setattr(bug.target, bug.name, bug.bug)
    try:
        yield
    finally:
        setattr(bug.target, bug.name, sound)
