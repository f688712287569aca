"""Fixtures of tests of engines."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from argument_bench import ArgumentBench

from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.ids import DeploymentId


@pytest.fixture
def argument_bench(
    docker_engine: DockerEngine,
    engine_address: Address,
    engine_deployment: DeploymentId,
    base_image: str,
    tmp_path: Path,
) -> Iterator[ArgumentBench]:
    """From arguments as written to containers on a real engine; its project folder is the test's own."""
    bench = ArgumentBench(docker_engine, engine_address, engine_deployment, base_image, tmp_path)
    yield bench
    bench.close()
