"""What was still open at its deadline: runs, and task instances."""

import heapq
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, select

from orchestrator.planning.rows import Run, TaskInstance
from orchestrator.store.runs import read_run
from orchestrator.store.tables import runs, task_instances
from orchestrator.store.tasks import read_task


def newest(connection: Connection, dag_id: str | None, limit: int) -> tuple[Run | TaskInstance, ...]:
    """The latest deadline first; of one instant, runs before their tasks."""
    late_runs = connection.execute(late_statement(runs, dag_id, limit)).mappings()
    late_tasks = connection.execute(late_statement(task_instances, dag_id, limit)).mappings()
    found: list[Run | TaskInstance] = [*map(read_run, late_runs), *map(read_task, late_tasks)]
    return tuple(heapq.nlargest(limit, found, key=_deadline))


def _deadline(late: Run | TaskInstance) -> datetime:
    if late.deadline_missed_at is None:
        raise ValueError(f"{late.key} is not late")
    return late.deadline_missed_at


def late_statement(table: Table, dag_id: str | None, limit: int) -> Select[Any]:
    """The newest of a table."""
    missed = table.c.deadline_missed_at
    statement = select(table).where(missed.is_not(None)).order_by(missed.desc()).limit(limit)
    return statement if dag_id is None else statement.where(table.c.dag_id == dag_id)
