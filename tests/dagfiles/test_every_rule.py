"""Every rule of `dags check` has files that break it and files that do not, through the command as a user calls it.

`rules/NAME.txt` holds those of one rule, each after a line `---- breaks` or `---- sound`. `# !` ends the line to be
told; `ID` stands for the DAG's id, which is the file's name; `HEAD` comes first."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from cli_project import REPOSITORY, CliProject

from orchestrator.authoring.faults import Rule as Written
from orchestrator.dagfiles.checks.book import BOOK, renewed
from orchestrator.spec.dag import Severity

HEAD = """\
from datetime import UTC, datetime, timedelta
from orchestrator import DAG, ApprovalOperator, Asset, BranchDockerOperator, DockerOperator, EmptyOperator
from orchestrator import ExternalTaskSensor, Mount, Param, Secret, TaskGroup, TemplateFile, TriggerDagRunOperator
from orchestrator import task
"""
#: What others refer to.
BESIDE = """
with DAG("other"):
    with TaskGroup("g"):
        EmptyOperator(task_id="a")
    DockerOperator(task_id="b", image="tool:1", outlets=[Asset("rates")])
"""
#: No engine is asked, and what takes for ever does not take long.
SETTINGS = {
    "DOCKER_HOST": "unix:///nowhere/docker.sock",
    "SHOWN": "x",
    "ORCHESTRATOR__ENGINES__ALIASES": "tcp://proxy:2375,gpu",
    "ORCHESTRATOR__DAGS__PARSE_ENV": "SHOWN",
    "ORCHESTRATOR__DAGS__PARSE_TIMEOUT": "4",
    "ORCHESTRATOR__DAGS__PARSE_MEMORY": "300",
}
POLICY = 'images = ["tool*", "host:5000/*", "made"]\n'
#: What no file of a folder can break by what stands in it: `test_parse` has one that is gone.
NOT_IN_FILES = {"unreadable"}


class Case(NamedTuple):
    """A file: the rule it is about, whether it breaks it, its name without `.py`, and its text."""

    rule: str
    breaks: bool
    name: str
    text: str


def _cases() -> Iterator[Case]:
    for path in sorted((Path(__file__).parent / "rules").glob("*.txt")):
        _, *parts = path.read_text().split("---- ")
        for number, part in enumerate(parts):
            kind, _, text = part.partition("\n")
            name = f"{path.stem}_{number}"
            yield Case(path.stem, {"breaks": True, "sound": False}[kind], name, HEAD + text.replace("ID", name))


CASES = tuple(_cases())
Findings = Mapping[str, list[dict[str, Any]]]


def checked(folder: Path, *cases: Case) -> tuple[Findings, str]:
    """What the command finds in each of these files, and what it says of all."""
    project = CliProject(folder, SETTINGS)
    if any(case.rule == "unknown_pool" for case in cases):
        project.ok("db", "upgrade")
    project.write("a.sql", "select 1")
    (project.folder / "task-images" / "made").mkdir(parents=True)
    (project.folder / "task-images" / "made" / "Dockerfile").write_text("FROM tool:1\n")
    project.home.mkdir(exist_ok=True)
    (project.home / "policy.toml").write_text(POLICY)
    project.write("beside.py", HEAD + BESIDE)
    for case in cases:
        project.write(f"{case.name}.py", case.text)
    said = project.run("dags", "check", "--output", "json")
    found: dict[str, list[dict[str, Any]]] = {}
    for each in msgspec.json.decode(said.stdout):
        found.setdefault(Path(each["file"]).stem, []).append(each)
    return found, said.stderr


def severity(case: Case) -> Severity:
    return BOOK[case.rule].severity


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """In the files that break rules; errors and warnings apart, for what a broken file would have is not known."""
    both: dict[str, list[dict[str, Any]]] = {}
    for kind in Severity:
        these = (case for case in CASES if case.breaks and severity(case) is kind)
        both |= checked(tmp_path_factory.mktemp(kind), *these)[0]
    return both


@pytest.mark.parametrize("case", [case for case in CASES if case.breaks], ids=lambda case: case.name)
def test_a_file_that_breaks_a_rule_is_told_with_line_and_fix(case: Case, found: Findings) -> None:
    (problem,) = found.get(case.name, [{}])
    assert problem.get("rule") == case.rule, problem
    told = [number for number, line in enumerate(case.text.splitlines(), 1) if line.endswith("# !")]
    assert [problem.get("line")] == (told or [None])
    assert problem.get("severity", "error") == severity(case)
    assert problem["text"]
    assert problem["fix"]
    assert "\n" not in problem["fix"]
    if "task_id" in problem:
        assert problem["dag_id"] == case.name
        assert problem["task_id"] in ("t", "count", "a b")  # the last is the id that cannot be


def test_files_that_break_no_rule_are_left_in_peace(tmp_path: Path) -> None:
    told, said = checked(tmp_path, *(case for case in CASES if not case.breaks))
    assert told == {}
    assert "0 errors, 0 warnings" in said


def test_of_the_projects_own_dags_only_the_mistake_that_one_shows_is_told(tmp_path: Path) -> None:
    for name in ("dags", "task-images"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    said = CliProject(tmp_path, SETTINGS).run("dags", "check", "--output", "json")
    found = {(problem["dag_id"], problem["rule"]) for problem in msgspec.json.decode(said.stdout)}
    assert found <= {("umbrella_skipped", "join_below_branch")}
    assert " 0 errors" in said.stderr


def test_every_rule_has_files_of_both_kinds() -> None:
    broken, sound = ({case.rule for case in CASES if case.breaks is breaks} for breaks in (True, False))
    assert broken == sound == BOOK.keys() - NOT_IN_FILES


def test_every_rule_of_what_is_written_is_in_the_book() -> None:
    assert {rule.value for rule in Written} <= BOOK.keys()


def test_the_table_of_rules_is_what_the_book_says() -> None:
    text = (REPOSITORY / "dags" / "README.md").read_text()
    assert renewed(text) == text, "python -m orchestrator.dagfiles.checks.book dags/README.md"
