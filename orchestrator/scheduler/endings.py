"""How tries end that no container's exit tells of: refused by the engine, or lost. Each try's end is told to the
loop once, by whoever claims it first.
"""

from collections.abc import Callable

from orchestrator.ids import ContainerId
from orchestrator.planning.events import LaunchFailed, Lost
from orchestrator.planning.rows import Reason
from orchestrator.scheduler.attempts import OpenAttempt, OpenAttempts
from orchestrator.scheduler.inbox import Message
from orchestrator.spec.container import ExitFacts
from orchestrator.states import ReasonCode


class Endings:
    """Tells the loop how tries end; who comes second is not heard."""

    def __init__(self, attempts: OpenAttempts, post: Callable[[Message], None]) -> None:
        self._attempts = attempts
        self._post = post

    def refused(self, entry: OpenAttempt, reason: Reason) -> None:
        """The engine will never run it, or shall not any more; nothing ran."""
        if self._attempts.claim_end(entry):
            self._post(LaunchFailed(try_id=entry.try_id, reason=reason, container_id=entry.container_id))

    def vanished(self, entry: OpenAttempt) -> None:
        """Its container is gone, and nobody knows how it ended."""
        text = "its container is gone from the engine without an outcome (removed by hand?)"
        self.lost(entry, text, ran=entry.may_have_run)

    def engine_lost(self, entry: OpenAttempt, container: ContainerId, facts: ExitFacts) -> None:
        """Its engine was restarted while it ran, and nobody knows whether it ended by itself; told by one who has
        claimed the end."""
        text = f"its engine was restarted while it ran, so its exit code, {facts.exit_code}, says nothing"
        reason = Reason(code=ReasonCode.ENGINE_LOST, text=text)
        self._post(Lost(try_id=entry.try_id, reason=reason, ran=True, container_id=container))

    def lost(self, entry: OpenAttempt, text: str, *, ran: bool) -> None:
        """It has no outcome of its own. `ran`: its process had started, or may have."""
        if self._attempts.claim_end(entry):
            self.tell_lost(entry, text, ran=ran)

    def tell_lost(self, entry: OpenAttempt, text: str, *, ran: bool) -> None:
        """The same by one who has claimed the end already."""
        reason = Reason(code=ReasonCode.CONTAINER_LOST, text=text)
        self._post(Lost(try_id=entry.try_id, reason=reason, ran=ran, container_id=entry.container_id))
