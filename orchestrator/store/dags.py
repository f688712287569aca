"""DAG files, DAGs and their versions. Written by the leader only."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, Select, and_, bindparam, delete, select, union

from orchestrator.ids import VersionId
from orchestrator.planning.changes import PutDag, PutFile, PutVersion
from orchestrator.planning.rows import Dag, DagVersion, Interval
from orchestrator.ports import FileRecord
from orchestrator.spec.dag import DagSpec
from orchestrator.store.runs import OPEN
from orchestrator.store.statements import Columns, upsert
from orchestrator.store.tables import dag_files, dag_versions, dags, runs

_GONE = delete(dag_files).where(dag_files.c.file == bindparam("gone"))


def put_files(connection: Connection, rows: Sequence[PutFile]) -> None:
    """Record parses; of several of one file the last one counts. The DAGs' specs are kept as versions only."""
    last = {row.parsed.file: row for row in rows}
    here = [
        {
            "file": row.parsed.file,
            "parsed": msgspec.structs.replace(row.parsed, dags=()),
            "parsed_at": row.at,
        }
        for row in last.values()
        if not row.gone
    ]
    upsert(connection, dag_files, here)
    if gone := [{"gone": file} for file, row in last.items() if row.gone]:
        connection.execute(_GONE, gone)


def put_versions(connection: Connection, rows: Sequence[PutVersion]) -> None:
    """Insert versions; one that is there already stays as it is."""
    upsert(connection, dag_versions, [msgspec.structs.asdict(row.version) for row in rows], replace=False)


def put_dags(connection: Connection, rows: Sequence[PutDag]) -> None:
    """Insert or replace DAGs; of several of one DAG the last one counts."""
    last = {row.dag.dag_id: row.dag for row in rows}
    upsert(connection, dags, [_columns(dag) for dag in last.values()])


def all_dags(connection: Connection) -> tuple[Dag, ...]:
    """Every DAG, by id."""
    return tuple(_dag(row) for row in connection.execute(select(dags).order_by(dags.c.dag_id)).mappings())


def one_dag(connection: Connection, dag_id: str) -> Dag | None:
    row = connection.execute(select(dags).where(dags.c.dag_id == dag_id)).mappings().one_or_none()
    return _dag(row) if row else None


def spec(connection: Connection, dag_id: str, version: VersionId) -> DagSpec | None:
    """What a DAG version says."""
    found: DagSpec | None = connection.execute(
        select(dag_versions.c.spec).where(dag_versions.c.dag_id == dag_id, dag_versions.c.version == version)
    ).scalar_one_or_none()
    return found


def read_version(connection: Connection, dag_id: str, version: VersionId) -> DagVersion:
    """A version that a row refers to, so it is there."""
    mine = (dag_versions.c.dag_id == dag_id, dag_versions.c.version == version)
    return DagVersion(**connection.execute(select(dag_versions).where(*mine)).mappings().one())


def versions_in_use(connection: Connection) -> tuple[DagVersion, ...]:
    """The current version of every DAG, and those that open runs are pinned to."""
    return tuple(DagVersion(**row) for row in connection.execute(in_use_statement()).mappings())


def in_use_statement() -> Select[Any]:
    current = select(dags.c.dag_id, dags.c.version)
    pinned = select(runs.c.dag_id, runs.c.version).where(runs.c.state.in_(OPEN))
    used = union(current, pinned).subquery()
    same = and_(dag_versions.c.dag_id == used.c.dag_id, dag_versions.c.version == used.c.version)
    return select(dag_versions).select_from(used).join(dag_versions, same)


def all_files(connection: Connection) -> tuple[FileRecord, ...]:
    """The last parse of every DAG file, by name."""
    rows = connection.execute(select(dag_files).order_by(dag_files.c.file))
    return tuple(FileRecord(parsed=row.parsed, parsed_at=row.parsed_at) for row in rows)


def _columns(dag: Dag) -> Columns:
    values = msgspec.structs.asdict(dag)
    last = values.pop("last")
    return values | {"last_start": last and last.start, "last_end": last and last.end}


def _dag(row: RowMapping) -> Dag:
    values = dict(row)
    start, end = values.pop("last_start"), values.pop("last_end")
    return Dag(last=None if start is None else Interval(start=start, end=end), **values)
