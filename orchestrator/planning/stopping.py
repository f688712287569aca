"""Asking for the end of an open try. What follows comes with its exit."""

from orchestrator.planning import transitions
from orchestrator.planning.changes import Stop
from orchestrator.planning.draft import Draft
from orchestrator.planning.rows import Reason, Try


def request_stop(draft: Draft, attempt: Try, reason: Reason) -> None:
    """Have an open try ended; the first reason stays."""
    if attempt.stop_requested_at is None:
        stopping = transitions.try_stopping(attempt, draft.now, reason)
        draft.put_try(stopping)
        draft.do(Stop(attempt=stopping))
