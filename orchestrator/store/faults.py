"""What the database's errors mean to us: the one table from SQLite's primary result codes to our errors."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from orchestrator.errors import StoreConflictError, StoreError, StoreUnavailableError

_WAIT = "nothing is lost; this is tried again until the database answers"
_BUSY = (StoreUnavailableError, _WAIT)
_DISK = (StoreUnavailableError, "free some space on the disk that holds the database; work then resumes by itself")
_BROKEN = (StoreUnavailableError, "see whether its disk is full or broken; nothing is lost, work resumes by itself")
_ACCESS = (
    StoreUnavailableError,
    "make it and its folder readable and writable for your user, or set ORCHESTRATOR_HOME to another folder",
)
_ROW = (StoreConflictError, "")
_DAMAGED = (StoreError, "put a copy of the database back that is whole")
_OTHER = (StoreError, "")

_MEANING: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_PROTOCOL: _BUSY,
    sqlite3.SQLITE_INTERRUPT: _BUSY,
    sqlite3.SQLITE_NOMEM: _BUSY,
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


@contextmanager
def told_as_ours(database: Path | None = None) -> Iterator[None]:
    """Raise what the database raises within as `StoreUnavailableError`, `StoreConflictError` (a row it refuses,
    or that cannot be encoded) or `StoreError`. `database` is its file, which errors then name."""
    try:
        yield
    except DBAPIError as error:
        raise _ours(error, database) from error
    except PoolTimeoutError as error:
        raise StoreUnavailableError("all connections to the database are in use", fix=_WAIT) from error
    except (StatementError, OverflowError, UnicodeError) as error:
        raise StoreConflictError(f"a value cannot be written: {error}") from error


def _ours(error: DBAPIError, database: Path | None) -> StoreError:
    extended = getattr(error.orig, "sqlite_errorcode", None)
    kind, fix = _OTHER if extended is None else _MEANING.get(extended & 0xFF, _OTHER)
    name = "the database" if database is None else f"the database {database}"
    return kind(f"{name} says: {error.orig}", fix=fix)
