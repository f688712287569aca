"""Task instances. Written by the leader only."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Table, and_, insert, select

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.changes import PutTask
from orchestrator.planning.rows import TaskInstance
from orchestrator.store.runs import OPEN
from orchestrator.store.statements import Columns, guarded_update, move
from orchestrator.store.tables import runs, task_instances

_GUARD = ("state",)
_MOVE = guarded_update(task_instances, _GUARD)
_OF_RUN = and_(task_instances.c.dag_id == runs.c.dag_id, task_instances.c.run_id == runs.c.run_id)


def put(connection: Connection, rows: Sequence[PutTask]) -> None:
    """Insert the new ones, then move the others on, in order."""
    if new := [_columns(row.task) for row in rows if row.before is None]:
        connection.execute(insert(task_instances), new)
    moves = [(_columns(row.before), _columns(row.task)) for row in rows if row.before is not None]
    move(connection, _MOVE, _GUARD, moves)


def of_run(connection: Connection, run: RunKey) -> tuple[TaskInstance, ...]:
    """A run's task instances, by id and map index."""
    statement = (
        select(task_instances)
        .where(task_instances.c.dag_id == run.dag_id, task_instances.c.run_id == run.run_id)
        .order_by(task_instances.c.task_id, task_instances.c.map_index)
    )
    return tuple(read_task(row) for row in connection.execute(statement).mappings())


def of_open_runs(connection: Connection) -> tuple[TaskInstance, ...]:
    """All task instances of all runs that are not final."""
    return tuple(read_task(row) for row in connection.execute(of_open_runs_statement()).mappings())


def of_open_runs_statement() -> Select[Any]:
    return select(task_instances).join(runs, _OF_RUN).where(runs.c.state.in_(OPEN))


def at(table: Table, task: TaskKey) -> tuple[ColumnElement[bool], ...]:
    """The condition that a row of `table` belongs to this task instance."""
    return tuple(table.c[name] == value for name, value in msgspec.structs.asdict(task).items())


def pop_key(values: dict[str, Any]) -> TaskKey:
    """Take a task instance's key out of a row's values."""
    return TaskKey(values.pop("dag_id"), values.pop("run_id"), values.pop("task_id"), values.pop("map_index"))


def _columns(task: TaskInstance) -> Columns:
    values = msgspec.structs.asdict(task)
    return msgspec.structs.asdict(values.pop("key")) | values


def read_task(row: RowMapping) -> TaskInstance:
    """A row of `task_instances` as a value."""
    values = dict(row)
    return TaskInstance(key=pop_key(values), **values)
