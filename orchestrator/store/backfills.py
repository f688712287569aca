"""Backfills. Written by the leader only."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, RowMapping, func, select

from orchestrator.planning.changes import PutBackfill
from orchestrator.planning.rows import Backfill
from orchestrator.states import RunState
from orchestrator.store.statements import upsert
from orchestrator.store.tables import backfills, runs


def put(connection: Connection, rows: Sequence[PutBackfill]) -> None:
    """Insert or replace; of several of one id the last one counts."""
    last = {row.backfill.id: row.backfill for row in rows}
    upsert(connection, backfills, [msgspec.structs.asdict(backfill) for backfill in last.values()])


def open_backfills(connection: Connection) -> tuple[Backfill, ...]:
    """Those that have not ended."""
    statement = select(backfills).where(backfills.c.ended_at.is_(None))
    return tuple(_backfill(row) for row in connection.execute(statement).mappings())


def newest(connection: Connection, limit: int) -> tuple[Backfill, ...]:
    """The newest first."""
    statement = select(backfills).order_by(backfills.c.id.desc()).limit(limit)
    return tuple(_backfill(row) for row in connection.execute(statement).mappings())


def one(connection: Connection, number: int) -> Backfill | None:
    row = connection.execute(select(backfills).where(backfills.c.id == number)).mappings().one_or_none()
    return _backfill(row) if row else None


def states_of_runs(connection: Connection, number: int) -> dict[RunState, int]:
    """How many runs of a backfill are in which state."""
    counted = select(runs.c.state, func.count()).where(runs.c.backfill == number).group_by(runs.c.state)
    return dict(connection.execute(counted).all())


def _backfill(row: RowMapping) -> Backfill:
    return Backfill(**row)
