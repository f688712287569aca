"""Fixtures of the acceptance tests. The example project is copied and its images are built once a session."""

from collections.abc import Iterator

import docker
import pytest
from cli_project import LONG, CliProject
from example_project import RunningProject, TestedDays
from reference_container import ReferenceContainer


@pytest.fixture(scope="session")
def expected(base_image: str) -> Iterator[ReferenceContainer]:
    """`expected("2013-01-01")` is what `nyc_flights` must come to on that day."""
    client = docker.from_env()
    yield ReferenceContainer(client, base_image)
    client.close()


@pytest.fixture(scope="session")
def tested_day(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> TestedDays:
    """A copy of the example project in which days are tested; it never has a database."""
    return TestedDays(CliProject.copied(tmp_path_factory.mktemp("tested") / "project"))


@pytest.fixture(scope="session")
def running(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    """The example project as `orchestrator up` has it when its first scheduled run has ended."""
    project = CliProject.copied(tmp_path_factory.mktemp("running") / "project")
    with project.start("up") as up:
        up.wait_line("scheduler.running")
        project.wait_run("nyc_flights", LONG)
        yield RunningProject(project, up)
