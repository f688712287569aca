"""What the planner asks of the past (`planning.history`): runs with all their task instances."""

from typing import Any

from sqlalchemy import Connection, Select, and_, false, or_, select

from orchestrator.planning.history import PastRun, RunBefore, RunsBetween, RunsNamed, Wanted
from orchestrator.planning.rows import Run
from orchestrator.states import RunType
from orchestrator.store import dags, tasks
from orchestrator.store.runs import read_run
from orchestrator.store.tables import runs


def past_runs(connection: Connection, wanted: Wanted) -> tuple[PastRun, ...]:
    """The earliest logical date first."""
    found = [read_run(row) for row in connection.execute(_statement(wanted)).mappings()]
    return tuple(_whole(connection, run) for run in found)


def _statement(wanted: Wanted) -> Select[Any]:
    by_date = (runs.c.interval_start, runs.c.run_id)
    match wanted:
        case RunsNamed():
            named = [and_(runs.c.dag_id == key.dag_id, runs.c.run_id == key.run_id) for key in wanted.keys]
            return select(runs).where(or_(false(), *named)).order_by(*by_date)
        case RunsBetween():
            after, before = runs.c.interval_start >= wanted.start, runs.c.interval_start < wanted.end
            return select(runs).where(runs.c.dag_id == wanted.dag_id, after, before).order_by(*by_date)
        case RunBefore():
            earlier = runs.c.interval_start < wanted.date
            asked_by_nobody = runs.c.run_type != RunType.MANUAL
            latest_first = (runs.c.interval_start.desc(), runs.c.run_id.desc())
            mine = runs.c.dag_id == wanted.dag_id
            return select(runs).where(mine, earlier, asked_by_nobody).order_by(*latest_first).limit(1)


def _whole(connection: Connection, run: Run) -> PastRun:
    version = dags.read_version(connection, run.key.dag_id, run.version)
    return PastRun(run=run, tasks=tasks.of_run(connection, run.key), version=version)
