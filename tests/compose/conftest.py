"""One deployment for all tests, once the example has run in it: each leaves it up."""

from collections.abc import Iterator, Mapping

import pytest
from deployment import Deployment
from machine import need_compose


@pytest.fixture(scope="session")
def compose_variables(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """With which `docker compose` works on this machine."""
    return need_compose(tmp_path_factory.mktemp("docker"))


@pytest.fixture(scope="session")
def deployed(
    base_image: str, compose_variables: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path_factory.mktemp("deployed") / "clone", base_image, compose_variables)
    try:
        deployment.compose("build")
        with deployment.starts("nyc_flights") as starts:  # by then the DAG files have been read
            deployment.up()
            next(starts)
        deployment.orchestrator("runs", "watch", "nyc_flights")
        yield deployment
    finally:
        left = deployment.end()
    assert left == []
