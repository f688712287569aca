"""How SQLite is opened: write-ahead log, every commit on disk before it counts, one writing connection.

A pool of one *is* the one writing connection: threads of this process take turns at it in order, other processes
are met by SQLite's own lock, taken when a transaction begins.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError

from orchestrator.errors import StoreConflictError, StoreError, StoreUnavailableError
from orchestrator.store.database import BUSY, OTHER, PATIENCE, Meaning
from orchestrator.store.home import HomeLock

_READERS = 8
_MORE_READERS = 56

_DISK = Meaning(
    StoreUnavailableError, "free some space on the disk that holds the database; work then resumes by itself"
)
_BROKEN = Meaning(
    StoreUnavailableError, "see whether its disk is full or broken; nothing is lost, work resumes by itself"
)
_ACCESS = Meaning(
    StoreUnavailableError,
    "make it and its folder readable and writable for your user, or set ORCHESTRATOR_HOME to another folder",
)
_ROW = Meaning(StoreConflictError)
_DAMAGED = Meaning(StoreError, "put a copy of the database back that is whole")

#: By SQLite's primary result codes.
_MEANINGS = {
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_PROTOCOL: BUSY,
    sqlite3.SQLITE_INTERRUPT: BUSY,
    sqlite3.SQLITE_NOMEM: BUSY,
    sqlite3.SQLITE_IOERR: _BROKEN,
    sqlite3.SQLITE_FULL: _DISK,
    sqlite3.SQLITE_CANTOPEN: _ACCESS,
    sqlite3.SQLITE_READONLY: _ACCESS,
    sqlite3.SQLITE_PERM: _ACCESS,
    sqlite3.SQLITE_CONSTRAINT: _ROW,
    sqlite3.SQLITE_MISMATCH: _ROW,
    sqlite3.SQLITE_TOOBIG: _ROW,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}


class _Sqlite:
    """Nothing here tells other processes of anything: they ring the home's local socket."""

    def meaning(self, error: DBAPIError) -> Meaning:
        extended = getattr(error.orig, "sqlite_errorcode", None)
        return OTHER if extended is None else _MEANINGS.get(extended & 0xFF, OTHER)

    def announce(self, connection: Connection) -> None: ...

    def listen(self, wake: Callable[[], None]) -> None: ...


class SqliteDatabase(_Sqlite):
    """A database in a file, which its home is the folder of."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @property
    def name(self) -> str:
        return str(self.file)

    @property
    def home(self) -> Path:
        return self.file.parent

    def lock(self) -> HomeLock:
        return HomeLock(self.home)

    def exists(self) -> bool:
        return self.file.exists()

    def writer(self) -> Engine:
        return self._writer(create=False)

    def migrator(self) -> Engine:
        return self._writer(create=True)

    def reader(self) -> Engine:
        engine = _engine(_url(self.file), size=_READERS, more=_MORE_READERS)
        _on_connect(engine, f"PRAGMA busy_timeout = {PATIENCE * 1000}", *_ALWAYS, "PRAGMA query_only = ON")
        _begin_with(engine, "BEGIN")
        return engine

    def _writer(self, *, create: bool) -> Engine:
        engine = _engine(_url(self.file, create=create), size=1, more=0)
        _on_connect(
            engine, f"PRAGMA busy_timeout = {PATIENCE * 1000}", _use_wal, *_ALWAYS, "PRAGMA synchronous = FULL"
        )
        _begin_with(engine, "BEGIN IMMEDIATE")
        return engine


class MemoryDatabase(_Sqlite):
    """A database in memory: one connection, at which all threads of this process take turns."""

    name = "in memory"

    def engine(self) -> Engine:
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
