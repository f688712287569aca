"""Rows for tests of the store: each with everything that the database asks to agree."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from orchestrator.ids import UNMAPPED, Epoch, RunKey, TaskKey, TryId, TryKey, VersionId
from orchestrator.planning.changes import PutRun, PutTask, PutTry, PutVersion, Row
from orchestrator.planning.rows import DagVersion, Interval, Reason, Run, TaskInstance, Try, TryOutcome
from orchestrator.ports import Store
from orchestrator.spec.container import ContainerSpec
from orchestrator.spec.dag import DagSpec, TaskSpec, encode_dag
from orchestrator.spec.params import ParamSpec
from orchestrator.states import ReasonCode, RunState, RunType, TaskState

NOW = datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
REASON = Reason(code=ReasonCode.EXIT_CODE, text="exit code 3")


def version(dag_id: str = "etl", description: str = "") -> DagVersion:
    spec = DagSpec(
        dag_id=dag_id,
        file=f"{dag_id}.py",
        description=description,
        start_date=NOW,
        params={
            "n": ParamSpec(default=1),
            "text": ParamSpec(default="ä\0"),
            "list": ParamSpec(default=[None, 1.5]),
        },
        tasks=(TaskSpec(task_id="a"), TaskSpec(task_id="b", upstream=("a",))),
    )
    digest = hashlib.sha256(encode_dag(spec)).hexdigest()[:16]
    return DagVersion(dag_id=dag_id, version=VersionId(digest), spec=spec, created_at=NOW)


def run(dag_id: str = "etl", run_id: str = "manual__1", state: RunState = RunState.QUEUED, **fields: Any) -> Run:
    defaults: dict[str, Any] = {
        "run_type": RunType.MANUAL,
        "version": version(dag_id).version,
        "interval": Interval(start=NOW - DAY, end=NOW),
        "created_at": NOW,
        "started_at": None if state is RunState.QUEUED else NOW,
        "ended_at": NOW + DAY if state.final else None,
    }
    return Run(key=RunKey(dag_id, run_id), state=state, **(defaults | fields))


def task(
    of: Run, task_id: str = "a", state: TaskState = TaskState.WAITING, index: int = UNMAPPED, **fields: Any
) -> TaskInstance:
    bad = state in (TaskState.FAILED, TaskState.SKIPPED, TaskState.UPSTREAM_FAILED)
    defaults: dict[str, Any] = {
        "tries": 1 if state.holds_slot else 0,
        "reason": REASON if bad else None,
        "due_at": NOW if state is TaskState.UP_FOR_RETRY else None,
        "ended_at": NOW if state.final else None,
    }
    key = TaskKey(of.key.dag_id, of.key.run_id, task_id, index)
    return TaskInstance(key=key, state=state, **(defaults | fields))


def attempt(of: TaskInstance, try_id: str, number: int = 1, **fields: Any) -> Try:
    spec = ContainerSpec(name=f"orc-{try_id}", image="sha256:1", image_name="python", environment={"A": "ü"})
    return Try(
        key=TryKey(of.key, number), try_id=TryId(try_id), epoch=Epoch(1), spec=spec, intended_at=NOW, **fields
    )


def ended(open_try: Try, outcome: TryOutcome = TryOutcome.FAILED) -> Try:
    return replace(open_try, outcome=outcome, reason=REASON, ended_at=NOW)


def started_run(of: Run) -> Run:
    return replace(of, state=RunState.RUNNING, started_at=NOW)


def seed(
    *, tasks: int = 1, run_id: str = "manual__1", state: TaskState = TaskState.STARTING
) -> tuple[PutVersion | PutRun | PutTask | PutTry, ...]:
    """A running run with `tasks` instances that are starting, each with an open try."""
    of = run(run_id=run_id, state=RunState.RUNNING)
    instances = [task(of, f"t{number}", state) for number in range(tasks)]
    return (
        PutVersion(version=version()),
        PutRun(run=of, before=None),
        *(PutTask(task=one, before=None) for one in instances),
        *(PutTry(attempt=attempt(one, f"{run_id}-{one.key.task_id}"), before=None) for one in instances),
    )


def put_run(of: Run) -> tuple[PutVersion, PutRun]:
    return PutVersion(version=version(of.key.dag_id)), PutRun(run=of, before=None)


def write(store: Store, *rows: Row) -> None:
    store.write(store.epoch(), rows)
