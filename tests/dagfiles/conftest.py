from collections.abc import Iterator
from pathlib import Path

import pytest
from authoring_project import make_project

from orchestrator.clock import SystemClock
from orchestrator.dagfiles.client import AuthoringServer
from orchestrator.settings import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One for all tests of a module: each writes files with names of its own."""
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def authoring(project: Project) -> Iterator[AuthoringServer]:
    server = AuthoringServer(project, SystemClock())
    yield server
    server.close()


@pytest.fixture
def empty_project(tmp_path: Path) -> Project:
    return make_project(tmp_path)
