"""Events of assets, and what DAGs have gathered of them. Written by the leader only."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, Select, delete, func, insert, select

from orchestrator.planning.changes import PutAssetEvent, PutGathered
from orchestrator.planning.rows import AssetEvent, Stretch
from orchestrator.store.statements import upsert
from orchestrator.store.tables import asset_events, asset_gathered


def put_events(connection: Connection, rows: Sequence[PutAssetEvent]) -> None:
    """Insert events; none is there yet."""
    connection.execute(insert(asset_events), [msgspec.structs.asdict(row.event) for row in rows])


def put_gathered(connection: Connection, rows: Sequence[PutGathered]) -> None:
    """Insert, replace or remove; of several for one DAG and asset the last one counts."""
    last = {(row.dag_id, row.asset): row.events for row in rows}
    kept = {key: events for key, events in last.items() if events is not None}
    upsert(
        connection,
        asset_gathered,
        [{"dag_id": of[0], "asset": of[1]} | msgspec.structs.asdict(each) for of, each in kept.items()],
    )
    for dag_id, asset in last.keys() - kept.keys():
        gone = delete(asset_gathered).where(asset_gathered.c.dag_id == dag_id, asset_gathered.c.asset == asset)
        connection.execute(gone)


def all_gathered(connection: Connection) -> tuple[PutGathered, ...]:
    """All that is not consumed, by DAG and asset."""
    statement = select(asset_gathered).order_by(asset_gathered.c.dag_id, asset_gathered.c.asset)
    return tuple(_gathered(dict(row)) for row in connection.execute(statement).mappings())


def newest_instant(connection: Connection) -> datetime | None:
    """Of the newest event of all."""
    found: datetime | None = connection.execute(select(func.max(asset_events.c.at))).scalar_one()
    return found


def newest(connection: Connection, asset: str | None, limit: int) -> tuple[AssetEvent, ...]:
    """The newest first."""
    return tuple(_event(row) for row in connection.execute(newest_statement(asset, limit)).mappings())


def newest_statement(asset: str | None, limit: int) -> Select[Any]:
    statement = select(asset_events).order_by(asset_events.c.at.desc()).limit(limit)
    return statement if asset is None else statement.where(asset_events.c.asset == asset)


def within(
    connection: Connection, stretches: Mapping[str, Stretch], limit: int, size: int
) -> tuple[AssetEvent, ...]:
    """Of each stretch the newest `limit`, as far as their extras have no more than `size` bytes together."""
    found, left = [], size
    for asset, events in stretches.items():
        for row in connection.execute(within_statement(asset, events, limit)).mappings():
            left -= len(row["extra"])
            if left < 0:
                break
            found.append(_event(row))
    return tuple(sorted(found, key=lambda event: event.at))


def within_statement(asset: str, events: Stretch, limit: int) -> Select[Any]:
    return newest_statement(asset, limit).where(asset_events.c.at.between(events.first, events.last))


def _event(row: RowMapping) -> AssetEvent:
    return AssetEvent(**row)


def _gathered(row: dict[str, Any]) -> PutGathered:
    dag_id, asset = row.pop("dag_id"), row.pop("asset")
    return PutGathered(dag_id=dag_id, asset=asset, events=Stretch(**row))
