"""The planner on PostgreSQL: after every turn of a wild history, what the store loads is the world in memory."""

from collections.abc import Iterator

import pytest
from test_on_the_store import live_wildly

from orchestrator.store import SqlStore
from orchestrator.store.postgresql import PostgresDatabase


@pytest.fixture
def store(postgres_database: PostgresDatabase) -> Iterator[SqlStore]:
    opened = SqlStore.open(postgres_database)
    yield opened
    opened.close()


@pytest.mark.parametrize("seed", range(2))
def test_the_store_takes_whatever_happens(store: SqlStore, seed: int) -> None:
    live_wildly(store, seed)
