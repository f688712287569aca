"""Fixtures of the examples' tests: one scheduler and one set of services for all of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_project import LONG, CliProject
from examples_project import DAGS, Examples
from machine import Leftovers
from services import Services

from orchestrator.engines.docker.address import Address
from orchestrator.ids import DeploymentId

IMAGES = ("example-api", "example-db", "http-fetch", "sql")


@pytest.fixture(scope="session")
def built(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[CliProject, dict[str, str]]:
    """A copy of the examples, and the tags of the images that they and their services need."""
    project = CliProject.copied_examples(tmp_path_factory.mktemp("examples") / "project")
    told = project.json("images", "build", *IMAGES, limit=LONG)
    return project, {image["name"]: image["tag"] for image in told}


@pytest.fixture(scope="session")
def examples(built: tuple[CliProject, dict[str, str]], engine_address: Address) -> Iterator[Examples]:
    """The examples, up, with all they need; afterwards nothing of them is left on the engine."""
    project, tags = built
    with Services.running(tags) as services:
        project.environment["ORCHESTRATOR__ENGINE__NETWORK"] = services.network
        for name, address in services.connections.items():
            give(project.home / "secrets" / f"conn_{name}", address)
        try:
            with project.start("up") as up:
                up.wait_line("scheduler.running")
                project.wait_dags(DAGS)
                yield Examples(project, services, up)
                project.wait_collected()
        finally:
            left = clear(project, engine_address)
    assert [each for each in left if not each.startswith("volume")] == []


def give(secret: Path, text: str) -> None:
    secret.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret.write_text(text)
    secret.chmod(0o600)


def clear(project: CliProject, address: Address) -> list[str]:
    """What of this deployment was left: volumes of runs, which stay for a while."""
    leftovers = Leftovers(address, DeploymentId((project.home / "deployment").read_text().strip()))
    try:
        return leftovers.clear()
    finally:
        leftovers.close()
