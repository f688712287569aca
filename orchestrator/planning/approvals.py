"""Asking a person (spec authoring 4): approve and it goes on, reject and it is skipped. Who decided, and why, stays
with the task instance."""

from typing import Any

import msgspec

from orchestrator.ids import UNMAPPED, TaskKey
from orchestrator.planning.awaits import ApprovalWait, Decision
from orchestrator.planning.draft import Draft
from orchestrator.planning.resting import fail_with, rest, skip_with, succeed, wake
from orchestrator.planning.rows import Answer, Reason, Request, TaskInstance
from orchestrator.planning.verdicts import name_of
from orchestrator.spec.control import Approval
from orchestrator.spec.params import Params, problems_of, values_of
from orchestrator.states import ReasonCode, TaskState

APPROVE, REJECT = "approve", "reject"


def begin(draft: Draft, task: TaskInstance, control: Approval) -> None:
    """Wait for somebody to decide; where nobody can be asked, fail."""
    if draft.settings.unattended:
        fail_with(
            draft, task, ReasonCode.NOBODY_TO_ASK, f"nobody can be asked here: {control.prompt or 'approve?'}"
        )
        return
    wait = ApprovalWait(prompt=control.prompt, params=control.params, roles=control.roles)
    since = task.since or draft.now
    due_at = None if control.timeout is None else since + control.timeout
    rest(draft, task, wait, story(wait), due_at=due_at)


def story(wait: ApprovalWait) -> Reason:
    """What it waits for."""
    asked = f": {wait.prompt}" if wait.prompt else ""
    return Reason(code=ReasonCode.APPROVAL, text=f"it waits for somebody to approve or reject it{asked}")


def answer(draft: Draft, request: Request) -> Answer:
    """Take a decision in."""
    asked = request.payload
    index = asked.get("map_index", UNMAPPED)
    if not isinstance(index, int):
        return _refused(f"map_index must be a number, not {index!r}")
    key = TaskKey(str(asked.get("dag_id")), str(asked.get("run_id")), str(asked.get("task_id")), index)
    task = draft.world.tasks.get(key)
    wait = None if task is None else task.awaits
    if task is None or task.state is not TaskState.UP_FOR_RESCHEDULE or not isinstance(wait, ApprovalWait):
        stands = "it is in no open run" if task is None else f"it is {task.state}"
        return _refused(f"{name_of(key)} of {key.dag_id} ({key.run_id}) waits for no approval: {stands}")
    given, note, decision = asked.get("params") or {}, asked.get("note"), asked.get("decision")
    if decision not in (APPROVE, REJECT):
        return _refused(f"a decision is {APPROVE} or {REJECT}, not {decision!r}")
    if not isinstance(given, dict) or not isinstance(note, str | None):
        return _refused("params must be a JSON object, and a note a text")
    if decision == APPROVE and (problem := _problem(wait.params, given)):
        return _refused(problem)
    approved = decision == APPROVE
    decided = Decision(approved=approved, actor=request.actor, note=note, at=draft.now)
    kept = msgspec.structs.replace(wake(draft, task), awaits=msgspec.structs.replace(wait, decision=decided))
    if approved:
        succeed(draft, kept, values_of(wait.params, given))
    else:
        skip_with(draft, kept, ReasonCode.REJECTED, f"rejected by {request.actor}{f': {note}' if note else ''}")
    return Answer(ok=True, data={"dag_id": key.dag_id, "run_id": key.run_id, "task_id": key.task_id})


def _problem(params: Params, given: dict[str, Any]) -> str | None:
    unknown = [name for name in given if name not in params]
    if unknown:
        known = ", ".join(params) or "it takes none"
        return f"it takes no param {', '.join(map(repr, unknown))}; those it takes: {known}"
    return "; ".join(problems_of(params, given)) or None


def _refused(error: str) -> Answer:
    return Answer(ok=False, error=error)
