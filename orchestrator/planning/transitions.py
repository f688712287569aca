"""One function per change of state: each fills all columns that belong together and nothing else does.

All are pure; a move that the tables of moves do not know raises `IllegalMoveError`.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import msgspec

from orchestrator.errors import IllegalMoveError
from orchestrator.ids import ContainerId, VersionId
from orchestrator.planning.awaits import Awaits
from orchestrator.planning.rows import Reason, Run, TaskInstance, Try, TryOutcome
from orchestrator.spec.container import ExitFacts
from orchestrator.states import RUN_MOVES, TASK_MOVES, RunState, TaskState

# --- task instances -----------------------------------------------------------------------------------


def queued(task: TaskInstance, at: datetime) -> TaskInstance:
    """Its parents let it run, or its retry delay is over."""
    return _moved(task, TaskState.QUEUED, queued_at=at, started_at=None, ended_at=None, due_at=None, reason=None)


def delayed(task: TaskInstance, reason: Reason) -> TaskInstance:
    """Its preparation goes on, but waits for something outside: told, so that every process can see it."""
    return msgspec.structs.replace(task, reason=reason)


def labelled(task: TaskInstance, label: str) -> TaskInstance:
    """Its container is decided, and with it what it is called among the instances of its task."""
    return msgspec.structs.replace(task, label=label)


def starting(task: TaskInstance, at: datetime, *, sensor: bool = False) -> TaskInstance:
    """Its next try is intended, or of a sensor the next look of its try."""
    since = task.since or at if sensor else None
    return _moved(task, TaskState.STARTING, tries=task.next_number, since=since, reason=None)


def rescheduled(task: TaskInstance, at: datetime, reason: Reason, *, due_at: datetime) -> TaskInstance:
    """A look of its try found nothing, and the next one follows at `due_at`."""
    pokes = task.pokes + 1
    return _moved(task, TaskState.UP_FOR_RESCHEDULE, ended_at=at, due_at=due_at, reason=reason, pokes=pokes)


def begun(task: TaskInstance, at: datetime) -> TaskInstance:
    """The scheduler itself does its next try, which takes no slot, or goes on with it."""
    return _moved(
        task,
        TaskState.STARTING,
        tries=task.next_number,
        since=task.since or at,
        started_at=task.started_at or at,
        reason=None,
    )


def resting(task: TaskInstance, reason: Reason, awaits: Awaits, *, due_at: datetime | None) -> TaskInstance:
    """Its try waits for something outside, until `due_at`, and holds nothing."""
    return _moved(task, TaskState.UP_FOR_RESCHEDULE, due_at=due_at, reason=reason, awaits=awaits, pokes=1)


def awake(task: TaskInstance, at: datetime) -> TaskInstance:
    """What it waited for has come, or its time is over."""
    return _moved(task, TaskState.QUEUED, queued_at=at, due_at=None, reason=None)


def running(task: TaskInstance, at: datetime) -> TaskInstance:
    """The container of its try runs."""
    return _moved(task, TaskState.RUNNING, started_at=at)


def succeeded(
    task: TaskInstance,
    at: datetime,
    started_at: datetime | None,
    *,
    sizes: Mapping[str, int] = MappingProxyType({}),
    skips: tuple[str, ...] = (),
    reason: Reason | None = None,
) -> TaskInstance:
    """`sizes` and `skips` as in `TaskInstance`; `reason`: why without running."""
    return _moved(
        task,
        TaskState.SUCCESS,
        started_at=started_at,
        ended_at=at,
        due_at=None,
        reason=reason,
        sizes=dict(sizes),
        skips=skips,
    )


def skipped(task: TaskInstance, at: datetime, reason: Reason, skips: tuple[str, ...] = ()) -> TaskInstance:
    """`skips` as in `TaskInstance`."""
    return _moved(task, TaskState.SKIPPED, ended_at=at, reason=reason, due_at=None, skips=skips)


def upstream_failed(task: TaskInstance, at: datetime, reason: Reason) -> TaskInstance:
    return _moved(task, TaskState.UPSTREAM_FAILED, ended_at=at, reason=reason)


def removed(task: TaskInstance, at: datetime) -> TaskInstance:
    """It stands for nothing any more: expanded into others, or gone from its DAG."""
    return _moved(task, TaskState.REMOVED, ended_at=at, reason=None)


def like(task: TaskInstance, other: TaskInstance) -> TaskInstance:
    """It ends as another one has ended."""
    return _moved(task, other.state, ended_at=other.ended_at, reason=other.reason)


def meant(task: TaskInstance, state: TaskState) -> TaskInstance:
    """It is to become this once its open try has ended, whatever came of that."""
    return msgspec.structs.replace(task, target=state)


def late(task: TaskInstance, due: datetime) -> TaskInstance:
    """It was still open at its deadline."""
    return msgspec.structs.replace(task, deadline_missed_at=due)


def cleared(task: TaskInstance) -> TaskInstance:
    """It is to run again, with fresh budgets; its tries stay, and their numbers go on."""
    _check(task, TaskState.WAITING)
    return TaskInstance(key=task.key, tries=task.tries, deadline_missed_at=task.deadline_missed_at)


def failed(task: TaskInstance, at: datetime, reason: Reason) -> TaskInstance:
    return _moved(task, TaskState.FAILED, ended_at=at, reason=reason, due_at=None)


def retried(
    task: TaskInstance, at: datetime, reason: Reason, *, due_at: datetime, infrastructure: bool
) -> TaskInstance:
    """Its try failed, and another follows at `due_at`, on the budget that was spent."""
    return _moved(
        task,
        TaskState.UP_FOR_RETRY,
        ended_at=at,
        due_at=due_at,
        reason=reason,
        failures=task.failures + (not infrastructure),
        losses=task.losses + infrastructure,
    )


def _moved(task: TaskInstance, state: TaskState, **columns: Any) -> TaskInstance:
    _check(task, state)
    if state.final or state is TaskState.UP_FOR_RETRY:
        columns |= {"pokes": 0, "target": None}
    if state is TaskState.UP_FOR_RETRY:
        columns |= {"awaits": None}
    return msgspec.structs.replace(task, state=state, **columns)


def _check(task: TaskInstance, state: TaskState) -> None:
    if state not in TASK_MOVES[task.state]:
        raise IllegalMoveError(f"{task.key} cannot move from {task.state} to {state}")


# --- runs ---------------------------------------------------------------------------------------------


def run_started(run: Run, at: datetime) -> Run:
    return _run_moved(run, RunState.RUNNING, started_at=at)


def run_succeeded(run: Run, at: datetime) -> Run:
    return _run_moved(run, RunState.SUCCESS, ended_at=at)


def run_failed(run: Run, at: datetime, reason: Reason) -> Run:
    return _run_moved(run, RunState.FAILED, ended_at=at, reason=reason)


def run_cleared(run: Run, at: datetime) -> Run:
    """Some of it is to run again."""
    again = {"started_at": None, "ended_at": None, "reason": None, "cleared_at": at, "backfill": None}
    return _run_moved(run, RunState.QUEUED, **again)


def run_reopened(run: Run) -> Run:
    """What it came to is to be judged again; nothing of it runs again."""
    return _run_moved(run, RunState.QUEUED, ended_at=None, reason=None)


def run_renewed(run: Run, version: VersionId, images: dict[str, str] | None) -> Run:
    """It goes on with another version of its DAG; `images` None: to be looked up."""
    return msgspec.structs.replace(run, version=version, images=images)


def run_late(run: Run, due: datetime) -> Run:
    """It was still open at its deadline."""
    return msgspec.structs.replace(run, deadline_missed_at=due)


def run_doomed(run: Run, reason: Reason) -> Run:
    """It will fail with this reason once its open tries have ended; nothing new starts in it."""
    return msgspec.structs.replace(run, reason=reason)


def run_pinned(run: Run, images: dict[str, str]) -> Run:
    """More image names are pinned; a name that is keeps its first meaning."""
    return msgspec.structs.replace(run, images=images | (run.images or {}))


def _run_moved(run: Run, state: RunState, **columns: Any) -> Run:
    if state not in RUN_MOVES[run.state]:
        raise IllegalMoveError(f"{run.key} cannot move from {run.state} to {state}")
    return msgspec.structs.replace(run, state=state, **columns)


# --- tries --------------------------------------------------------------------------------------------


def try_started(attempt: Try, container_id: ContainerId, at: datetime) -> Try:
    return msgspec.structs.replace(attempt, container_id=container_id, started_at=at)


def try_adopted(attempt: Try, container_id: ContainerId, at: datetime) -> Try:
    """A later process found it running."""
    started_at = attempt.started_at or at
    return msgspec.structs.replace(
        attempt, container_id=container_id, started_at=started_at, adopted=attempt.adopted + 1
    )


def try_stopping(attempt: Try, at: datetime, reason: Reason) -> Try:
    """We want it ended; it is still open."""
    return msgspec.structs.replace(attempt, stop_requested_at=at, stop_reason=reason)


def try_signalled(attempt: Try, kill_at: datetime) -> Try:
    """Its container got the stop signal, and has its grace until then."""
    return msgspec.structs.replace(attempt, kill_at=kill_at)


def try_exited(
    attempt: Try,
    at: datetime,
    container_id: ContainerId,
    exit_facts: ExitFacts,
    outcome: TryOutcome,
    reason: Reason | None,
) -> Try:
    """Its container ended. The engine's own instants, where it tells them, come before what we noted, so that
    no try ends before it starts; `at` stands in for the end."""
    return msgspec.structs.replace(
        attempt,
        container_id=container_id,
        started_at=exit_facts.started_at or attempt.started_at,
        ended_at=exit_facts.finished_at or at,
        exit=exit_facts,
        outcome=outcome,
        reason=reason,
    )


def try_ended(
    attempt: Try, at: datetime, container_id: ContainerId | None, outcome: TryOutcome, reason: Reason
) -> Try:
    """It is over without an exit of a container: never launched, or lost. What was created of it stays its own."""
    known = attempt.container_id or container_id
    return msgspec.structs.replace(attempt, container_id=known, ended_at=at, outcome=outcome, reason=reason)


def try_collected(attempt: Try, at: datetime, *, log_truncated: bool) -> Try:
    """Its log is read to the end and its container removed."""
    return msgspec.structs.replace(attempt, removed_at=at, log_complete=not log_truncated)
