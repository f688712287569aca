"""Tasks that take part only in runs of some dates: their own `start_date` and `end_date`. Reads the world, changes
nothing."""

from datetime import datetime

from orchestrator.ids import TaskKey
from orchestrator.planning.rows import Reason
from orchestrator.planning.view import View
from orchestrator.states import ReasonCode, RunType
from orchestrator.timetables import zone_named


def outside(world: View, key: TaskKey) -> Reason | None:
    """Why a task instance is not for its run: the run's logical date is before the task's start date, or after its
    end date, which is inclusive. A backfill is asked for over dates of its own, and has all tasks."""
    task, run = world.task_spec(key), world.runs[key.run]
    date = run.interval.start
    if (task.start_date is None and task.end_date is None) or run.run_type is RunType.BACKFILL:
        return None
    if task.start_date is not None and date < task.start_date:
        return _reason(world, key, f"before its start_date {_shown(world, key, task.start_date)}", date)
    if task.end_date is not None and date > task.end_date:
        return _reason(world, key, f"after its end_date {_shown(world, key, task.end_date)}", date)
    return None


def _reason(world: View, key: TaskKey, where: str, date: datetime) -> Reason:
    text = f"the run's logical date {_shown(world, key, date)} is {where}"
    return Reason(code=ReasonCode.OUTSIDE_DATES, text=text)


def _shown(world: View, key: TaskKey, moment: datetime) -> str:
    """An instant by the clocks of the DAG, as its author has written it."""
    return moment.astimezone(zone_named(world.dag_spec(key.run).timezone)).isoformat(timespec="seconds")
