"""`doctor --fix` on a terminal asks before it repairs, unless `--yes`; without a terminal it need not."""

import os
import pty
import subprocess
from pathlib import Path

import pytest
from cli_project import PATIENCE, CliProject, command

pytestmark = pytest.mark.engine


@pytest.fixture
def project(base_image: str, tmp_path: Path) -> CliProject:
    """A project that lacks its folders and its database, and nothing else."""
    return CliProject(tmp_path)


def on_a_terminal(project: CliProject, typed: str, *arguments: str) -> tuple[int, str]:
    """Exit code and stderr of a command whose stdin is a terminal in which all of that was typed."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, typed.encode())
        done = subprocess.run(
            command(*arguments), cwd=project.folder, env=project.environment, stdin=theirs, capture_output=True,
            text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    return done.returncode, done.stderr


def test_a_no_leaves_everything_as_it_is_and_fails(project: CliProject) -> None:
    code, said = on_a_terminal(project, "n\nn\nn\nn\n", "doctor", "--fix")
    assert code == 1
    assert "repair it? [Y/n]" in said
    assert "FAIL database" in said
    assert not (project.home / "orchestrator.db").exists()


def test_a_yes_repairs_and_succeeds(project: CliProject) -> None:
    code, said = on_a_terminal(project, "y\ny\ny\ny\n", "doctor", "--fix")
    assert (code, "repair it? [Y/n]" in said) == (0, True), said
    assert (project.home / "orchestrator.db").exists()
    assert project.run("doctor").code == 0


def test_with_yes_nothing_is_asked(project: CliProject) -> None:
    code, said = on_a_terminal(project, "n\nn\nn\nn\n", "doctor", "--fix", "--yes")
    assert (code, "repair it?" in said) == (0, False), said


def test_without_a_terminal_nothing_is_asked(project: CliProject) -> None:
    said = project.run("doctor", "--fix")
    assert (said.code, "repair it?" in said.stderr) == (0, False), said


def test_without_fix_nothing_is_touched(project: CliProject) -> None:
    said = project.run("doctor")
    assert said.code == 1
    assert "orchestrator db upgrade" in said.stderr
    assert not (project.home / "orchestrator.db").exists()
