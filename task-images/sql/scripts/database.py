"""A PostgreSQL server, reached by what a connection says: host, port, login, password; `schema` is the database."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql


def parameters(connection: Mapping[str, Any], database: str | None) -> dict[str, Any]:
    """How psycopg wants to be told; `database` in place of the connection's own."""
    return {
        "host": connection["host"],
        "port": connection.get("port") or 5432,
        "user": connection.get("login"),
        "password": connection.get("password"),
        "dbname": database or connection.get("schema") or "postgres",
        "connect_timeout": 10,
    }


def connect(name: str, database: str | None = None, *, autocommit: bool = False) -> psycopg.Connection[Any]:
    """By the connection `name`, which the task asked for with `connections=`."""
    told = json.loads(Path(os.environ[f"ORCHESTRATOR_CONN_{name.upper()}_FILE"]).read_text())
    return psycopg.connect(**parameters(told, database), autocommit=autocommit)


def columns_of(records: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names that all records have, in the order of the first. `ValueError` where one has others."""
    found: tuple[str, ...] = ()
    for place, record in enumerate(records):
        found = found or tuple(record)
        if set(record) != set(found):
            raise ValueError(f"record {place} has {sorted(record)}, the first has {sorted(found)}")
    return found


def copy_into(table: str, columns: Iterable[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
