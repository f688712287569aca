"""One turn's rows, written table by table in the order that foreign keys ask for. Each kind takes a small fixed
number of statements, however many rows there are.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator.planning.changes import (
    Answered,
    PutDag,
    PutFile,
    PutResult,
    PutRun,
    PutTask,
    PutTry,
    PutVersion,
    Row,
)
from orchestrator.store import dags, requests, results, runs, tasks, tries

_Writer = Callable[[Connection, Sequence[Any]], None]
_WRITERS: dict[type[Row], _Writer] = {
    PutFile: dags.put_files,
    PutVersion: dags.put_versions,
    PutDag: dags.put_dags,
    PutRun: runs.put,
    PutTask: tasks.put,
    PutTry: tries.put,
    PutResult: results.put,
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
    match row:
        case PutFile():
            return row.parsed.file
        case PutVersion():
            return row.version.version
        case PutDag():
            return row.dag.dag_id
        case PutRun():
            return row.run.key
        case PutTask():
            return row.task.key
        case PutTry():
            return row.attempt.key
        case PutResult():
            return row.result.key
        case Answered():
            return row.request.id


def _in_order(rows: Sequence[Row]) -> list[tuple[type[Row], list[Row]]]:
    grouped: dict[type[Row], list[Row]] = {kind: [] for kind in _WRITERS}
    for row in rows:
        grouped[type(row)].append(row)
    return [(kind, of_kind) for kind, of_kind in grouped.items() if of_kind]
