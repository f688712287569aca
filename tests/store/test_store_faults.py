"""Trouble with the database file, made for real, and how it is told."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event
from store_rows import NOW, seed

from orchestrator.errors import StoreError, StoreUnavailableError
from orchestrator.ports import Snapshot
from orchestrator.store import SqlStore, sqlite, upgrade


@pytest.fixture
def database(tmp_path: Path) -> Path:
    upgrade(tmp_path / "orchestrator.db")
    return tmp_path / "orchestrator.db"


@pytest.fixture
def store(database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlStore]:
    monkeypatch.setattr(sqlite, "PATIENCE", 0)
    opened = SqlStore.open(database)
    yield opened
    opened.close()


def say(engine: Engine, pragma: str) -> None:
    """Say a pragma to an engine's one connection, which its pool then hands out again."""
    with engine.connect() as connection:
        connection.exec_driver_sql(pragma)


def test_a_locked_database_is_waited_for_and_then_unavailable(database: Path, store: SqlStore) -> None:
    epoch = store.take_lead("test", NOW)
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match="locked"):
        store.write(epoch, seed())
    assert store.load() == Snapshot()  # readers are not held up by a writer
    other.execute("ROLLBACK")
    other.close()
    store.write(epoch, seed())


def test_a_full_disk_is_unavailable_and_work_resumes_when_there_is_space(store: SqlStore) -> None:
    epoch = store.take_lead("test", NOW)
    say(store._writer, "PRAGMA max_page_count = 1")
    with pytest.raises(StoreUnavailableError, match="full") as fault:
        store.write(epoch, seed(tasks=500))
    assert "space" in fault.value.fix
    assert store.load() == Snapshot()
    say(store._writer, "PRAGMA max_page_count = 1000000")
    store.write(epoch, seed(tasks=500))
    assert len(store.load().tasks) == 500


def test_a_read_only_database_is_unavailable(store: SqlStore) -> None:
    say(store._writer, "PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailableError, match="readonly") as fault:
        store.take_lead("test", NOW)
    assert "writable" in fault.value.fix


def test_a_database_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(StoreUnavailableError, match="unable to open"):
        SqlStore.open(tmp_path / "folder.db")


def test_a_file_that_is_no_database_is_an_error_that_waiting_does_not_mend(tmp_path: Path) -> None:
    (tmp_path / "orchestrator.db").write_bytes(b"not a database " * 1000)
    with pytest.raises(StoreError, match="not a database") as fault:
        SqlStore.open(tmp_path / "orchestrator.db")
    assert not isinstance(fault.value, StoreUnavailableError)


def test_a_busy_writing_connection_is_unavailable_to_another_thread(store: SqlStore) -> None:
    with store._writing(), pytest.raises(StoreUnavailableError, match="in use"):
        store.take_lead("other", NOW)


def test_readers_cannot_write(store: SqlStore) -> None:
    with pytest.raises(StoreUnavailableError, match="readonly"), store._reading() as connection:
        connection.exec_driver_sql("DELETE FROM leader")


def test_a_file_system_without_shared_memory_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(":memory:")  # answers "memory" to journal_mode = WAL, as such a disk says "delete"
    with pytest.raises(StoreError, match="ORCHESTRATOR_HOME"):
        sqlite._use_wal(connection)
    connection.close()


def test_every_commit_is_on_disk_and_foreign_keys_hold(store: SqlStore) -> None:
    with store._writing() as connection:
        said = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert said == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_transaction_that_was_cut_off_leaves_the_connection_usable(store: SqlStore) -> None:
    epoch = store.take_lead("test", NOW)
    cut = iter([True])

    @event.listens_for(store._writer, "commit")
    def fail_once(connection: object) -> None:
        if next(cut, False):
            raise sqlite3.OperationalError("the disk went away")

    with pytest.raises(Exception, match="the disk went away"):
        store.write(epoch, seed())
    assert store.load() == Snapshot()
    store.write(epoch, seed())
    assert len(store.load().runs) == 1


def test_a_load_sees_one_state_whatever_is_committed_meanwhile(store: SqlStore) -> None:
    epoch = store.take_lead("test", NOW)
    late = iter([True])

    @event.listens_for(store._reader, "before_cursor_execute")
    def commit_between(connection: object, cursor: object, statement: str, *_: object) -> None:
        if "FROM task_instances" in statement and next(late, False):
            store.write(epoch, seed())

    assert store.load() == Snapshot()
    assert len(store.load().tasks) == 1


def test_the_replay_that_names_a_refused_row_writes_nothing(store: SqlStore) -> None:
    with store._trying() as connection:
        connection.exec_driver_sql("INSERT INTO pools (name, slots) VALUES ('small', 2)")
    assert store.load().pools == ()
