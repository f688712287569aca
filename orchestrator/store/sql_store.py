"""The Store over SQL: opens transactions, calls the statements, and names the row that was refused."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import msgspec
from sqlalchemy import Connection, Engine

from orchestrator.errors import SchemaError, StoreConflictError, StoreError
from orchestrator.ids import DeploymentId, Epoch, RunKey, TaskKey, TryId, VersionId
from orchestrator.planning.changes import PutGathered, Row
from orchestrator.planning.history import PastRun, Wanted
from orchestrator.planning.rows import (
    Answer,
    AssetEvent,
    Backfill,
    Dag,
    Pool,
    Request,
    RequestKind,
    Run,
    Stretch,
    TaskInstance,
    Try,
)
from orchestrator.ports import FileRecord, ImageRecord, Leading, Led, Page, Snapshot
from orchestrator.spec.dag import DagSpec
from orchestrator.states import RunState
from orchestrator.store import (
    assets,
    backfills,
    dags,
    history,
    images,
    late,
    leadership,
    pools,
    requests,
    results,
    runs,
    tasks,
    tries,
)
from orchestrator.store.database import Database, Listening, Opened
from orchestrator.store.faults import told_as_ours
from orchestrator.store.home import HomeLock, claim_home
from orchestrator.store.schema import check_schema
from orchestrator.store.sqlite import MemoryDatabase, SqliteDatabase
from orchestrator.store.tables import METADATA
from orchestrator.store.writing import key_of, write_rows, write_singly


class SqlStore:
    """A `ports.Store` over two pools of connections: one that writes, one that only reads."""

    def __init__(self, database: Opened, writer: Engine, reader: Engine, lock: HomeLock | None = None) -> None:
        self._database = database
        self._writer = writer
        self._reader = reader
        self._lock = lock
        self._listening: Listening | None = None

    @classmethod
    def open(cls, database: Database | Path) -> Self:
        """The store in a database (a path is that of a file of SQLite). Raises `SchemaError` where `upgrade` has to
        run first, `StoreError` where database and home do not belong together, `StoreUnavailableError`."""
        if isinstance(database, Path):
            database = SqliteDatabase(database)
        if not database.exists():
            raise SchemaError(
                f"there is no database {database.name} yet",
                fix="`orchestrator up` makes it and runs the DAGs (`orchestrator db upgrade` only makes it)",
            )
        store = cls(database, database.writer(), database.reader(), database.lock())
        try:
            with store._reading() as connection:
                check_schema(connection)
            claim_home(database.home, store.deployment())
        except StoreError:
            store.close()
            raise
        return store

    @classmethod
    def in_memory(cls, deployment: DeploymentId) -> Self:
        """An empty store without a file, seen by all threads of this process; gone when closed."""
        database = MemoryDatabase()
        engine = database.engine()
        store = cls(database, engine, engine)
        with store._writing() as connection:
            METADATA.create_all(connection)
            leadership.found(connection, deployment)
        return store

    def close(self) -> None:
        """Close all connections and let the home go; idempotent."""
        if self._listening is not None:
            self._listening.close()
        self._writer.dispose()
        self._reader.dispose()
        if self._lock is not None:
            self._lock.release()

    def probe(self) -> None:
        with self._trying() as connection:
            leadership.mark(connection)

    def deployment(self) -> DeploymentId:
        with self._reading() as connection:
            found = leadership.deployment_id(connection)
        if found is None:
            raise SchemaError("the database has no deployment id", fix="run: orchestrator db upgrade")
        return found

    # write side ----------------------------------------------------------------------------------------

    def take_lead(self, owner: str, at: datetime) -> Epoch:
        if self._lock is not None:
            self._lock.take()
        with self._writing() as connection:
            return leadership.take(connection, owner, at)

    def bid(self, owner: str, at: datetime, lasts: timedelta) -> Epoch | Led:
        if self._lock is not None:
            return self.take_lead(owner, at)
        with self._writing() as connection:
            found = leadership.bid(connection, owner, at, lasts)
            if not isinstance(self._database, MemoryDatabase):  # an upgrade may have come by while it stood by
                check_schema(connection)  # with the leader's row in hand: what was waited for may be the upgrade
            return found

    def renew(self, epoch: Epoch, lasts: timedelta) -> None:
        with self._writing() as connection:
            leadership.renew(connection, epoch, lasts)

    def give_up(self, epoch: Epoch) -> None:
        with self._writing() as connection:
            leadership.give_up(connection, epoch)

    def stand_by(self, owner: str, since: datetime) -> None:
        with self._writing() as connection:
            leadership.stand_by(connection, owner, since)

    def stand_down(self, owner: str) -> None:
        with self._writing() as connection:
            leadership.stand_down(connection, owner)

    def write(self, epoch: Epoch, rows: Sequence[Row]) -> None:
        try:
            with self._writing() as connection:
                leadership.check(connection, epoch)
                write_rows(connection, rows)
        except StoreConflictError as refusal:
            raise self._named(refusal, rows) from refusal

    def ask(self, kind: RequestKind, payload: dict[str, Any], actor: str, at: datetime) -> Request:
        with self._writing() as connection:
            request = requests.ask(connection, kind, payload, actor, at)
            self._database.announce(connection)
            return request

    def listen(self, wake: Callable[[], None]) -> None:
        if self._listening is None:
            self._listening = self._database.listen(wake)

    def record_image(self, image: ImageRecord) -> None:
        with self._writing() as connection:
            images.put(connection, image)

    # read side -----------------------------------------------------------------------------------------

    def epoch(self) -> Epoch:
        with self._reading() as connection:
            return leadership.epoch(connection)

    def led(self) -> Led | None:
        with self._reading() as connection:
            return leadership.led(connection)

    def leading(self) -> Leading:
        with self._reading() as connection:
            return leadership.leading(connection)

    def load(self) -> Snapshot:
        with self._reading() as connection:
            return Snapshot(
                dags=dags.all_dags(connection),
                versions=dags.versions_in_use(connection),
                runs=runs.open_runs(connection),
                tasks=tasks.of_open_runs(connection),
                tries=tries.uncollected(connection),
                pools=pools.all_pools(connection),
                backfills=backfills.open_backfills(connection),
                gathered=assets.all_gathered(connection),
                newest_event=assets.newest_instant(connection),
                files=tuple(record.parsed for record in dags.all_files(connection)),
            )

    def unanswered(self) -> tuple[Request, ...]:
        with self._reading() as connection:
            return requests.unanswered(connection)

    def answer(self, request_id: int) -> Answer | None:
        with self._reading() as connection:
            return requests.answer(connection, request_id)

    def images(self) -> tuple[ImageRecord, ...]:
        with self._reading() as connection:
            return images.newest(connection)

    def dags(self) -> tuple[Dag, ...]:
        with self._reading() as connection:
            return dags.all_dags(connection)

    def dag(self, dag_id: str) -> Dag | None:
        with self._reading() as connection:
            return dags.one_dag(connection, dag_id)

    def version(self, dag_id: str, version: VersionId) -> DagSpec | None:
        with self._reading() as connection:
            return dags.spec(connection, dag_id, version)

    def files(self) -> tuple[FileRecord, ...]:
        with self._reading() as connection:
            return dags.all_files(connection)

    def runs(self, dag_id: str | None, page: Page, states: Sequence[RunState] = ()) -> tuple[Run, ...]:
        with self._reading() as connection:
            return runs.newest(connection, dag_id, page, states)

    def run(self, key: RunKey) -> Run | None:
        with self._reading() as connection:
            return runs.one(connection, key)

    def tasks(self, run: RunKey) -> tuple[TaskInstance, ...]:
        with self._reading() as connection:
            return tasks.of_run(connection, run)

    def tries(self, task: TaskKey) -> tuple[Try, ...]:
        with self._reading() as connection:
            return tries.of_task(connection, task)

    def tries_of_run(self, run: RunKey) -> tuple[Try, ...]:
        with self._reading() as connection:
            return tries.of_run(connection, run)

    def attempt(self, try_id: TryId) -> Try | None:
        with self._reading() as connection:
            return tries.one(connection, try_id)

    def result(self, task: TaskKey) -> bytes | None:
        with self._reading() as connection:
            return results.data(connection, task)

    def results(self, run: RunKey, task_id: str, place: int | None = None) -> tuple[bytes, ...]:
        with self._reading() as connection:
            return results.of_instances(connection, run, task_id, place)

    def result_count(self, run: RunKey, task_id: str) -> int:
        with self._reading() as connection:
            return results.count(connection, run, task_id)

    def last_success(self, dag_id: str, before: datetime) -> Run | None:
        with self._reading() as connection:
            return runs.last_success(connection, dag_id, before)

    def runs_between(self, dag_id: str, start: datetime, end: datetime) -> tuple[Run, ...]:
        with self._reading() as connection:
            return runs.between(connection, dag_id, start, end)

    def backfills(self, limit: int) -> tuple[Backfill, ...]:
        with self._reading() as connection:
            return backfills.newest(connection, limit)

    def backfill(self, number: int) -> Backfill | None:
        with self._reading() as connection:
            return backfills.one(connection, number)

    def backfill_runs(self, number: int) -> dict[RunState, int]:
        with self._reading() as connection:
            return backfills.states_of_runs(connection, number)

    def asset_events(self, asset: str | None, limit: int) -> tuple[AssetEvent, ...]:
        with self._reading() as connection:
            return assets.newest(connection, asset, limit)

    def events_in(self, stretches: Mapping[str, Stretch], limit: int, size: int) -> tuple[AssetEvent, ...]:
        with self._reading() as connection:
            return assets.within(connection, stretches, limit, size)

    def gathered(self) -> tuple[PutGathered, ...]:
        with self._reading() as connection:
            return assets.all_gathered(connection)

    def late(self, dag_id: str | None, limit: int) -> tuple[Run | TaskInstance, ...]:
        with self._reading() as connection:
            return late.newest(connection, dag_id, limit)

    def reusable(self, dag_id: str, task_id: str, key: str | None) -> Try | None:
        with self._reading() as connection:
            return tries.reusable(connection, dag_id, task_id, key)

    def pools(self) -> tuple[Pool, ...]:
        with self._reading() as connection:
            return pools.all_pools(connection)

    def past_runs(self, wanted: Wanted) -> tuple[PastRun, ...]:
        with self._reading() as connection:
            return history.past_runs(connection, wanted)

    # transactions --------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with told_as_ours(self._database), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with told_as_ours(self._database), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def _trying(self) -> Iterator[Connection]:
        """A writing transaction that is always rolled back."""
        with told_as_ours(self._database), self._writer.connect() as connection, connection.begin() as transaction:
            yield connection
            transaction.rollback()

    def _named(self, refusal: StoreConflictError, rows: Sequence[Row]) -> StoreConflictError:
        """The refusal of a whole turn, told of the one row that caused it: the turn is played again row by row
        and thrown away."""
        tried: list[Row] = []
        try:
            with self._trying() as connection:
                write_singly(connection, rows, tried.append)
        except StoreConflictError as single:
            key = key_of(tried[-1])
            return StoreConflictError(f"cannot write {_spoken(key)}: {single.message}", key=key)
        return refusal


def _spoken(key: object) -> str:
    """A key as people write it: its parts between slashes."""
    if isinstance(key, msgspec.Struct):
        return "/".join(_spoken(part) for part in msgspec.structs.astuple(key))
    return str(key)
