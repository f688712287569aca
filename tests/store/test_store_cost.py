"""What the store costs does not grow with history, nor its statements with the rows of a turn."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, Select, event
from store_rows import NOW, attempt, ended, put_run, run, started_run, task, version

from orchestrator.ids import DeploymentId, Epoch
from orchestrator.planning.changes import (
    Answered,
    PutDag,
    PutFile,
    PutResult,
    PutRun,
    PutTask,
    PutTry,
    PutVersion,
    Row,
)
from orchestrator.planning.rows import Answer, Dag, RequestKind, Result
from orchestrator.spec.dag import ParsedFile
from orchestrator.states import RunState, TaskState
from orchestrator.store import SqlStore, dags, late, requests, runs, tables, tasks, tries
from orchestrator.store.postgresql import PostgresDatabase


@pytest.fixture
def store() -> Iterator[SqlStore]:
    opened = SqlStore.in_memory(DeploymentId("0123abcd"))
    yield opened
    opened.close()


@pytest.fixture
def postgres_store(postgres_database: PostgresDatabase) -> Iterator[SqlStore]:
    opened = SqlStore.open(postgres_database)
    yield opened
    opened.close()


def plan(store: SqlStore, statement: Select[Any]) -> list[str]:
    """SQLite's own words on how it will answer."""
    with store._reading() as connection:
        text = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]


#: Tables that grow with every run.
SCANS = [["SCAN", table] for table in ("dag_versions", "runs", "task_instances", "tries", "results", "requests")]
AFTER = run()
HOT: dict[str, tuple[Select[Any], str]] = {
    "open runs": (runs.open_statement(), "runs_newest_in_state (state=?)"),
    "tasks of open runs": (tasks.of_open_runs_statement(), "task_instances_1 (dag_id=? AND run_id=?)"),
    "versions in use": (dags.in_use_statement(), "dag_versions_1 (dag_id=? AND version=?)"),
    "uncollected tries": (tries.uncollected_statement(), "tries_uncollected"),
    "unanswered requests": (requests.unanswered_statement(), "requests_unanswered"),
    "runs": (runs.page_statement(None, None, None, 25), "runs_newest"),
    "runs, next page": (runs.page_statement(None, None, AFTER, 25), "runs_newest "),
    "runs of a DAG": (runs.page_statement("etl", None, None, 25), "runs_newest_in_dag (dag_id=?"),
    "runs of a DAG, next page": (runs.page_statement("etl", None, AFTER, 25), "runs_newest_in_dag (dag_id=?"),
    "runs in a state": (runs.page_statement(None, RunState.FAILED, None, 25), "runs_newest_in_state (state=?"),
    "runs in a state, next page": (
        runs.page_statement(None, RunState.FAILED, AFTER, 25),
        "runs_newest_in_state (state=?",
    ),
    "runs of a DAG in a state": (
        runs.page_statement("etl", RunState.FAILED, AFTER, 25),
        "runs_newest_in_dag_and_state (dag_id=? AND state=?",
    ),
    "late runs": (late.late_statement(tables.runs, None, 25), "runs_late"),
    "late tasks": (late.late_statement(tables.task_instances, None, 25), "task_instances_late"),
    "a try to use again": (
        tries.reusable_statement("etl", "load", "abc"),
        "tries_by_cache_key (dag_id=? AND task_id=?",
    ),
    "last success": (
        runs.last_success_statement("etl", NOW),
        "runs_latest_in_dag_and_state (dag_id=? AND state=? AND interval_start<?)",
    ),
}


@pytest.mark.parametrize(("statement", "index"), HOT.values(), ids=HOT.keys())
def test_a_hot_query_walks_its_index(store: SqlStore, statement: Select[Any], index: str) -> None:
    steps = plan(store, statement)
    assert any(index in step for step in steps), steps
    if statement._limit is not None:
        assert not any("TEMP B-TREE" in step for step in steps), steps
    # a scan of history is of an index that holds just the wanted rows, or of one in the wanted order
    assert not any(step.split()[:2] in SCANS and "USING INDEX" not in step for step in steps), steps


