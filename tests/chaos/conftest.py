"""Stages for the chaos tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from own_engine import OwnEngine
from stage import Stage

from orchestrator.engines.docker.address import Address


@pytest.fixture
def interrupted(tmp_path: Path, engine_address: Address, base_image: str) -> Iterator[Stage]:
    """A project whose DAG is there to be interrupted."""
    with Stage(tmp_path, "chaos", "interrupted.py", engine_address, base_image) as stage:
        yield stage


@pytest.fixture
def chain(tmp_path: Path, engine_address: Address, base_image: str) -> Iterator[Stage]:
    """A project with six tasks in a row."""
    with Stage(tmp_path, "chain", "chain.py", engine_address, base_image) as stage:
        yield stage


@pytest.fixture(scope="session")
def own_engine(engine_address: Address, base_image: str) -> Iterator[OwnEngine]:
    """An engine that may be stopped and killed. It has the base image, and runs."""
    with OwnEngine() as engine:
        engine.start()
        engine.take_image(base_image, engine_address)
        yield engine
