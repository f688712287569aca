"""Faces on another machine than the leader's: they have nothing but the database."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from scheduler_stage import Stage, staged

from orchestrator import actions
from orchestrator.actions import Actions
from orchestrator.clock import SystemClock
from orchestrator.errors import RequestRefusedError
from orchestrator.scheduler import loop
from orchestrator.store import SqlStore
from orchestrator.store.postgresql import PostgresDatabase


@pytest.fixture
def stage(tmp_path: Path, postgres_database: PostgresDatabase) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        made.store.close()
        made.store = SqlStore.open(postgres_database)
        yield made


@pytest.fixture
def leading(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Somebody leads who never looks for requests unless called."""
    monkeypatch.setattr(loop, "_LOOK", 3600.0)
    monkeypatch.setattr(actions, "ANSWER_SECONDS", 60.0)
    stage.begin()
    stage.store.renew(stage.store.epoch(), timedelta(hours=1))
    stage.store.listen(stage.scheduler.wake)
    return stage


@pytest.fixture
def far(postgres_database: PostgresDatabase, tmp_path: Path) -> Iterator[Actions]:
    with closing(SqlStore.open(postgres_database)) as store:
        yield Actions(store, tmp_path / "no socket here", SystemClock(), "ann")


def test_the_leader_is_called_and_its_answer_waited_for(leading: Stage, far: Actions) -> None:
    for slots in (1, 2):
        answer = far.set_pool("small", slots).answer
        assert answer is not None
        assert answer.ok
        assert [pool.slots for pool in leading.store.pools()] == [slots]


def test_a_refusal_is_told_as_well(leading: Stage, far: Actions) -> None:
    with pytest.raises(RequestRefusedError, match="nosuch"):
        far.drop_pool("nosuch")


def test_nobody_is_waited_for_where_nobody_leads(stage: Stage, far: Actions) -> None:
    assert far.set_pool("small", 1).answer is None
