"""The two statements that every table's writes are made of: insert-or-replace, and a move guarded by what the
row must still say. Both are written once for SQLite and PostgreSQL.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, Update, bindparam, update
from sqlalchemy.dialects import postgresql, sqlite

from orchestrator.errors import StoreConflictError

Columns = Mapping[str, Any]
_INSERT: Mapping[str, Callable[[Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


def upsert(connection: Connection, table: Table, rows: Sequence[Columns], *, replace: bool = True) -> None:
    """Insert rows; where the primary key is there already, replace the row, or leave it as it is."""
    if not rows:
        return
    statement = _INSERT[connection.dialect.name](table)
    key = [column.name for column in table.primary_key]
    if replace:
        values = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
        statement = statement.on_conflict_do_update(index_elements=key, set_=values)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=key)
    connection.execute(statement, list(rows))


def guarded_update(table: Table, guard: Sequence[str]) -> Update:
    """An update of one row by its primary key, that holds only while the `guard` columns say what they did."""
    return (
        update(table)
        .where(*(column == bindparam(f"at_{column.name}") for column in table.primary_key))
        .where(*(table.c[name].is_not_distinct_from(bindparam(f"was_{name}")) for name in guard))
    )


def move(
    connection: Connection,
    statement: Update,
    guard: Sequence[str],
    moves: Sequence[tuple[Columns, Columns]],
    *,
    fixed: frozenset[str] = frozenset(),
) -> None:
    """Perform moves (before, after) in order with one `guarded_update`; `fixed` columns are never rewritten.

    Raises `StoreConflictError`, without a key, where any of them found another row than it expects."""
    if not moves:
        return
    key = [column.name for column in statement.table.primary_key]
    parameters = [
        {f"at_{name}": after[name] for name in key}
        | {f"was_{name}": before[name] for name in guard}
        | {name: value for name, value in after.items() if name not in key and name not in fixed}
        for before, after in moves
    ]
    if connection.execute(statement, parameters).rowcount != len(moves):
        raise StoreConflictError("the row is not there, or in another state than the one it moves from")
