"""One deployment for all tests, once the example has run in it: each leaves it up."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from cli_project import LONG, CliProject
from deployment import Deployment
from machine import need_compose

POSTGRES = Path(__file__).parent / "postgres_image"


@pytest.fixture(scope="session")
def compose_variables(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """With which `docker compose` works on this machine."""
    return need_compose(tmp_path_factory.mktemp("docker"))


@pytest.fixture(scope="session")
def postgres_image(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What stands in for the official image: the examples' PostgreSQL, which is built once for all tests."""
    project = CliProject.copied_examples(tmp_path_factory.mktemp("postgres") / "project")
    (built,) = project.json("images", "build", "example-db", limit=LONG)
    told = ["docker", "build", "--quiet", "--build-arg", f"EXAMPLE_DB={built['tag']}", str(POSTGRES)]
    return subprocess.run(told, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="session")
def deployed(
    base_image: str,
    postgres_image: str,
    compose_variables: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployed") / "clone"
    deployment = Deployment(folder, base_image, postgres_image, compose_variables)
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
