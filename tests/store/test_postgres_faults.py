"""Trouble with a PostgreSQL server, made for real, and how it is told."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from postgres_server import PASSWORD, PostgresServer
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError
from store_rows import NOW, put_run, run, seed

from orchestrator.errors import StoreConflictError, StoreError, StoreUnavailableError
from orchestrator.planning.rows import RequestKind
from orchestrator.ports import Snapshot
from orchestrator.store import SqlStore, leadership, postgresql, upgrade
from orchestrator.store.patient import Patient
from orchestrator.store.postgresql import PostgresDatabase
from orchestrator.store.postgresql_faults import meaning
from orchestrator.testing.manual_clock import ManualClock


@pytest.fixture
def store(postgres_database: PostgresDatabase) -> Iterator[SqlStore]:
    opened = SqlStore.open(postgres_database)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """One that a test may stop; it starts it again."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def own(own_server: PostgresServer, tmp_path: Path) -> Iterator[SqlStore]:
    database = PostgresDatabase(tmp_path / "home", own_server.url(own_server.make_database()))
    upgrade(database)
    opened = SqlStore.open(database)
    yield opened
    opened.close()


# --- no connection ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told", "fix"),
    [
        ({"password": "wr ng"}, "password authentication failed", "correct user and password"),
        ({"username": "nobody"}, "authentication failed", "correct user and password"),
        ({"database": "nosuch"}, 'database "nosuch" does not exist', "createdb"),
        ({"query": {"host": "/nowhere"}}, "No such file", "start it"),
        ({"query": {"host": "127.0.0.1", "port": "1"}}, "refused", "start it"),
        ({"query": {"host": "nowhere.invalid"}}, "nowhere.invalid", "host and port"),
    ],
)
def test_who_cannot_connect_is_told_why_and_no_password(
    postgres_server: PostgresServer, tmp_path: Path, change: dict[str, object], told: str, fix: str
) -> None:
    database = PostgresDatabase(tmp_path, postgres_server.url("postgres").set(**change))
    for attempt in (SqlStore.open, upgrade):
        with pytest.raises(StoreUnavailableError, match=told) as fault:
            attempt(database)
        assert fix in fault.value.fix
        assert "database.url" in fault.value.fix
        cause = fault.value.__cause__
        for shown in (str(fault.value), repr(fault.value), str(cause), repr(cause), repr(database)):
            assert PASSWORD not in shown
            assert "wr ng" not in shown


def test_a_server_that_is_away_is_unavailable_until_it_is_back(own_server: PostgresServer, own: SqlStore) -> None:
    epoch = own.take_lead("test", NOW)
    for away in (own_server.stop, own_server.kill):
        away()
        for attempt in (own.load, lambda: own.write(epoch, ()), own.epoch):
            with pytest.raises(StoreUnavailableError):
                attempt()
        own_server.start()
        own.write(epoch, put_run(run(run_id=away.__name__)))
    assert {found.key.run_id for found in own.load().runs} == {"stop", "kill"}


def test_a_server_that_stands_still_is_unavailable(own_server: PostgresServer, own: SqlStore) -> None:
    epoch = own.take_lead("test", NOW)
    for engine in (own._reader, own._writer):  # of little patience, these two connections alone
        with engine.connect() as connection:
            kept = connection.connection.dbapi_connection
            assert isinstance(kept, Patient)
            assert kept.answer_within == postgresql._ANSWER_WITHIN
            kept.answer_within = 1.0
    with own_server.frozen():
        for attempt in (own.load, lambda: own.write(epoch, seed())):
            with pytest.raises(StoreUnavailableError, match="no answer within 1 s"):
                attempt()
    own.write(epoch, seed(run_id="later"))
    assert "later" in {found.key.run_id for found in own.load().runs}


def test_a_connection_that_is_cut_costs_one_turn(postgres_server: PostgresServer, store: SqlStore) -> None:
    epoch = store.take_lead("test", NOW)
    with store._writing() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with postgres_server.admin() as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    with pytest.raises(StoreUnavailableError):
        store.write(epoch, seed())
    store.write(epoch, seed())
    assert len(store.load().runs) == 1


# --- too long -----------------------------------------------------------------------------------------


def test_a_lock_is_waited_for_and_then_the_database_is_unavailable(store: SqlStore) -> None:
    epoch = store.take_lead("test", NOW)
    with store._writing() as other:
        other.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        other.execute(text("SELECT * FROM leader FOR UPDATE"))
        hurried = begun(store._writer, "SET LOCAL lock_timeout = '500ms'")
        with hurried, pytest.raises(StoreUnavailableError, match="lock timeout"):
            store.write(epoch, seed())
        assert store.load() == Snapshot()  # readers are not held up by a writer
    store.write(epoch, seed())


def test_a_question_that_takes_too_long_is_ended(store: SqlStore) -> None:
    hurried, ended = begun(store._reader, "SET LOCAL statement_timeout = '500ms'"), "statement timeout"
    with hurried, pytest.raises(StoreUnavailableError, match=ended), store._reading() as connection:
        connection.execute(text("SELECT pg_sleep(60)"))


@contextmanager
def begun(engine: Engine, words: str) -> Iterator[None]:
    """Every transaction begins with these words."""

    def say(connection: Connection) -> None:
        connection.execute(text(words))

    event.listen(engine, "begin", say)
    try:
        yield
    finally:
        event.remove(engine, "begin", say)


