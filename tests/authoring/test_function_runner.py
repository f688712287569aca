"""What a container runs of a Python task, run here: the same files, the same command, another folder."""

import ast
import json
import os
import subprocess
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.spec import function_runner
from orchestrator.spec.functions import FILLED_NAMES, SKIPPED, Call, Function, command, files

SOURCE = '''    def work(x, **context):
        """Indented, as a function inside another."""
        {body}
'''
texts = st.text(st.characters(codec="utf-8"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


class Ran:
    environment: ClassVar[dict[str, str]] = {}

    def __init__(self, folder: Path, body: str, x: Any = None, not_ready: int | None = None, **filled: Any) -> None:
        call = Call(args=[x], kwargs=filled)
        function = Function(
            name="work",
            source=SOURCE.format(body=body),
            file="dags/a.py",
            line=12,
            filled=tuple(filled),
            not_ready_exit_code=not_ready,
        )
        for file in files(function, call, folder=str(folder), volume="/"):
            Path(file.path).write_bytes(file.data or b"")
        result = folder / "result"
        result.unlink(missing_ok=True)
        done = subprocess.run(
            command(str(folder)),
            env={"PATH": os.environ["PATH"], "ORCHESTRATOR_RESULT": str(result), **self.environment},
            cwd=folder.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        self.result = json.loads(result.read_text()) if result.exists() else "nothing"


def test_it_is_read_by_the_oldest_python_that_is_promised() -> None:
    ast.parse(Path(function_runner.__file__).read_text(), feature_version=(3, 8))


def test_its_names_are_names_of_the_context() -> None:
    assert set(function_runner.DATES) | set(function_runner.OBJECTS) < set(FILLED_NAMES)


def test_a_function_is_called_and_its_result_written(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "print('counting'); return {'twice': x * 2, 'none': None}", 4)
    assert (ran.code, ran.out, ran.err, ran.result) == (0, "counting\n", "", {"twice": 8, "none": None})


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values)
def test_any_argument_arrives_and_any_result_leaves_as_it_is(tmp_path: Path, value: Any) -> None:
    assert Ran(tmp_path, "return x", value).result == value


def test_nothing_returned_is_null_and_not_the_last_line(tmp_path: Path) -> None:
    assert Ran(tmp_path, "print('done')").result is None


def test_dates_of_the_context_are_dates_and_facades_have_attributes(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        "d, r = context['logical_date'], context['dag_run'];"
        " return [d.year, str(d.utcoffset()), r.conf, r.start_date, r.logical_date.month,"
        " context['prev_start_date_success'], context['params']]",
        logical_date="2013-01-31T00:00:00+01:00",
        dag_run={"conf": {"a": 1}, "start_date": None, "logical_date": "2013-01-31T00:00:00+01:00"},
        prev_start_date_success=None,
        params={"top": 5},
    )
    assert ran.result == [2013, "1:00:00", {"a": 1}, None, 1, None, {"top": 5}]


def test_an_error_is_shown_where_it_stands_in_the_project(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "return {}[x]", "city")
    assert (ran.code, ran.result) == (1, "nothing")
    assert ran.err.splitlines()[:3] == [
        "Traceback (most recent call last):",
        '  File "dags/a.py", line 14, in work',
        "    return {}[x]",
    ]
    assert ran.err.rstrip().endswith("KeyError: 'city'")
    assert "run.py" not in ran.err


@pytest.mark.parametrize("returned", ["{1, 2}", "float('nan')", "b'x'", "{(1, 2): 3}"])
def test_a_result_that_json_cannot_say_fails_and_says_so(tmp_path: Path, returned: str) -> None:
    ran = Ran(tmp_path, f"return {returned}")
    assert (ran.code, ran.result) == (1, "nothing")
    assert ran.err.startswith("orchestrator: work() returned what JSON cannot say:")


def test_a_function_may_choose_how_it_ends(tmp_path: Path) -> None:
    assert Ran(tmp_path, f"raise SystemExit({SKIPPED})").code == SKIPPED


def test_a_false_result_may_mean_not_ready(tmp_path: Path) -> None:
    assert (Ran(tmp_path, "return x", 0, not_ready=75).code, Ran(tmp_path, "return x", 1, not_ready=75).code) == (
        75,
        0,
    )


def test_imports_are_found_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "beside.py").write_text("NAME = 'beside'")
    assert Ran(tmp_path / "there", "import beside; return beside.NAME").result == "beside"


def test_an_image_may_keep_python_from_the_working_directory_and_have_modules_elsewhere(tmp_path: Path) -> None:
    class RanSafely(Ran):
        environment: ClassVar = {"PYTHONSAFEPATH": "1", "PYTHONPATH": str(tmp_path / "modules")}

    for folder in ("there", "modules"):
        (tmp_path / folder).mkdir()
    (tmp_path / "modules" / "beside.py").write_text("NAME = 'a module of the image'")
    (tmp_path / "beside.py").write_text("NAME = 'a file where it works'")
    ran = RanSafely(tmp_path / "there", "import beside; return beside.NAME")
    assert ran.result == "a module of the image", ran.err
