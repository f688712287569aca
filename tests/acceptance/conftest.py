"""Fixtures of the acceptance tests."""

from collections.abc import Iterator

import docker
import pytest
from reference_container import ReferenceContainer


@pytest.fixture(scope="session")
def expected(base_image: str) -> Iterator[ReferenceContainer]:
    """`expected("2013-01-01")` is what `nyc_flights` must come to on that day."""
    client = docker.from_env()
    yield ReferenceContainer(client, base_image)
    client.close()
