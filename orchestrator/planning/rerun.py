"""Changing what came to be: clear, mark, kill task instances of any run, open or ended (spec scheduling 6). Old
tries stay as they are; an instance whose try is open is stopped first, and becomes what is meant with its exit.
"""

from collections.abc import Collection, Iterable
from datetime import datetime

from orchestrator.ids import UNMAPPED, RunKey, TaskKey
from orchestrator.planning import transitions
from orchestrator.planning.blueprint import Blueprint
from orchestrator.planning.changes import DropResult, PinImages, Recall
from orchestrator.planning.draft import Draft
from orchestrator.planning.flow import end_if_over, fail_fast, spread
from orchestrator.planning.history import PastRun
from orchestrator.planning.rows import Reason, TaskInstance
from orchestrator.planning.stopping import request_stop
from orchestrator.planning.view import View
from orchestrator.states import TASK_MOVES, ReasonCode, RunState, TaskState

#: What a task instance may be marked as.
MARKS = (TaskState.SUCCESS, TaskState.FAILED, TaskState.SKIPPED)


def recall(draft: Draft, past: PastRun) -> None:
    """Have a run in the world, as it is there or as the database has it."""
    if past.run.key not in draft.world.runs:
        draft.do(Recall(run=past.run, tasks=past.tasks, versions=(past.version,)))


def clear(draft: Draft, run: RunKey, keys: Iterable[TaskKey], actor: str, *, as_run: bool) -> None:
    """Have these run again, with fresh budgets. An ended run is queued again, with the newest version and images of
    its DAG, or `as_run` with those it had; one that is open goes on as it is."""
    reason = Reason(code=ReasonCode.CLEARED, text=f"cleared by {actor}")
    ended = draft.world.runs[run].state.final
    if ended:
        draft.put_run(transitions.run_cleared(draft.world.runs[run], draft.now))
        draft.stir(run.dag_id)
    keys = set(keys)
    if ended and not as_run:
        _renew(draft, run, keys, reason)
    if ended and draft.world.runs[run].images is None:  # new ones, or of a run that ended before they were known
        draft.do(PinImages(run=run, images=draft.world.blueprint(run).images))
    again, gone = _by_unit(draft.world, run, keys)
    for key in sorted(gone):
        _become(draft, draft.world.tasks[key], TaskState.REMOVED, reason)
    for key in sorted(again):
        _become(draft, draft.world.tasks[key], TaskState.WAITING, reason)
    if not ended:
        _go_on(draft, run)


def mark(draft: Draft, run: RunKey, keys: Iterable[TaskKey], state: TaskState, actor: str) -> None:
    """Have these be what somebody says they are. What follows from it follows; a run that had ended is judged anew,
    and ran from when to when it did."""
    reason = Reason(code=ReasonCode.MARKED_BY, text=f"marked {state} by {actor}")
    before = draft.world.runs[run]
    if before.state.final:
        draft.put_run(transitions.run_reopened(before))
    for key in keys:
        _become(draft, draft.world.tasks[key], state, reason)
    _go_on(draft, run, ended_at=before.ended_at)


def kill(draft: Draft, run: RunKey, keys: Iterable[TaskKey], actor: str) -> None:
    """Have these fail, whatever they are doing, without a retry; those that have ended are left alone."""
    reason = Reason(code=ReasonCode.KILLED_BY, text=f"killed by {actor}")
    for key in keys:
        task = draft.world.tasks[key]
        if not task.state.final:
            _become(draft, task, TaskState.FAILED, reason)
    _go_on(draft, run)


def arrive(draft: Draft, task: TaskInstance, state: TaskState, reason: Reason) -> None:
    """The try of an instance that is meant to become something has ended: now it does."""
    _move(draft, task, state, reason)
    _go_on(draft, task.key.run)


def _go_on(draft: Draft, run: RunKey, *, ended_at: datetime | None = None) -> None:
    """What follows, in a run that has begun. One that is held back waits, but for one of which all has ended, now
    or at `ended_at`."""
    if draft.world.runs[run].state is RunState.RUNNING:
        spread(draft, draft.world.waiting(run))
    elif not draft.world.unfinished[run]:
        started_at = draft.world.runs[run].started_at or ended_at or draft.now
        draft.put_run(transitions.run_started(draft.world.runs[run], started_at))
    else:
        return
    end_if_over(draft, run, at=ended_at)


