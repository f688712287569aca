"""Results that tries hand downstream. Written by the leader only."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, delete, func, or_, select

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.changes import DropResult, PutResult
from orchestrator.store.statements import upsert
from orchestrator.store.tables import results
from orchestrator.store.tasks import at

_NULL = b"null"


def put(connection: Connection, rows: Sequence[PutResult]) -> None:
    """Insert or replace; of several results of one task instance the last one counts."""
    last = {row.result.key: row.result for row in rows}
    upsert(
        connection,
        results,
        [
            msgspec.structs.asdict(key) | {"data": result.data, "created_at": result.created_at}
            for key, result in last.items()
        ],
    )


def drop(connection: Connection, rows: Sequence[DropResult]) -> None:
    """Remove results, those of them that are there."""
    for row in rows:
        connection.execute(delete(results).where(*at(results, row.key)))


def data(connection: Connection, task: TaskKey) -> bytes | None:
    """The encoded result, None where there is none."""
    found: bytes | None = connection.execute(select(results.c.data).where(*at(results, task))).scalar_one_or_none()
    return found


def of_instances(connection: Connection, run: RunKey, task_id: str, place: int | None) -> tuple[bytes, ...]:
    """The encoded results of a mapped task, in order, without those that are null; or the one in this place."""
    statement = of_instances_statement(run, task_id)
    if place is not None:
        statement = statement.limit(1).offset(place)
    return tuple(row.data for row in connection.execute(statement))


def count(connection: Connection, run: RunKey, task_id: str) -> int:
    statement = select(func.count()).select_from(results).where(_of_instances(run, task_id))
    return int(connection.execute(statement).scalar_one())


def of_instances_statement(run: RunKey, task_id: str) -> Select[tuple[bytes]]:
    return select(results.c.data).where(_of_instances(run, task_id)).order_by(results.c.map_index)


def _of_instances(run: RunKey, task_id: str) -> ColumnElement[bool]:
    """Of which length a result is can be told without reading it."""
    of_task = and_(results.c.dag_id == run.dag_id, results.c.run_id == run.run_id, results.c.task_id == task_id)
    not_null = or_(func.length(results.c.data) != len(_NULL), results.c.data != _NULL)
    return and_(of_task, results.c.map_index >= 0, not_null)
