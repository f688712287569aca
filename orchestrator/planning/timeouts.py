"""The timers of everything that may take too long: tries, runs, sensors and waits. Part of `World.apply`."""

from datetime import datetime

from orchestrator.ids import TaskKey
from orchestrator.planning.lapses import Sparing
from orchestrator.planning.rows import Run, TaskInstance, Try
from orchestrator.planning.timers import Timer, TimerKind
from orchestrator.planning.view import DEFAULT_ENGINE, View
from orchestrator.states import RunState, TaskState

_ENDING = frozenset({TimerKind.TIMEOUT, TimerKind.RUN_TIMEOUT, TimerKind.SENSOR})


def spare(view: View, sparing: Sparing) -> None:
    """Set every timer anew by what is to be spared from now on."""
    view.sparing.put(DEFAULT_ENGINE, sparing)
    for attempt in view.tries.values():
        if attempt.outcome is None:
            watch_try(view, attempt)
    for run in view.runs.values():
        watch_run(view, run)
    for task in view.tasks.values():
        watch_task(view, task)


def strikes(view: View, timer: Timer) -> bool:
    """Whether a timer that has run out may have its effect now."""
    _, kind, of = timer
    ending = kind in _ENDING or (kind is TimerKind.RETRY and _waits(view, of))
    return not (ending and view.spared.held)


def watch_try(view: View, attempt: Try) -> None:
    """Set or end the timer of a try that is open."""
    task = view.task_spec(attempt.key.task)
    started = attempt.started_at is not None
    limit = task.execution_timeout if started else task.start_timeout
    due = None
    if limit is not None and attempt.stop_requested_at is None:
        due = view.spared.due(attempt.started_at or attempt.intended_at, limit, started=started)
    view.timers.set(TimerKind.TIMEOUT, attempt.try_id, due)


def watch_run(view: View, run: Run) -> None:
    """Set or end the timer of a run."""
    limit = view.dag_spec(run.key).dagrun_timeout
    over = run.state is not RunState.RUNNING or run.reason is not None
    due = None if over or limit is None or run.started_at is None else view.spared.due(run.started_at, limit)
    view.timers.set(TimerKind.RUN_TIMEOUT, run.key, due)


def watch_task(view: View, task: TaskInstance) -> None:
    """Set or end the timers of an instance that waits for nothing but time, or has to find something in time."""
    waits = task.state in (TaskState.UP_FOR_RETRY, TaskState.UP_FOR_RESCHEDULE)
    view.timers.set(TimerKind.RETRY, task.key, _wait_over(view, task) if waits else None)
    if task.since is not None and (sensor := view.task_spec(task.key).sensor) is not None:
        over = None if task.state.final else view.spared.due(task.since, sensor.timeout)
        view.timers.set(TimerKind.SENSOR, task.key, over)


def _wait_over(view: View, task: TaskInstance) -> datetime | None:
    """A delay ends when it was said to; who waits for something outside may be given more time."""
    if task.awaits is None or task.due_at is None or task.since is None:
        return task.due_at
    return view.spared.due(task.since, task.due_at - task.since)


def _waits(view: View, key: TaskKey) -> bool:
    task = view.tasks.get(key)
    return task is not None and task.state is TaskState.UP_FOR_RESCHEDULE and task.awaits is not None
