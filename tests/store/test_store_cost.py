"""What the store costs does not grow with history, nor its statements with the rows of a turn."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Select, event
from store_rows import NOW, attempt, ended, run, started_run, task, version

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


@pytest.fixture
def store() -> Iterator[SqlStore]:
    opened = SqlStore.in_memory(DeploymentId("0123abcd"))
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
    statements: list[str] = []

    @event.listens_for(store._writer, "before_cursor_execute")
    def count(connection: object, cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    store.write(epoch, rows)
    assert len(statements) == 2 + 12, statements  # BEGIN, the fence, one for each kind and way of writing
    statements.clear()
    store.load()
    assert len(statements) == 1 + 10
