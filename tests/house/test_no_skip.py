import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

SKIPPING = """
import pytest

def test_skips_itself():
    pytest.skip("no moon tonight")

@pytest.mark.skip(reason="marked")
def test_is_marked():
    pass

@pytest.mark.xfail(reason="known", strict=True)
def test_is_expected_to_fail():
    assert False

def test_passes():
    pass
"""


def run(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(TESTS), **variables}
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no_skip", "-p", "no:randomly", str(folder)]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("strict", [False, True])
def test_a_skip_fails_only_where_nothing_may_be_skipped(tmp_path: Path, *, strict: bool) -> None:
    (tmp_path / "test_skipping.py").write_text(SKIPPING)
    done = run(tmp_path, ORCHESTRATOR_TESTS_NO_SKIP="1" if strict else "")
    if strict:
        assert "1 failed, 1 passed, 1 xfailed, 1 error" in done.stdout
        assert "this was skipped: Skipped: no moon tonight" in done.stdout
    else:
        assert "1 passed, 2 skipped, 1 xfailed" in done.stdout
    assert (done.returncode == 0) is not strict


def test_a_module_that_skips_itself_fails_too(tmp_path: Path) -> None:
    (tmp_path / "test_module.py").write_text("import pytest\npytest.importorskip('never_installed')\n")
    done = run(tmp_path, ORCHESTRATOR_TESTS_NO_SKIP="1")
    assert "this was skipped: Skipped: could not import 'never_installed'" in done.stdout
    assert done.returncode != 0
