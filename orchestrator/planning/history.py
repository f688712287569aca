"""What the planner asks of the past: the world holds open runs only, and the database holds them all."""

from datetime import datetime

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.rows import DagVersion, Request, Run, TaskInstance
from orchestrator.spec.value import Value


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


Wanted = RunsNamed | RunsBetween | RunBefore
#: Who asked: a task instance that waits, or a request that is not answered yet.
Asker = TaskKey | Request


class PastRun(Value, frozen=True, kw_only=True):
    """One run as the database has it, open or ended, with all its task instances and its version."""

    run: Run
    tasks: tuple[TaskInstance, ...]
    version: DagVersion