def turn(store: SqlStore, size: int) -> list[Row]:
    """A turn with `size` rows of every kind, inserts and moves."""
    rows: list[Row] = []
    for number in range(size):
        new = version(f"dag{number}")
        of = run(f"dag{number}")
        instance = task(of, state=TaskState.STARTING)
        open_try = attempt(instance, f"try{number}")
        asked = store.ask(RequestKind.PAUSE, {}, "me", NOW)
        rows += [
            PutFile(parsed=ParsedFile(file=f"{number}.py"), at=NOW),
            PutFile(parsed=ParsedFile(file=f"gone{number}.py"), at=NOW, gone=True),
            PutVersion(version=new),
            PutDag(dag=Dag(dag_id=new.dag_id, version=new.version, file="x.py", paused=False)),
            PutRun(run=of, before=None),
            PutRun(run=started_run(of), before=of),
            PutTask(task=instance, before=None),
            PutTask(task=replace(instance, state=TaskState.RUNNING), before=instance),
            PutTry(attempt=open_try, before=None),
            PutTry(attempt=ended(open_try), before=open_try),
            PutResult(result=Result(key=instance.key, data=b"1", created_at=NOW)),
            Answered(request=asked, answer=Answer(ok=True), at=NOW),
        ]
    return rows


@pytest.mark.parametrize("size", [1, 50])
def test_a_turn_of_any_size_takes_the_same_few_statements(store: SqlStore, size: int) -> None:
    epoch: Epoch = store.take_lead("test", NOW)
    rows = turn(store, size)
    with counted(store._writer) as statements:
        store.write(epoch, rows)
    assert len(statements) == 2 + 12, statements  # BEGIN, the fence, one for each kind and way of writing
    with counted(store._reader) as statements:
        store.load()
    assert len(statements) == 1 + 10


@pytest.mark.parametrize("size", [1, 50])
def test_the_same_over_postgresql_in_as_many_round_trips(postgres_store: SqlStore, size: int) -> None:
    """BEGIN is the driver's, and not counted here."""
    store = postgres_store
    epoch: Epoch = store.take_lead("test", NOW)
    rows = turn(store, size)
    with counted(store._writer) as statements:
        store.write(epoch, rows)
    assert len(statements) == 1 + 12, statements
    with counted(store._reader) as statements:
        store.load()
    assert len(statements) == 10


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """The statements of this block, as they are sent."""
    statements: list[str] = []

    def count(connection: object, cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", count)
    yield statements
    event.remove(engine, "before_cursor_execute", count)


def test_a_hot_query_does_not_read_history_in_postgresql_either(
    postgres_store: SqlStore, postgres_database: PostgresDatabase
) -> None:
    write_history(postgres_store, postgres_database)
    for what, (statement, _) in HOT.items():
        steps = postgres_plan(postgres_store, statement)
        assert not [step for step in steps if "Seq Scan on" in step and step.split()[-1] in HISTORY], (what, steps)
        if statement._limit is not None:
            assert not [step for step in steps if "Sort" in step], (what, steps)


HISTORY = ("dag_versions", "runs", "task_instances", "tries", "results", "requests")
#: Rows of the past, from which the server can tell what is worth walking an index for.
MANY = 5_000


def write_history(store: SqlStore, postgres: PostgresDatabase) -> None:
    """Ended runs of one task and one try, all requests answered."""
    seed = [*put_run(run()), PutTask(task=task(run()), before=None)]
    first = ended(attempt(task(run(), state=TaskState.STARTING), "first"))
    store.write(store.take_lead("test", NOW), [*seed, PutTry(attempt=first, before=None)])
    asked = store.ask(RequestKind.PAUSE, {}, "me", NOW)
    store.write(store.epoch(), [Answered(request=asked, answer=Answer(ok=True), at=NOW)])
    patient = postgres.migrator()
    with patient.begin() as connection:
        for name, changed in _COPIES.items():
            columns = [column.name for column in tables.METADATA.tables[name].columns]
            copied = ", ".join(changed.get(each, f'"{each}"') for each in columns)
            names = ", ".join(f'"{each}"' for each in columns)
            connection.exec_driver_sql(
                f"INSERT INTO {name} ({names}) SELECT {copied} FROM {name}, generate_series(1, {MANY}) AS made (n)"  # noqa: S608 - of names in this file
            )
        connection.exec_driver_sql("ANALYZE")
    patient.dispose()


_KEY = {"run_id": "'made' || n"}
_COPIES = {
    "dag_versions": {"version": "'v' || n"},
    "runs": _KEY
    | {
        "version": "'v' || n",
        "created_at": "created_at + n",
        "interval_start": "interval_start + n",
        "interval_end": "interval_start + n",
        "state": "'success'",
        "ended_at": "created_at + n",
        "started_at": "created_at + n",
    },
    "task_instances": _KEY | {"state": "'success'", "tries": "1", "ended_at": "1", "reason": "NULL"},
    "tries": _KEY | {"try_id": "'t' || n", "removed_at": "ended_at"},
    "requests": {"id": "id + n"},
}


def postgres_plan(store: SqlStore, statement: Select[Any]) -> list[str]:
    with store._reading() as connection:
        text = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
        return list(connection.exec_driver_sql(f"EXPLAIN (COSTS OFF) {text}".replace("%", "%%")).scalars())
