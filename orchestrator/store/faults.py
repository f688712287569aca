"""What databases' errors mean to us: the one place in which they become ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from orchestrator.errors import StoreConflictError, StoreError, StoreUnavailableError
from orchestrator.store.database import WAIT, Opened


@contextmanager
def told_as_ours(database: Opened) -> Iterator[None]:
    """Raise what the database raises within as `StoreUnavailableError`, `StoreConflictError` (a row it refuses,
    or that cannot be encoded) or `StoreError`."""
    try:
        yield
    except DBAPIError as error:
        raise _ours(error, database) from error
    except PoolTimeoutError as error:
        raise StoreUnavailableError("all connections to the database are in use", fix=WAIT) from error
    except (StatementError, OverflowError, UnicodeError) as error:
        raise StoreConflictError(f"a value cannot be written: {error}") from error


def _ours(error: DBAPIError, database: Opened) -> StoreError:
    kind, fix = database.meaning(error)
    said = " ".join(str(error.orig).split())  # in one line
    return kind(f"the database {database.name} says: {said}", fix=fix)
