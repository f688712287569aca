"""The stores that the contract is checked over."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from store_rows import NOW

from orchestrator.ids import DeploymentId, Epoch
from orchestrator.ports import Store
from orchestrator.store import SqlStore, upgrade


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        opened = SqlStore.in_memory(DeploymentId("0123abcd"))
    else:
        database = tmp_path / "home #1 100%?" / "orchestrator.db"
        upgrade(database)
        opened = SqlStore.open(database)
    yield opened
    opened.close()


@pytest.fixture
def epoch(store: Store) -> Epoch:
    return store.take_lead("test", NOW)
