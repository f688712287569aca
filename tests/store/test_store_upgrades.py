"""A database of the first release, upgraded: everything in it is still there, and can be read."""

from pathlib import Path

import pytest
from alembic import command
from msgspec import UNSET
from sqlalchemy import create_engine

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.rows import TryOutcome
from orchestrator.planning.world import World
from orchestrator.states import RunState, TaskState
from orchestrator.store import SqlStore, upgrade
from orchestrator.store.migrate import configuration

ROWS = Path(__file__).with_name("first_release.sql").read_text()


@pytest.fixture
def upgraded(tmp_path: Path) -> SqlStore:
    database = tmp_path / "home" / "orchestrator.db"
    database.parent.mkdir()
    old = create_engine(f"sqlite:///{database}")
    with old.begin() as connection:
        command.upgrade(configuration(connection), "0001")
        for row in ROWS.split(";\n"):
            connection.exec_driver_sql(row)
    old.dispose()
    assert upgrade(database)
    return SqlStore.open(database)


def test_a_database_of_the_first_release_keeps_all_that_is_in_it(upgraded: SqlStore) -> None:
    run = upgraded.run(RunKey("d", "scheduled__1"))
    assert run is not None
    assert run.state is RunState.RUNNING
    (task,) = upgraded.tasks(run.key)
    assert (task.state, task.tries, task.failures) == (TaskState.RUNNING, 2, 1)
    first, second = upgraded.tries(TaskKey("d", "scheduled__1", "a"))
    assert (first.outcome, second.outcome) == (TryOutcome.FAILED, None)
    spec = upgraded.version("d", run.version)
    assert spec is not None
    assert {name: param.default for name, param in spec.params.items()} == {"top": 5, "deep": {"default": [1]}}
    assert spec.tasks[0].params["x"].default is None
    assert all(param.default is not UNSET for param in spec.params.values())
    upgraded.close()


def test_a_scheduler_goes_on_with_it(upgraded: SqlStore) -> None:
    world = World.of(upgraded.load())
    assert [attempt.try_id for attempt in world.open_tries()] == ["two"]
    assert world.pools["db"].slots == 3
    assert not world.dags["d"].held
    upgraded.close()
