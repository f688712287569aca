"""Tries: the intent is inserted before a container is created, and what it says is never rewritten. Written by
the leader only.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, Select, and_, delete, insert, select

from orchestrator.ids import RunKey, TaskKey, TryId, TryKey
from orchestrator.planning.changes import DropTry, PutTry
from orchestrator.planning.rows import Try, TryOutcome
from orchestrator.states import TaskState
from orchestrator.store.statements import Columns, guarded_update, move
from orchestrator.store.tables import task_instances, tries
from orchestrator.store.tasks import at, pop_key

_GUARD = ("try_id", "outcome", "removed_at")
_MOVE = guarded_update(tries, _GUARD)
_INTENT = frozenset({"try_id", "epoch", "spec", "intended_at", "look", "cache_key", "cache_parts"})


def put(connection: Connection, rows: Sequence[PutTry]) -> None:
    """Insert intents, then move the others on, in order: a try gets one outcome, and is removed once."""
    if new := [_columns(row.attempt) for row in rows if row.before is None]:
        connection.execute(insert(tries), new)
    moves = [(_columns(row.before), _columns(row.attempt)) for row in rows if row.before is not None]
    move(connection, _MOVE, _GUARD, moves, fixed=_INTENT)


def drop(connection: Connection, rows: Sequence[DropTry]) -> None:
    """Remove tries whose place another container of the same try takes."""
    for row in rows:
        connection.execute(delete(tries).where(*at(tries, row.key.task), tries.c.number == row.key.number))


def uncollected(connection: Connection) -> tuple[Try, ...]:
    """Tries that are open, or still own a container or a log to finish."""
    return tuple(_try(row) for row in connection.execute(uncollected_statement()).mappings())


def uncollected_statement() -> Select[Any]:
    return select(tries).where(tries.c.removed_at.is_(None))


def of_task(connection: Connection, task: TaskKey) -> tuple[Try, ...]:
    """A task instance's tries, by number."""
    statement = select(tries).where(*at(tries, task)).order_by(tries.c.number)
    return tuple(_try(row) for row in connection.execute(statement).mappings())


def of_run(connection: Connection, run: RunKey) -> tuple[Try, ...]:
    """The tries of all task instances of a run, by their keys and numbers."""
    statement = (
        select(tries)
        .where(tries.c.dag_id == run.dag_id, tries.c.run_id == run.run_id)
        .order_by(tries.c.task_id, tries.c.map_index, tries.c.number)
    )
    return tuple(_try(row) for row in connection.execute(statement).mappings())


def one(connection: Connection, try_id: TryId) -> Try | None:
    row = connection.execute(select(tries).where(tries.c.try_id == try_id)).mappings().one_or_none()
    return _try(row) if row else None


def reusable(connection: Connection, dag_id: str, task_id: str, key: str | None) -> Try | None:
    """The newest one whose result can be used again."""
    row = connection.execute(reusable_statement(dag_id, task_id, key)).mappings().one_or_none()
    return _try(row) if row else None


def reusable_statement(dag_id: str, task_id: str, key: str | None) -> Select[Any]:
    """One that ran, was collected, and is still the last of its task instance, which succeeded with it."""
    current = [task_instances.c[name] == tries.c[name] for name in ("dag_id", "run_id", "task_id", "map_index")]
    statement = (
        select(tries)
        .join(task_instances, and_(*current, task_instances.c.tries == tries.c.number))
        .where(tries.c.dag_id == dag_id, tries.c.task_id == task_id, tries.c.cache_key.is_not(None))
        .where(tries.c.outcome == TryOutcome.SUCCESS, tries.c.container_id.is_not(None))
        .where(tries.c.removed_at.is_not(None), task_instances.c.state == TaskState.SUCCESS)
        .order_by(tries.c.ended_at.desc())
        .limit(1)
    )
    return statement if key is None else statement.where(tries.c.cache_key == key)


def _columns(attempt: Try) -> Columns:
    values = msgspec.structs.asdict(attempt)
    key = values.pop("key")
    return msgspec.structs.asdict(key.task) | {"number": key.number} | values


def _try(row: RowMapping) -> Try:
    values = dict(row)
    return Try(key=TryKey(pop_key(values), values.pop("number")), **values)
