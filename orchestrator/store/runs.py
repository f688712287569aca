"""DAG runs. Written by the leader only."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, Select, insert, select, tuple_

from orchestrator.errors import NotFoundError
from orchestrator.ids import RunKey
from orchestrator.planning.changes import PutRun
from orchestrator.planning.rows import Interval, Run
from orchestrator.ports import Page
from orchestrator.states import RunState
from orchestrator.store.statements import Columns, guarded_update, move
from orchestrator.store.tables import runs

#: States of a run that belongs to the world in memory.
OPEN = tuple(state for state in RunState if not state.final)

_GUARD = ("state",)
_MOVE = guarded_update(runs, _GUARD)
#: Most runs of one stretch of time that are told.
_BETWEEN = 100
_NEWEST = (runs.c.created_at, runs.c.dag_id, runs.c.run_id)


def put(connection: Connection, rows: Sequence[PutRun]) -> None:
    """Insert the new ones, then move the others on, in order."""
    if new := [_columns(row.run) for row in rows if row.before is None]:
        connection.execute(insert(runs), new)
    moves = [(_columns(row.before), _columns(row.run)) for row in rows if row.before is not None]
    move(connection, _MOVE, _GUARD, moves)


def open_runs(connection: Connection) -> tuple[Run, ...]:
    """All runs that are not final, oldest first."""
    return tuple(read_run(row) for row in connection.execute(open_statement()).mappings())


def open_statement() -> Select[Any]:
    return select(runs).where(runs.c.state.in_(OPEN)).order_by(*_NEWEST)


def one(connection: Connection, key: RunKey) -> Run | None:
    row = (
        connection.execute(select(runs).where(runs.c.dag_id == key.dag_id, runs.c.run_id == key.run_id))
        .mappings()
        .one_or_none()
    )
    return read_run(row) if row else None


def newest(connection: Connection, dag_id: str | None, page: Page, states: Sequence[RunState]) -> tuple[Run, ...]:
    """One page, newest first. Each state is asked for by itself: so each question walks one index and reads at
    most `page.limit` rows of it. Raises `NotFoundError` where `page.before` is no run."""
    after = None if page.before is None else one(connection, page.before)
    if page.before is not None and after is None:
        raise NotFoundError("run", page.before.run_id, fix="start again from the first page")
    questions = [page_statement(dag_id, state, after, page.limit) for state in dict.fromkeys(states or (None,))]
    found = [read_run(row) for question in questions for row in connection.execute(question).mappings()]
    found.sort(key=lambda run: (run.created_at, run.key), reverse=True)
    return tuple(found[: page.limit])


def page_statement(dag_id: str | None, state: RunState | None, after: Run | None, limit: int) -> Select[Any]:
    statement = select(runs).order_by(*(column.desc() for column in _NEWEST)).limit(limit)
    if dag_id is not None:
        statement = statement.where(runs.c.dag_id == dag_id)
    if state is not None:
        statement = statement.where(runs.c.state == state)
    if after is not None:
        statement = statement.where(tuple_(*_NEWEST) < (after.created_at, after.key.dag_id, after.key.run_id))
    return statement


def last_success(connection: Connection, dag_id: str, before: datetime) -> Run | None:
    """The newest successful run with a logical date before that instant."""
    row = connection.execute(last_success_statement(dag_id, before)).mappings().one_or_none()
    return read_run(row) if row else None


def last_success_statement(dag_id: str, before: datetime) -> Select[Any]:
    return (
        select(runs)
        .where(runs.c.dag_id == dag_id, runs.c.state == RunState.SUCCESS, runs.c.interval_start < before)
        .order_by(runs.c.interval_start.desc(), runs.c.run_id.desc())
        .limit(1)
    )


def between(connection: Connection, dag_id: str, start: datetime, end: datetime) -> tuple[Run, ...]:
    """Runs with a logical date in `[start, end)`, the newest made first."""
    return tuple(read_run(row) for row in connection.execute(between_statement(dag_id, start, end)).mappings())


def between_statement(dag_id: str, start: datetime, end: datetime) -> Select[Any]:
    return (
        select(runs)
        .where(runs.c.dag_id == dag_id, runs.c.interval_start >= start, runs.c.interval_start < end)
        .order_by(runs.c.created_at.desc(), runs.c.run_id.desc())
        .limit(_BETWEEN)
    )


def _columns(run: Run) -> Columns:
    values = msgspec.structs.asdict(run)
    key, interval = values.pop("key"), values.pop("interval")
    return msgspec.structs.asdict(key) | values | {"interval_start": interval.start, "interval_end": interval.end}


def read_run(row: RowMapping) -> Run:
    """A row of `runs` as a value."""
    values = dict(row)
    key = RunKey(values.pop("dag_id"), values.pop("run_id"))
    interval = Interval(start=values.pop("interval_start"), end=values.pop("interval_end"))
    return Run(key=key, interval=interval, **values)
