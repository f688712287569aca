"""While the database is away (invariant I5): how long to wait before it is tried again, and what people hear of it,
one line when it goes and one when it is back."""

import threading

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import StoreUnavailableError
from orchestrator.planning.rows import Reason
from orchestrator.scheduler.patience import Patience
from orchestrator.states import ReasonCode

_log = structlog.get_logger()

#: Longest delay between two attempts, in seconds: questions are answered in between.
_LONGEST = 1.0


class Outage:
    """The loop's own account of its database; used by its thread alone."""

    def __init__(self, clock: Clock, stop: threading.Event) -> None:
        self._clock = clock
        self._stop = stop
        self._patience = Patience(clock, stop, longest=_LONGEST)
        self._began: float | None = None
        self._writing = False
        self._trouble = ""

    @property
    def reason(self) -> Reason | None:
        """Why nothing can be decided now; None where the database answers."""
        if self._began is None:
            return None
        return Reason(code=ReasonCode.DATABASE_DOWN, text=f"the scheduler waits for its database: {self._trouble}")

    def noticed(self, trouble: StoreUnavailableError, *, writing: bool) -> None:
        """It does not answer, or does not take what is written, which reading may not show."""
        self._writing = self._writing or writing
        self._trouble = trouble.message
        if self._began is None:
            self._began = self._clock.monotonic()
            _log.error("database.away", trouble=trouble.message, fix=trouble.fix)

    def wait(self) -> None:
        """Wait until it is worth another attempt, or the process stops."""
        self._patience.wait()

    def answered(self, *, writing: bool) -> None:
        """It does what it was asked; if it only failed to write, only a write ends the outage."""
        if self._began is None or (self._writing and not writing):
            return
        _log.warning("database.back", seconds=round(self._clock.monotonic() - self._began, 1))
        self._patience = Patience(self._clock, self._stop, longest=_LONGEST)
        self._began, self._writing = None, False
