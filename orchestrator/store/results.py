"""Results that tries hand downstream. Written by the leader only."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, delete, select

from orchestrator.ids import TaskKey
from orchestrator.planning.changes import DropResult, PutResult
from orchestrator.store.statements import upsert
from orchestrator.store.tables import results
from orchestrator.store.tasks import at


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
