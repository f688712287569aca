"""`tasks logs` where there is no log, or no end of it; and lists of what uses what."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from store_rows import NOW, attempt, put_run, run, task, version, write

from orchestrator.cli import images, tasks
from orchestrator.errors import NotFoundError
from orchestrator.ids import DeploymentId
from orchestrator.planning.changes import PutDag, PutTask, PutTry, PutVersion
from orchestrator.planning.rows import Dag, DagVersion, Reason
from orchestrator.queries import Queries
from orchestrator.scheduler.notices import Notice
from orchestrator.spec.dag import ContainerTemplate, TaskSpec, version_of
from orchestrator.states import ReasonCode, RunState, TaskState
from orchestrator.store import SqlStore
from orchestrator.tasklogs.store import FileLogStore

RUN = run(state=RunState.RUNNING)
WHY = Reason(code=ReasonCode.POOL_MISSING, text="there is no pool 'small'")


class Going:
    """A scheduler that is there, and goes before it has told anything."""

    @classmethod
    @contextmanager
    def if_any(cls, _path: Path) -> Iterator["Going"]:
        yield cls()

    def notices(self) -> Iterator[Notice]:
        return iter(())


@pytest.fixture
def store() -> Iterator[SqlStore]:
    """One run: a task runs, one failed before it had a try, one waits."""
    store = SqlStore.in_memory(DeploymentId("0123abcd"))
    store.take_lead("a test", NOW)
    runs = task(RUN, "a", TaskState.RUNNING)
    failed = task(RUN, "b", TaskState.FAILED, reason=WHY)
    write(store, *put_run(RUN))
    write(store, *(PutTask(task=each, before=None) for each in (runs, failed, task(RUN, "c"))))
    write(store, PutTry(attempt=attempt(runs, "0a1b2c3d4e5f"), before=None))
    yield store
    store.close()


@pytest.fixture
def queries(store: SqlStore, tmp_path: Path) -> Queries:
    return Queries(store, FileLogStore(tmp_path))


def test_a_task_that_failed_before_it_had_a_try_says_why(queries: Queries) -> None:
    with pytest.raises(NotFoundError) as caught:
        queries.attempt(task(RUN, "b").key, None)
    assert caught.value.fix.startswith("it had no try: pool_missing: there is no pool 'small'. `orchestrator runs")
    with pytest.raises(NotFoundError) as caught:
        queries.attempt(task(RUN, "c").key, None)
    assert caught.value.fix.startswith("`orchestrator runs show")


def test_a_log_that_cannot_be_followed_to_its_end_is_no_success(
    queries: Queries, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    @contextmanager
    def opened() -> Iterator[Queries]:
        yield queries

    monkeypatch.setattr(tasks, "open_app", lambda: SimpleNamespace(queries=opened, socket=tmp_path / "socket"))
    monkeypatch.setattr(tasks, "Following", Going)
    said = CliRunner().invoke(tasks.tasks, ["logs", RUN.key.dag_id, "a", RUN.key.run_id, "--follow"])
    assert said.exit_code == 1
    assert "the scheduler went away" in said.output


@pytest.mark.parametrize("active", [True, False])
def test_a_dag_that_is_no_longer_there_uses_nothing(store: SqlStore, queries: Queries, *, active: bool) -> None:
    spec = replace(version().spec, tasks=(TaskSpec(task_id="a", container=ContainerTemplate(image="base")),))
    made = DagVersion(dag_id=spec.dag_id, version=version_of(spec), spec=spec, created_at=NOW)
    dag = Dag(dag_id=spec.dag_id, version=made.version, file=spec.file, paused=False, active=active, since=NOW)
    write(store, PutVersion(version=made), PutDag(dag=dag))

    @contextmanager
    def opened() -> Iterator[Queries]:
        yield queries

    (pool,) = queries.pools(8)
    assert pool.used_by == ((spec.dag_id,) if active else ())
    project = SimpleNamespace(settings=SimpleNamespace(default_image="x"))
    database, clock = SimpleNamespace(exists=lambda: True), SimpleNamespace(now=lambda: NOW)
    app = SimpleNamespace(project=project, database=database, queries=opened, clock=clock)
    users = images._users(app)  # type: ignore[arg-type]  # what it needs of an app
    assert users == ({"base": [spec.dag_id]} if active else {})