def test_who_stops_in_mid_transaction_holds_nobody_up(store: SqlStore) -> None:
    stopped = store._writer.connect()
    stopped.execute(text("SET LOCAL idle_in_transaction_session_timeout = '500ms'"))
    stopped.execute(text("SELECT * FROM leader FOR UPDATE"))
    assert store.take_lead("other", NOW) == 1
    with pytest.raises(DBAPIError, match="idle-in-transaction timeout"):
        stopped.execute(text("SELECT 1"))
    stopped.close()


def test_every_connection_has_its_limits(store: SqlStore) -> None:
    limits = postgresql._LIMITS
    for opened, meant in ((store._writing(), limits), (store._reading(), postgresql._READING_LIMITS)):
        with opened as connection:
            said = {name: connection.execute(text(f"SHOW {name}")).scalar_one() for name in meant}
        assert said == {name: f"{limit // 1000}s" for name, limit in meant.items()}
    assert limits["idle_in_transaction_session_timeout"] < limits["lock_timeout"] < postgresql._ANSWER_WITHIN * 1000


def test_a_server_that_does_much_is_waited_for_as_long_as_it_gives_signs() -> None:
    clock, finished = ManualClock(), []
    waiting = SimpleNamespace(clock=clock, pgconn=SimpleNamespace(finish=lambda: finished.append(True)))

    def work() -> Generator[str, int, str]:
        for _ in range(100):
            yield "reads"
        return "done"

    def signs(silence: float) -> str:
        steps = Patient._bounded(waiting, work(), 8.0)  # type: ignore[arg-type] # all that it uses
        next(steps)
        try:
            while True:
                clock.advance(silence)
                steps.send(0)
                clock.advance(silence)
                steps.send(1)
        except StopIteration as ended:
            return str(ended.value)

    assert signs(silence=3.9) == "done"
    assert finished == []
    with pytest.raises(psycopg.OperationalError, match="no answer within 8 s"):
        signs(silence=8.1)
    assert finished == [True]


# --- what is refused ----------------------------------------------------------------------------------


def test_readers_cannot_write(store: SqlStore) -> None:
    with pytest.raises(StoreUnavailableError, match="read-only transaction"), store._reading() as connection:
        connection.execute(text("DELETE FROM leader"))


def test_a_text_that_no_postgresql_takes_is_a_row_that_is_refused(store: SqlStore) -> None:
    epoch = store.take_lead("test", NOW)
    with pytest.raises(StoreConflictError, match="etl/good") as refusal:
        store.write(epoch, [*put_run(run(run_id="bad")), *put_run(run(run_id="good", note="a\0b"))])
    assert refusal.value.key == run(run_id="good").key
    assert store.load() == Snapshot()


def test_every_commit_is_on_disk_whatever_the_server_is_set_to(
    postgres_server: PostgresServer, postgres_database: PostgresDatabase
) -> None:
    with postgres_server.admin() as admin:
        admin.execute("ALTER ROLE orchestrator SET synchronous_commit = off")
    try:
        opened = SqlStore.open(postgres_database)
        with opened._writing() as connection:
            assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
        opened.close()
    finally:
        with postgres_server.admin() as admin:
            admin.execute("ALTER ROLE orchestrator RESET synchronous_commit")


def test_a_load_sees_one_state_whatever_is_committed_meanwhile(store: SqlStore) -> None:
    epoch = store.take_lead("test", NOW)
    late = iter([True])

    @event.listens_for(store._reader, "before_cursor_execute")
    def commit_between(connection: object, cursor: object, statement: str, *_: object) -> None:
        if "FROM task_instances" in statement and next(late, False):
            store.write(epoch, seed())

    assert store.load() == Snapshot()
    assert len(store.load().tasks) == 1


def test_who_asks_does_not_wait_for_a_turn(store: SqlStore) -> None:
    epoch = store.take_lead("test", NOW)
    with store._writing() as turn:
        leadership.check(turn, epoch)
        assert store.ask(RequestKind.PAUSE, {}, "me", NOW) in store.unanswered()


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("08006", StoreUnavailableError),
        ("22003", StoreConflictError),
        ("23505", StoreConflictError),
        ("25006", StoreUnavailableError),
        ("40001", StoreUnavailableError),
        ("40P01", StoreUnavailableError),
        ("42501", StoreError),
        ("42P01", StoreError),
        ("53100", StoreUnavailableError),
        ("53300", StoreUnavailableError),
        ("57P01", StoreUnavailableError),
        ("58030", StoreUnavailableError),
        ("XX001", StoreError),
    ],
)
def test_every_class_of_errors_has_its_meaning(state: str, kind: type[StoreError]) -> None:
    error = DBAPIError("SELECT", None, psycopg.errors.lookup(state)("as the server says"))
    assert meaning(error).kind is kind


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("the database system is starting up", "until the database answers"),
        ("the database system is not yet accepting connections", "until the database answers"),
        ('too many connections for role "me"', "max_connections"),
        ('role "me" does not exist', "correct user and password"),
        ('database "mine" does not exist', "createdb"),
    ],
)
def test_who_is_not_let_in_is_told_what_helps(said: str, fix: str) -> None:
    error = DBAPIError(
        "", None, psycopg.OperationalError(f'connection to server at "127.0.0.1" failed: FATAL:  {said}')
    )
    assert fix in meaning(error).fix
