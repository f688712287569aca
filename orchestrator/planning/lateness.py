"""When runs and their tasks are late (spec scheduling 7): a deadline counts from the end of the interval of a run
that the schedule made in its time, and from the making or clearing of any other."""

from datetime import datetime, timedelta

from orchestrator.planning.rows import Run, TaskInstance
from orchestrator.planning.timers import TimerKind
from orchestrator.planning.view import View
from orchestrator.states import RunType
from orchestrator.timetables import Past


def watch_run(view: View, before: Run | None, run: Run) -> None:
    """Set or end the timers of a run that moved on, and of its tasks where they now count from another instant."""
    limit = view.dag_spec(run.key).deadline
    over = run.state.final or run.deadline_missed_at is not None
    view.timers.set(TimerKind.RUN_DEADLINE, run.key, None if over else _due(view, run, limit))
    if before is not None and (before.cleared_at, before.version) != (run.cleared_at, run.version):
        for key in view.tasks_of.entries(run.key):
            watch_task(view, view.tasks[key])


def watch_task(view: View, task: TaskInstance) -> None:
    """Set or end the timer of a task instance that moved on."""
    tasks = view.blueprint(task.key.run).tasks  # where it goes on with another version, it may be gone
    spec = tasks.get(task.key.task_id)
    limit = None if spec is None else spec.deadline
    over = task.state.final or task.deadline_missed_at is not None
    due = None if over else _due(view, view.runs[task.key.run], limit)
    view.timers.set(TimerKind.TASK_DEADLINE, task.key, due)


def _due(view: View, run: Run, limit: timedelta | None) -> datetime | None:
    return None if limit is None else _counts_from(view, run) + limit


def _counts_from(view: View, run: Run) -> datetime:
    """The end of the interval where the schedule made the run in its time; else when somebody, or catching up, made
    it, or when it was last cleared."""
    if run.cleared_at is not None:
        return run.cleared_at
    if run.run_type is not RunType.SCHEDULED:
        return run.created_at
    past = Past(last=run.interval, since=run.created_at, catchup=True)
    following = view.blueprint(run.key).timetable.due_at(past)
    return run.interval.end if following is None or run.created_at < following else run.created_at
