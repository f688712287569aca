"""What to decide instead of an event that the database refuses or the planner cannot take: it fails its own try,
file or request, and nobody else's."""

import msgspec

from orchestrator.planning.events import ControlPrepared, Event, Exited, FileParsed, Prepared, PrepareFailed
from orchestrator.planning.rows import Reason
from orchestrator.spec.dag import ParsedFile, Problem
from orchestrator.states import ReasonCode

_RULE = "not_storable"


def _failed(event: Prepared | ControlPrepared, reason: Reason) -> PrepareFailed:
    return PrepareFailed(task=event.task, number=event.number, queued_at=event.queued_at, reason=reason)


def instead_of(event: Event, words: str) -> Event | None:
    """The event that tells of the refusal, None where there is nothing to tell."""
    match event:
        case Prepared():
            reason = Reason(code=ReasonCode.RENDER_ERROR, text=f"its container cannot be recorded: {words}")
            return _failed(event, reason)
        case ControlPrepared():
            reason = Reason(code=ReasonCode.RUN_REFUSED, text=f"what it does cannot be recorded: {words}")
            return _failed(event, reason)
        case Exited() if event.result is not None:
            reason = Reason(code=ReasonCode.RESULT_INVALID, text=f"its result cannot be recorded: {words}")
            return msgspec.structs.replace(event, result=None, result_problem=reason)
        case FileParsed() if event.parsed.dags:
            file = event.parsed.file
            problem = Problem(file=file, rule=_RULE, text=f"what this file says cannot be recorded: {words}")
            return FileParsed(parsed=ParsedFile(file=file, problems=(problem,)))
        case _:
            return None
