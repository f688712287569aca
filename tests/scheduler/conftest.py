"""Fixtures of the scheduler's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from image_kinds import KINDS, ImageKind, Kinds, all_kinds
from scheduler_stage import Stage, staged

from orchestrator.engines.docker.address import Address
from orchestrator.testing.manual_clock import ManualClock


@pytest.fixture(scope="session", autouse=True)
def short_log() -> None:
    """Tracebacks as Python prints them: pretty ones take a second each."""
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Nobody runs on it yet."""
    with staged(tmp_path) as made:
        yield made


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def still_stage(tmp_path: Path, clock: ManualClock) -> Iterator[Stage]:
    """The same where time passes only when the test says so."""
    with staged(tmp_path, clock) as made:
        yield made


@pytest.fixture(scope="session")
def image_kinds(
    engine_address: Address, base_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kinds]:
    with all_kinds(engine_address, base_image, tmp_path_factory.mktemp("kinds")) as kinds:
        yield kinds


@pytest.fixture(params=KINDS)
def image_kind(request: pytest.FixtureRequest, image_kinds: Kinds) -> ImageKind:
    """Each kind of image in turn."""
    return image_kinds.kind(request.param)
