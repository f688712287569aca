"""The stores and engines that the contracts are checked over."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_lab import Lab, script
from store_rows import NOW

from orchestrator.clock import SystemClock
from orchestrator.ids import DeploymentId, Epoch, new_deployment_id
from orchestrator.ports import Store
from orchestrator.store import SqlStore, upgrade
from orchestrator.testing.fake_engine import FakeEngine


@pytest.fixture(params=["file", "memory", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        opened = SqlStore.in_memory(DeploymentId("0123abcd"))
    elif request.param == "postgresql":
        opened = SqlStore.open(request.getfixturevalue("postgres_database"))
    else:
        database = tmp_path / "home #1 100%?" / "orchestrator.db"
        upgrade(database)
        opened = SqlStore.open(database)
    yield opened
    opened.close()


@pytest.fixture
def epoch(store: Store) -> Epoch:
    return store.take_lead("test", NOW)


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.engine)])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    if request.param == "fake":
        fake = FakeEngine(SystemClock(), script, images=frozenset({"any"}), piece=5)
        lab = Lab(fake, new_deployment_id(), "any")
        yield lab
        lab.clear()
        assert fake.containers == ()
        fake.close()
    else:
        base_image = request.getfixturevalue("base_image")
        deployment = request.getfixturevalue("engine_deployment")
        lab = Lab(request.getfixturevalue("docker_engine"), deployment, base_image)
        yield lab
        lab.clear()
