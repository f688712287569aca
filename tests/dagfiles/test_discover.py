from pathlib import Path

import pytest

from orchestrator.dagfiles.discover import IGNORE_FILES, dag_files


def tree(root: Path, *files: str) -> Path:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return root


def test_every_python_file_that_is_not_hidden_is_a_dag_file(tmp_path: Path) -> None:
    tree(tmp_path, "b.py", "a/x.py", "a/c/y.py", "a.txt", ".h.py", ".git/z.py", "__pycache__/q.py", "a/README.md")
    assert dag_files(tmp_path) == ("a/c/y.py", "a/x.py", "b.py")


@pytest.mark.parametrize("name", IGNORE_FILES)
def test_ignore_files_are_read_as_gits(tmp_path: Path, name: str) -> None:
    tree(tmp_path, "a.py", "old/b.py", "old/c.py", "lib/d.py", "lib/e.py", "deep/test_x.py", "deep/y.py")
    (tmp_path / name).write_text("# not these\nold/\ntest_*.py\n")
    (tmp_path / "lib" / name).write_text("*\n!e.py\n")
    assert dag_files(tmp_path) == ("a.py", "deep/y.py", "lib/e.py")


def test_a_nearer_ignore_file_has_the_last_word(tmp_path: Path) -> None:
    tree(tmp_path, "a.py", "lib/b.py")
    (tmp_path / ".airflowignore").write_text("*.py\n")
    (tmp_path / "lib" / ".orchestratorignore").write_text("!b.py\n")
    assert dag_files(tmp_path) == ("lib/b.py",)


def test_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    tree(tmp_path / "checkout", "a.py")
    tree(dags, "b.py")
    (dags / "current").symlink_to(tmp_path / "checkout")
    (tmp_path / "checkout" / "again").symlink_to(tmp_path / "checkout")
    assert dag_files(dags) == ("b.py", "current/a.py")


def test_a_folder_that_is_not_there_has_no_files(tmp_path: Path) -> None:
    assert dag_files(tmp_path / "nowhere") == ()
