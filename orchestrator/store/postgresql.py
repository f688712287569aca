"""How PostgreSQL is opened: every commit on disk before it counts, time limits on everything, so that a server that
hangs is one that is not there.

The server's own limits end what waits for a lock or computes for too long, and free what a process left behind that
was stopped in mid-transaction; ours (`Patient`) ends what the server does not answer at all.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import IsolationLevel
from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from orchestrator.store.database import PATIENCE, Meaning
from orchestrator.store.listening import CHANNEL, Listener
from orchestrator.store.patient import Patient
from orchestrator.store.postgresql_faults import meaning
from orchestrator.store.schema import revision

#: Connections kept, and made beyond them where many threads ask at once.
_WRITERS, _MORE_WRITERS = 1, 3
_READERS, _MORE_READERS = 4, 12
#: Milliseconds: of one statement, which nobody may wait for any more; of waiting for one lock; of a transaction in
#: which nothing is asked, which is shorter, so that who waits for the lock of a process that was stopped gets it.
_LIMITS = {
    "statement_timeout": 30_000,
    "lock_timeout": PATIENCE * 1000,
    "idle_in_transaction_session_timeout": PATIENCE * 1000 - 1000,
}
#: Readers keep no writer waiting, and may take their time over what they have read: a world of many open runs.
_READING_LIMITS = _LIMITS | {"idle_in_transaction_session_timeout": 90_000}
#: A network that swallows everything is noticed after about 10 s, by both sides.
_CLIENT_KEEPALIVE = {"keepalives_idle": "5", "keepalives_interval": "2", "keepalives_count": "3"}
_SERVER_KEEPALIVE = {"tcp_keepalives_idle": 5, "tcp_keepalives_interval": 2, "tcp_keepalives_count": 3}
#: Seconds without a sign of the server, while it is asked; longer than what it waits for a lock, which says more.
_ANSWER_WITHIN = PATIENCE + 3.0
#: Of `upgrade`: any number, the same everywhere.
_UPGRADE_LOCK = 7_236_109_155


class PostgresDatabase:
    """A database on a server; its home keeps everything else."""

    def __init__(self, home: Path, url: URL) -> None:
        self._home = home
        self._url = url.set(drivername="postgresql+psycopg").update_query_dict(
            {"connect_timeout": str(PATIENCE), "application_name": "orchestrator", **_CLIENT_KEEPALIVE, **url.query}
        )
        self.name = url.set(query={}).render_as_string(hide_password=True)

    @property
    def home(self) -> Path:
        return self._home

    def lock(self) -> None:
        """None: the leader's row says who leads, also on other machines."""

    def exists(self) -> bool:
        engine = self.reader()
        try:
            with engine.connect() as connection:
                return revision(connection) is not None
        except DBAPIError:
            return True  # who opens it is told what is wrong
        finally:
            engine.dispose()

    def writer(self) -> Engine:
        engine = self._engine(_WRITERS, _MORE_WRITERS)
        _on_connect(engine, _LIMITS, IsolationLevel.READ_COMMITTED)
        return engine

    def reader(self) -> Engine:
        engine = self._engine(_READERS, _MORE_READERS)
        _on_connect(engine, _READING_LIMITS, IsolationLevel.REPEATABLE_READ, read_only=True)
        return engine

    def migrator(self) -> Engine:
        engine = self._engine(1, 0, patient=False)
        _on_connect(engine, {"lock_timeout": _LIMITS["lock_timeout"]}, IsolationLevel.READ_COMMITTED)

        @event.listens_for(engine, "begin")
        def alone(connection: Connection) -> None:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})"))

        return engine

    def meaning(self, error: DBAPIError) -> Meaning:
        return meaning(error)

    def announce(self, connection: Connection) -> None:
        connection.execute(text(f"NOTIFY {CHANNEL}"))

    def listen(self, wake: Callable[[], None]) -> Listener:
        return Listener(lambda: psycopg.connect(**self._arguments(), autocommit=True), wake)

    def _engine(self, size: int, more: int, *, patient: bool = True) -> Engine:
        engine = create_engine(
            self._url, poolclass=QueuePool, pool_size=size, max_overflow=more, pool_timeout=PATIENCE
        )

        @event.listens_for(engine, "do_connect")
        def connect(_dialect: object, _record: object, _args: object, arguments: dict[str, Any]) -> Patient:
            connection = Patient.connect(**arguments)
            connection.answer_within = _ANSWER_WITHIN if patient else None
            return connection

        return engine

    def _arguments(self) -> dict[str, Any]:
        """What the driver is given."""
        _, arguments = create_engine(self._url).dialect.create_connect_args(self._url)
        return dict(arguments)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"


def _on_connect(engine: Engine, limits: dict[str, int], level: IsolationLevel, *, read_only: bool = False) -> None:
    settings = {"synchronous_commit": "on", "TimeZone": "UTC", **_SERVER_KEEPALIVE, **limits}
    words = "; ".join(f"SET {name} = '{value}'" for name, value in settings.items())

    @event.listens_for(engine, "connect")
    def prepare(connection: Patient, _record: object) -> None:
        connection.autocommit = True
        connection.execute(words.encode())
        connection.autocommit = False
        connection.isolation_level = level
        connection.read_only = read_only or None  # None: as the server says, which may be a replica
