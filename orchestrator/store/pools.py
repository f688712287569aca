"""Pools. Written by the leader only."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, delete, select

from orchestrator.planning.changes import DropPool, PutPool
from orchestrator.planning.rows import Pool
from orchestrator.store.statements import upsert
from orchestrator.store.tables import pools


def put(connection: Connection, rows: Sequence[PutPool]) -> None:
    """Insert or replace pools; of several of one name the last one counts."""
    last = {row.pool.name: row.pool for row in rows}
    upsert(connection, pools, [msgspec.structs.asdict(pool) for pool in last.values()])


def drop(connection: Connection, rows: Sequence[DropPool]) -> None:
    """Remove pools, those of them that are there."""
    connection.execute(delete(pools).where(pools.c.name.in_([row.name for row in rows])))


def all_pools(connection: Connection) -> tuple[Pool, ...]:
    """Every pool that has a row, by name."""
    return tuple(Pool(**row) for row in connection.execute(select(pools).order_by(pools.c.name)).mappings())
