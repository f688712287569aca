"""What the store asks of a kind of database: how it is opened, and what its errors mean. One module answers for
each: `sqlite`, `postgresql`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from orchestrator.errors import StoreError, StoreUnavailableError
from orchestrator.store.home import HomeLock

#: Seconds to wait for another's transaction, or for a free connection of our own.
PATIENCE = 5
WAIT = "nothing is lost; this is tried again until the database answers"


class Meaning(NamedTuple):
    """Which of our errors a database's error is, and what to do about it."""

    kind: type[StoreError]
    fix: str = ""


BUSY = Meaning(StoreUnavailableError, WAIT)
OTHER = Meaning(StoreError)


class Listening(Protocol):
    """Somebody who is called when another process has asked for something."""

    def close(self) -> None: ...


class Opened(Protocol):
    """What an open store asks of the database it is over."""

    @property
    def name(self) -> str:
        """As people know it, after `the database`; never with a password."""

    def meaning(self, error: DBAPIError) -> Meaning: ...

    def announce(self, connection: Connection) -> None:
        """Have this transaction's commit call those who `listen`, wherever they are."""

    def listen(self, wake: Callable[[], None]) -> Listening | None:
        """Have `wake` called, from a thread, after each announcement of any process; None where the database has
        no means to tell."""


class Database(Opened, Protocol):
    """A database of one home. Raises nothing before it is used."""

    @property
    def home(self) -> Path: ...

    def lock(self) -> HomeLock | None:
        """What one scheduler of the home holds while it lives; None where the database itself tells who leads."""

    def exists(self) -> bool:
        """Whether anything was made there; also True where that cannot be found out."""

    def writer(self) -> Engine:
        """The connections that write."""

    def reader(self) -> Engine:
        """Connections that cannot write; each transaction sees one state of the database."""

    def migrator(self) -> Engine:
        """One connection for `upgrade`, which makes the database where that can be done, takes the time it
        takes, and keeps every other `upgrade` out."""
