"""One turn's rows, written table by table in the order that foreign keys ask for. Each kind takes a small fixed
number of statements, however many rows there are.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator.planning.changes import (
    Answered,
    DropPool,
    DropResult,
    DropTry,
    PutAssetEvent,
    PutBackfill,
    PutDag,
    PutFile,
    PutGathered,
    PutPool,
    PutResult,
    PutRun,
    PutTask,
    PutTry,
    PutVersion,
    Row,
)
from orchestrator.store import assets, backfills, dags, pools, requests, results, runs, tasks, tries

_Writer = Callable[[Connection, Sequence[Any]], None]
_WRITERS: dict[type[Row], _Writer] = {
    PutFile: dags.put_files,
    PutVersion: dags.put_versions,
    PutDag: dags.put_dags,
    PutRun: runs.put,
    PutTask: tasks.put,
    DropTry: tries.drop,
    PutTry: tries.put,
    DropResult: results.drop,
    PutResult: results.put,
    PutPool: pools.put,
    PutBackfill: backfills.put,
    PutAssetEvent: assets.put_events,
    PutGathered: assets.put_gathered,
    DropPool: pools.drop,
    Answered: requests.put_answers,
}


def write_rows(connection: Connection, rows: Sequence[Row]) -> None:
    """Write all rows; within one kind their order is kept."""
    for kind, of_kind in _in_order(rows):
        _WRITERS[kind](connection, of_kind)


def write_singly(connection: Connection, rows: Sequence[Row], trying: Callable[[Row], None]) -> None:
    """Write all rows in the same order one at a time, calling `trying` before each: to find the one that the
    database refuses."""
    for kind, of_kind in _in_order(rows):
        for row in of_kind:
            trying(row)
            _WRITERS[kind](connection, [row])


def key_of(row: Row) -> object:
    """What a row is the row of."""
    return _KEYS[type(row)](row)


_KEYS: dict[type[Row], Callable[[Any], object]] = {
    PutFile: lambda row: row.parsed.file,
    PutVersion: lambda row: row.version.version,
    PutDag: lambda row: row.dag.dag_id,
    PutRun: lambda row: row.run.key,
    PutTask: lambda row: row.task.key,
    DropTry: lambda row: row.key,
    PutTry: lambda row: row.attempt.key,
    DropResult: lambda row: row.key,
    PutResult: lambda row: row.result.key,
    PutBackfill: lambda row: row.backfill.id,
    PutAssetEvent: lambda row: row.event.asset,
    PutGathered: lambda row: f"{row.dag_id}/{row.asset}",
    PutPool: lambda row: row.pool.name,
    DropPool: lambda row: row.name,
    Answered: lambda row: row.request.id,
}


def _in_order(rows: Sequence[Row]) -> list[tuple[type[Row], list[Row]]]:
    grouped: dict[type[Row], list[Row]] = {kind: [] for kind in _WRITERS}
    for row in rows:
        grouped[type(row)].append(row)
    return [(kind, of_kind) for kind, of_kind in grouped.items() if of_kind]
