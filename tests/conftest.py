"""Fixtures that many tests share."""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from machine import Leftovers, need_base_image, need_engine
from no_skip import pytest_make_collect_report as pytest_make_collect_report
from no_skip import pytest_runtest_makereport as pytest_runtest_makereport
from postgres_server import empty_postgres as empty_postgres
from postgres_server import postgres_database as postgres_database
from postgres_server import postgres_server as postgres_server

from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.ids import DeploymentId, new_deployment_id

#: How long one example takes says more about what else the machine does than about us.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long versions of bounded tests run only where they are asked for: `-m long`."""
    if "long" in config.getoption("markexpr"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session")
def engine_address() -> Address:
    """Where a real engine answers; the test is skipped where none does."""
    return need_engine()


@pytest.fixture(scope="session")
def base_image(engine_address: Address) -> str:
    """A local image with `sh` and `python`."""
    return need_base_image(engine_address)


@pytest.fixture
def engine_deployment(engine_address: Address) -> Iterator[DeploymentId]:
    """A deployment of this test's own; afterwards nothing of it may be left on the engine."""
    deployment = new_deployment_id()
    leftovers = Leftovers(engine_address, deployment)
    yield deployment
    left = leftovers.clear()
    leftovers.close()
    assert left == [], "the test left something on the engine"


@pytest.fixture
def docker_engine(engine_address: Address) -> Iterator[DockerEngine]:
    engine = DockerEngine(lambda: engine_address, SystemClock())
    yield engine
    engine.close()
