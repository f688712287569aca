"""The machine that a simulated process runs on: its database with the statements that may fail or be its last, its
disk of logs, its folder of DAGs. The store and the logs themselves are the shipped ones.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import event

from orchestrator.errors import LogUnavailableError
from orchestrator.ports import Batch, LogStore, Store
from orchestrator.spec.dag import ParsedFile
from orchestrator.store.sql_store import SqlStore
from orchestrator.store.sqlite import SqliteDatabase
from orchestrator.tasklogs.store import FileLogStore
from orchestrator.tasklogs.writer import FileLogWriter
from orchestrator.testing.simulation.chances import Chances, refusal
from orchestrator.testing.simulation.engine import step
from orchestrator.testing.simulation.hub import Hub, Process
from orchestrator.testing.simulation.invariants import Watcher
from orchestrator.testing.simulation.primitives import BEGINNING

#: 1970-01-01T00:00Z as SQLite counts days.
_EPOCH = 2440587.5


class Gate:
    """What every statement of one process passes on its way to the database."""

    def __init__(self, hub: Hub, process: Process | None, chances: Chances, watcher: Watcher) -> None:
        self.hub = hub
        self.process = process
        self.chances = chances
        self.watcher = watcher

    def julian_day(self, now: str) -> float:
        """The database's clock, which no leader sets."""
        del now
        return _EPOCH + (BEGINNING.timestamp() + self.hub.now) / 86400

    def statement(self, *, commit: bool = False) -> None:
        step(self.hub, self.process)
        refused = self.chances.statement(self.process, commit=commit)
        if refused is not None:
            raise refused

    def committed(self) -> None:
        self.watcher.committed(self.process)
        step(self.hub, self.process)
        if self.chances.loses_commit_answer(self.process):
            raise refusal("disk I/O error", sqlite3.SQLITE_IOERR)


class Cursor(sqlite3.Cursor):
    """Its statements pass the gate of its connection."""

    def execute(self, sql: str, parameters: Any = ()) -> "Cursor":
        self._pass()
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any) -> "Cursor":
        self._pass()
        return super().executemany(sql, parameters)

    def _pass(self) -> None:
        gate = cast("Connection", self.connection).gate
        if gate is not None:
            gate.statement()


class Connection(sqlite3.Connection):
    """SQLite's, with a gate."""

    gate: Gate | None = None

    def cursor(self, factory: Any = Cursor) -> Any:
        del factory
        return super().cursor(Cursor)

    def commit(self) -> None:
        if self.gate is None or not self.in_transaction:
            super().commit()
            return
        before = self.total_changes
        self.gate.statement(commit=True)
        super().commit()
        if before:
            self.gate.committed()


class Connections:
    """Opens the shipped store, time and again: what SQLAlchemy learnt of our statements is kept from one history to
    the next, connections are not. Nobody holds the home's lock, which is the kernel's: here a second scheduler
    comes in, as over a database server."""

    def __init__(self) -> None:
        self._free: list[_Opening] = []
        self._open: dict[SqlStore, _Opening] = {}

    def open(self, database: Path, gate: Gate) -> SqlStore:
        opening = self._free.pop() if self._free else _Opening()
        opening.database, opening.gate = SqliteDatabase(database), gate
        store = SqlStore(opening.database, opening.writer, opening.reader)
        self._open[store] = opening
        return store

    def give_back(self, store: SqlStore) -> None:
        """Close it, as the end of a process does."""
        store.close()
        self._free.append(self._open.pop(store))


class _Opening:
    """Connections of one store; whose they are now can be changed while there are none."""

    def __init__(self) -> None:
        self.database = SqliteDatabase(Path("unused"))
        self.gate: Gate | None = None
        self.writer = self._gated(self.database.writer())
        self.reader = self._gated(self.database.reader())

    def _gated(self, engine: sqlalchemy.Engine) -> sqlalchemy.Engine:
        @event.listens_for(engine, "do_connect")
        def connect(dialect: Any, record: Any, given: list[Any], named: dict[str, Any]) -> None:
            del dialect, record
            given[0] = f"file:{quote(str(self.database.file))}?mode=rw"
            named["factory"] = Connection

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, record: Any) -> None:
            del record
            connection.gate = self.gate
            if self.gate is not None:
                connection.create_function("julianday", 1, self.gate.julian_day)

        return engine


class Seen:
    """A port as one process has it: each call is a place where it may be killed, or where others come first."""

    def __init__(self, target: object, hub: Hub, process: Process) -> None:
        self._target = target
        self._hub = hub
        self._process = process

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        method = getattr(self._target, verb)

        def call(*given: Any, **named: Any) -> Any:
            step(self._hub, self._process)
            self._hub.point()
            answer = method(*given, **named)
            step(self._hub, self._process)
            self._hub.point()
            return answer

        return call


class SeenStore(Seen):
    """The store, whose epoch is noted when it is read."""

    def __init__(self, target: SqlStore, hub: Hub, process: Process, watcher: Watcher) -> None:
        super().__init__(target, hub, process)
        self._store = target
        self._watcher = watcher

    def epoch(self) -> int:
        step(self._hub, self._process)
        self._hub.point()
        epoch = self._store.epoch()
        self._watcher.epoch_read(epoch)
        self._hub.point()
        return epoch


class SeenLogs(Seen):
    """The logs; the disk may refuse them."""

    def __init__(
        self, target: FileLogStore, hub: Hub, process: Process, chances: Chances, opened: list[FileLogWriter]
    ) -> None:
        super().__init__(target, hub, process)
        self._logs = target
        self._opened = opened
        self._chances = chances

    def writer(self, key: Any) -> Any:
        step(self._hub, self._process)
        if self._chances.log_fails():
            raise LogUnavailableError("the disk is full, as planned")
        self._opened.append(self._logs.writer(key))
        return SeenWriter(self._opened[-1], self._hub, self._process, self._chances)


class SeenWriter(Seen):
    """A log that is written; closing it is what the kernel does for a process that is over."""

    def __init__(self, target: Any, hub: Hub, process: Process, chances: Chances) -> None:
        super().__init__(target, hub, process)
        self._writer = target
        self._chances = chances

    def append(self, *given: Any, **named: Any) -> None:
        step(self._hub, self._process)
        if self._chances.log_fails():
            raise LogUnavailableError("the disk is full, as planned")
        self._writer.append(*given, **named)

    def close(self) -> None:
        self._writer.close()


class Files:
    """The folder of DAG files, and who parses them: everything is there from the beginning, and stays."""

    def __init__(self, files: dict[str, ParsedFile]) -> None:
        self._files = files

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        yield Batch(changed=tuple(self._files))
        stop.wait()

    def parsed(self, parsed: ParsedFile) -> None:
        del parsed  # nothing changes

    def parse(self, file: str) -> ParsedFile:
        return self._files[file]


def store_of(target: SqlStore, hub: Hub, process: Process, watcher: Watcher) -> Store:
    return cast("Store", SeenStore(target, hub, process, watcher))


def logs_of(
    target: FileLogStore, hub: Hub, process: Process, chances: Chances, opened: list[FileLogWriter]
) -> LogStore:
    """`opened` are the writers of all processes: to be closed in the end."""
    return cast("LogStore", SeenLogs(target, hub, process, chances, opened))