def _become(draft: Draft, task: TaskInstance, state: TaskState, reason: Reason) -> None:
    """Now, or when its open try has ended. One that is about to go, since its task is expanded anew, goes."""
    try_id = draft.world.open_try.get(task.key)
    if task.target is TaskState.REMOVED:
        return
    if try_id is None:
        _move(draft, task, state, reason)
    else:
        draft.put_task(transitions.meant(task, state))
        request_stop(draft, draft.world.tries[try_id], reason)


def _move(draft: Draft, task: TaskInstance, state: TaskState, reason: Reason) -> None:
    """To `state`, by way of the states that the table of moves asks for."""
    if task.state is state:
        return
    if task.state is TaskState.SUCCESS:
        draft.do(DropResult(key=task.key))
    if state not in TASK_MOVES[task.state]:
        ended = task if task.state.final else transitions.failed(task, draft.now, reason)
        if ended is not task:
            draft.put_task(ended)
        task = transitions.cleared(ended)
        draft.put_task(task)
    if task.state is not state:
        draft.put_task(_moved(draft, task, state, reason))
    if state is TaskState.FAILED:
        fail_fast(draft, task)


def _moved(draft: Draft, task: TaskInstance, state: TaskState, reason: Reason) -> TaskInstance:
    match state:
        case TaskState.WAITING:
            return transitions.cleared(task)
        case TaskState.SUCCESS:
            return transitions.succeeded(task, draft.now, task.started_at)
        case TaskState.FAILED:
            return transitions.failed(task, draft.now, reason)
        case TaskState.SKIPPED:
            return transitions.skipped(task, draft.now, reason)
        case TaskState.REMOVED:
            return transitions.removed(task, draft.now)
        case _:
            raise ValueError(f"nothing is made {state} by hand")


def _by_unit(world: View, run: RunKey, keys: Iterable[TaskKey]) -> tuple[set[TaskKey], set[TaskKey]]:
    """What is to run again, and what is to go: where something that tasks are expanded over runs again, they are
    expanded anew."""
    again = {key for key in keys if world.tasks[key].state is not TaskState.REMOVED}
    gone, cleared = set[TaskKey](), {key.task_id for key in again}
    units = world.blueprint(run).units
    for task_id in sorted(units, key=lambda each: world.blueprint(run).place[each]):  # sources come first
        if not cleared.isdisjoint(units[task_id].sources):
            gone |= {key for key in world.instances(run, task_id) if key.map_index != UNMAPPED}
            again.add(TaskKey(run.dag_id, run.run_id, task_id))
            cleared.add(task_id)
    return again - gone, gone


def _renew(draft: Draft, run: RunKey, keys: Collection[TaskKey], reason: Reason) -> None:
    """Pin an ended run, of which these are to run again, to the newest version of its DAG: tasks that are gone from
    it, or are to be expanded in another way, are removed; new ones wait."""
    before, newest = draft.world.blueprint(run), draft.world.current(run.dag_id)
    fitting = _fitting(before, newest, {key.task_id for key in keys})
    for key in list(draft.world.tasks_of.entries(run)):
        if key.task_id not in fitting:
            _move(draft, draft.world.tasks[key], TaskState.REMOVED, reason)
    again = draft.world.runs[run]
    draft.put_run(transitions.run_renewed(again, newest.version.version, None if newest.images else {}))
    for task_id in newest.tasks:
        key = TaskKey(run.dag_id, run.run_id, task_id)
        held = draft.world.tasks.get(key)
        if held is None:
            draft.put_task(TaskInstance(key=key))
        elif task_id not in fitting:
            draft.put_task(transitions.cleared(held))


def _fitting(before: Blueprint, newest: Blueprint, again: Collection[str]) -> set[str]:
    """The tasks whose instances stand for the same in both versions. What tasks are expanded over may differ, where
    none of those that are expanded together is to run again."""
    return {
        task_id for task_id in before.tasks if task_id in newest.tasks and _fits(before, newest, task_id, again)
    }


def _fits(before: Blueprint, newest: Blueprint, task_id: str, again: Collection[str]) -> bool:
    was, becomes = before.units.get(task_id), newest.units.get(task_id)
    if was is None or becomes is None or was.tasks != becomes.tasks:
        return was is becomes
    return was == becomes or not set(again).intersection(was.tasks)
