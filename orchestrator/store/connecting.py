"""How SQLite is opened: write-ahead log, every commit on disk before it counts, one writing connection.

A pool of one *is* the one writing connection: threads of this process take turns at it in order, other processes
are met by SQLite's own lock, taken when a transaction begins.
"""

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event

from orchestrator.errors import StoreError

#: Seconds to wait for another process's transaction, or for a free connection of our own.
PATIENCE = 5
_READERS = 8
_MORE_READERS = 56


def writing_engine(database: Path, *, create: bool = False) -> Engine:
    """The writing connection of a database file; the file must exist unless `create`."""
    engine = _engine(_url(database, create=create), size=1, more=0)
    _on_connect(engine, f"PRAGMA busy_timeout = {PATIENCE * 1000}", _use_wal, *_ALWAYS, "PRAGMA synchronous = FULL")
    _begin_with(engine, "BEGIN IMMEDIATE")
    return engine


def reading_engine(database: Path) -> Engine:
    """Connections that cannot write; each transaction sees one state of the database."""
    engine = _engine(_url(database), size=_READERS, more=_MORE_READERS)
    _on_connect(engine, f"PRAGMA busy_timeout = {PATIENCE * 1000}", *_ALWAYS, "PRAGMA query_only = ON")
    _begin_with(engine, "BEGIN")
    return engine


def memory_engine() -> Engine:
    """A database in memory: one connection, at which all threads of this process take turns."""
    engine = _engine(URL.create("sqlite", database=":memory:"), size=1, more=0)
    _on_connect(engine, *_ALWAYS)
    _begin_with(engine, "BEGIN IMMEDIATE")
    return engine


_ALWAYS = ("PRAGMA foreign_keys = ON",)


def _url(database: Path, *, create: bool = False) -> URL:
    mode = "rwc" if create else "rw"
    return URL.create("sqlite", database=f"file:{quote(str(database))}", query={"mode": mode, "uri": "true"})


def _engine(url: URL, *, size: int, more: int) -> Engine:
    return create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=more,
        pool_timeout=PATIENCE,
        connect_args={"check_same_thread": False},  # the pool hands a connection to one thread at a time
    )


def _on_connect(engine: Engine, *steps: Any) -> None:
    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: object) -> None:
        del record
        connection.isolation_level = None  # we say BEGIN ourselves: Python's module would say it too late
        for step in steps:
            if callable(step):
                step(connection)
            else:
                connection.execute(step)


def _use_wal(connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreError(
            "the database's file system cannot share memory between processes, which SQLite's log needs",
            fix="put the home on a local disk: set ORCHESTRATOR_HOME",
        )


def _begin_with(engine: Engine, statement: str) -> None:
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)
