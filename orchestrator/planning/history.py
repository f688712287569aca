"""What the planner asks of the past: the world holds open runs only, and the database holds them all."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.rows import DagVersion, Request, Run, TaskInstance
from orchestrator.spec.value import Value
from orchestrator.states import TaskState


class RunsNamed(Value, frozen=True, kw_only=True, tag="named"):
    """These runs, those of them that are there."""

    keys: tuple[RunKey, ...]


class RunsBetween(Value, frozen=True, kw_only=True, tag="between"):
    """The runs of a DAG whose logical date lies in `[start, end)`, the earliest date first."""

    dag_id: str
    start: datetime
    end: datetime


class RunBefore(Value, frozen=True, kw_only=True, tag="before"):
    """The newest run of a DAG with an earlier logical date that nobody asked for by hand."""

    dag_id: str
    date: datetime


class BackfillStep(Value, frozen=True, kw_only=True):
    """A backfill that asks for the run it is to clear, of a logical date."""

    backfill: int
    date: datetime


Wanted = RunsNamed | RunsBetween | RunBefore


class Question(Value, frozen=True, kw_only=True):
    """What is asked for. `overtaken`: a run of that has ended since, so it must be asked again."""

    wanted: Wanted
    overtaken: bool = False


def concerns(wanted: Wanted, run: Run) -> bool:
    """Whether an answer may tell of this run."""
    match wanted:
        case RunsNamed():
            return run.key in wanted.keys
        case RunsBetween():
            return run.key.dag_id == wanted.dag_id and wanted.start <= run.interval.start < wanted.end
        case RunBefore():
            return run.key.dag_id == wanted.dag_id and run.interval.start < wanted.date


#: Who asked: a task instance that waits, a run that must know the one before it, or a request that is not answered.
Asker = TaskKey | RunKey | Request | BackfillStep


class PastRun(Value, frozen=True, kw_only=True):
    """One run as the database has it, open or ended, with all its task instances and its version."""

    run: Run
    tasks: tuple[TaskInstance, ...]
    version: DagVersion


class Before(Value, frozen=True, kw_only=True):
    """What a run knows of the one before it (`RunBefore`): nothing while that is `asked` for; no `run` where there
    is none. `states` are how its task instances ended, which counts once that run has left the world."""

    asked: bool = False
    run: RunKey | None = None
    date: datetime | None = None
    states: Mapping[str, Mapping[int, TaskState]] = {}


def states_of(run: Run, tasks: Iterable[TaskInstance]) -> dict[str, dict[int, TaskState]]:
    """The states of a run's task instances, by task and map index; without those that were removed. Of a run that
    was cancelled before it began none has come to anything."""
    if run.state.final and run.started_at is None:
        return {}
    found: dict[str, dict[int, TaskState]] = {}
    for task in tasks:
        if task.state is not TaskState.REMOVED:
            found.setdefault(task.key.task_id, {})[task.key.map_index] = task.state
    return found
