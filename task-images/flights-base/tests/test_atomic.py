import os
from pathlib import Path

import atomic
import pytest


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    atomic.write(tmp_path / "a" / "b.csv", "x\né\n")
    assert (tmp_path / "a" / "b.csv").read_bytes() == b"x\n\xc3\xa9\n"


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    atomic.write(tmp_path / "b.csv", "old")
    atomic.write(tmp_path / "b.csv", b"new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("b.csv", "new")]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    atomic.write(tmp_path / "b.csv", "old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        atomic.write(tmp_path / "b.csv", "new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("b.csv", "old")]
