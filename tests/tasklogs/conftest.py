"""Fixtures of the tests of log files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from log_bench import Fresh

from orchestrator.tasklogs.store import FileLogStore


@pytest.fixture
def store(tmp_path: Path) -> FileLogStore:
    return FileLogStore(tmp_path)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> "Fresh":
    return Fresh(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="module", autouse=True)
def synced() -> Iterator[list[int]]:
    """Inodes that were synced, only noted: a busy disk takes its time for the real thing."""
    inodes: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda fd: inodes.append(os.fstat(fd).st_ino))
        yield inodes
