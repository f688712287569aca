"""The steps of a task instance that the scheduler itself does: it begins, rests while what it waits for is not
there, and ends. None of them takes a slot, and none has a container."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from orchestrator.ids import RunKey
from orchestrator.planning import transitions
from orchestrator.planning.awaits import Awaits, ExternalWait, RunWait, TriggerWait
from orchestrator.planning.changes import LookBack, PutResult
from orchestrator.planning.draft import Draft
from orchestrator.planning.flow import fail, settle
from orchestrator.planning.history import RunsBetween, RunsNamed, Wanted
from orchestrator.planning.retry import Failure
from orchestrator.planning.rows import Reason, Result, TaskInstance
from orchestrator.spec.mapping import sizes_of
from orchestrator.states import ReasonCode

_TICK = timedelta(microseconds=1)


def begin(draft: Draft, task: TaskInstance) -> TaskInstance:
    """A queued one has its turn at once."""
    begun = transitions.begun(task, draft.now)
    draft.put_task(begun)
    return begun


def wake(draft: Draft, task: TaskInstance) -> TaskInstance:
    """What one that rests waited for has come."""
    awake = transitions.awake(task, draft.now)
    draft.put_task(awake)
    return begin(draft, awake)


def rest(
    draft: Draft, task: TaskInstance, awaits: Awaits, reason: Reason, *, due_at: datetime | None = None
) -> None:
    """Wait, at most until `due_at`; where it may be there already, ask the database."""
    draft.put_task(transitions.resting(task, reason, awaits, due_at=due_at))
    wanted = wanted_of(awaits)
    if wanted is not None and not isinstance(awaits, RunWait):
        draft.do(LookBack(asker=task.key, wanted=wanted))


def wanted_of(awaits: Awaits | None) -> Wanted | None:
    """What to ask the database for, of what a task instance waits for; None where it has no answer."""
    match awaits:
        case TriggerWait():
            if awaits.control.run_id is not None:
                return RunsNamed(keys=(RunKey(awaits.control.dag_id, awaits.control.run_id),))
            return _on(awaits.control.dag_id, awaits.interval.start)
        case RunWait():
            return RunsNamed(keys=(awaits.run,))
        case ExternalWait():
            return _on(awaits.control.dag_id, awaits.date)
        case _:
            return None


def succeed(draft: Draft, task: TaskInstance, result: Any) -> None:
    """It is done; `result` (None: none) is handed downstream, unless its task keeps none."""
    kept = None if not draft.world.task_spec(task.key).push_result else result
    data = None if kept is None else msgspec.json.encode(kept)
    if data is not None:
        draft.do(PutResult(result=Result(key=task.key, data=data, created_at=draft.now)))
    sizes = sizes_of(data, draft.world.sizes_wanted(task.key))
    settle(draft, transitions.succeeded(task, draft.now, task.started_at, sizes=sizes))


def skip_with(draft: Draft, task: TaskInstance, code: ReasonCode, text: str) -> None:
    settle(draft, transitions.skipped(task, draft.now, Reason(code=code, text=text)))


def fail_with(draft: Draft, task: TaskInstance, code: ReasonCode, text: str) -> None:
    """Its try failed; another may follow."""
    fail(draft, task, Failure(reason=Reason(code=code, text=text)))


def _on(dag_id: str, date: datetime) -> RunsBetween:
    return RunsBetween(dag_id=dag_id, start=date, end=date + _TICK)
