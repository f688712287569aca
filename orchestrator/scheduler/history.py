"""Answers what the planner asks of the past, from the database and outside the loop."""

import threading
from collections.abc import Callable

from orchestrator.clock import Clock
from orchestrator.errors import StoreUnavailableError
from orchestrator.planning.changes import LookBack
from orchestrator.planning.events import Seen
from orchestrator.ports import Store
from orchestrator.scheduler.inbox import Message
from orchestrator.scheduler.patience import Patience
from orchestrator.scheduler.workers import Workers


class History:
    """Answers each `LookBack` with a `Seen`; while the database is away it waits."""

    def __init__(self, store: Store, *, post: Callable[[Message], None], clock: Clock) -> None:
        self._store = store
        self._post = post
        self._clock = clock
        self._stop = threading.Event()
        self._looking = Workers(1, "history")

    def look(self, effect: LookBack) -> None:
        """Queue one look; from the loop's thread, after the commit of the turn that asks."""
        self._looking.submit(lambda: self._look(effect))

    def close(self) -> None:
        """Begin nothing more."""
        self._stop.set()
        self._looking.close()

    def join(self, seconds: float) -> bool:
        """After `close`: wait up to `seconds` for what is under way; whether it has ended."""
        return self._looking.join(seconds)

    def _look(self, effect: LookBack) -> None:
        patience = Patience(self._clock, self._stop)
        while True:
            try:
                runs = self._store.past_runs(effect.wanted)
            except StoreUnavailableError:
                if not patience.wait():
                    return
            else:
                self._post(Seen(asker=effect.asker, wanted=effect.wanted, runs=runs))
                return
