"""`dags check` as an editor, a pre-commit hook or a CI server calls it, and `policy check`."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from cli_project import REPOSITORY, CliProject

from orchestrator.cli.reports import github, junit
from orchestrator.spec.dag import Problem, Severity

#: Nobody answers there: checking needs no engine.
NOWHERE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
BROKEN = "from orchestrator import DAG\n\nDAG('d', tag=1)\n"
DOUBTFUL = """
from orchestrator import DAG, DockerOperator
with DAG("doubtful"):
    DockerOperator(task_id="a", command="true", pid_mode="host")
"""
ERROR = Problem(file="dags/a,b.py", line=3, rule="syntax", text="50% of it\nis wrong\x00", fix="correct it")
WARNING = Problem(file="dags/c.py", rule="image_tag", text="moves", severity=Severity.WARNING)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> CliProject:
    project = CliProject(tmp_path_factory.mktemp("checked"), NOWHERE)
    project.write("hello.py", (REPOSITORY / "dags" / "hello.py").read_text())
    project.write("broken.py", BROKEN)
    (project.folder / "dags" / ".orchestratorignore").write_text("ignored.py\n")
    project.write("ignored.py", BROKEN)
    (project.folder / "elsewhere.py").touch()
    return project


def read(report: str) -> ET.Element:
    return ET.fromstring(report)  # noqa: S314 - our own words


def test_problems_stand_at_paths_that_an_editor_opens(project: CliProject) -> None:
    assert project.run("dags", "check").stdout.startswith("dags/broken.py:3: error: unknown_argument: ")


def test_several_files_are_checked_and_those_that_are_no_dag_files_passed_over(project: CliProject) -> None:
    said = project.run("dags", "check", "dags/hello.py", "dags/ignored.py", "dags/hello.py")
    assert (said.code, said.stdout) == (0, "")
    assert said.stderr == "1 files, 1 DAGs, 0 errors, 0 warnings\n"
    assert "2 files, 1 DAGs, 1 errors" in project.run("dags", "check", "dags/hello.py", "dags/broken.py").stderr


@pytest.mark.parametrize("path", ["dags/nowhere.py", "elsewhere.py"])
def test_what_is_no_file_of_the_folder_is_told(project: CliProject, path: str) -> None:
    said = project.run("dags", "check", "dags/hello.py", path)
    assert said.code == 1
    assert f"no DAG file '{path}'" in said.stderr


def test_a_ci_server_reads_its_own_format(project: CliProject) -> None:
    annotated = project.run("dags", "check", "--format", "github")
    assert annotated.code == 1
    assert annotated.stdout.startswith("::error file=dags/broken.py,line=3,title=unknown_argument::")
    said = project.run("dags", "check", "--format", "junit")
    assert said.code == 1
    cases = {case.get("name"): [each.tag for each in case] for case in read(said.stdout)}
    assert cases == {"dags/broken.py": ["failure"], "dags/hello.py": []}


def test_an_annotation_keeps_its_text_on_one_line() -> None:
    told = github(ERROR)
    assert told == ("::error file=dags/a%2Cb.py,line=3,title=syntax::50%25 of it%0Ais wrong\x00 (fix: correct it)")
    assert github(WARNING) == "::warning file=dags/c.py,line=1,title=image_tag::moves"


def test_a_report_counts_files_and_holds_what_xml_can_say() -> None:
    suite = read(junit([ERROR, WARNING], [ERROR.file, WARNING.file, "dags/sound.py"]))
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    failure, output = suite.find(".//failure"), suite.find(".//system-out")
    assert failure is not None
    assert output is not None
    assert failure.get("type") == "syntax"
    assert failure.text == str(ERROR).replace("\x00", "\ufffd")
    assert output.text == str(WARNING)


def test_what_the_policy_does_not_allow_is_listed_with_the_line_that_would(tmp_path: Path) -> None:
    project = CliProject(tmp_path, NOWHERE)
    project.write("doubtful.py", DOUBTFUL)
    project.write("broken.py", BROKEN)
    said = project.run("policy", "check")
    (line,) = said.stdout.splitlines()
    assert (said.code, line.partition(": ")[0]) == (1, "dags/doubtful.py:4")
    assert "1 files are broken" in said.stderr
    checked = project.run("dags", "check", "dags/doubtful.py")
    assert (checked.code, checked.stdout.splitlines()) == (1, [line])
    assert "DockerOperator 'a': pid_mode: 'host' is not allowed" in project.run("dags", "test", "doubtful").stderr
    project.home.mkdir(exist_ok=True)
    (project.home / "policy.toml").write_text(line.rpartition("policy.toml: ")[2].removesuffix(")") + "\n")
    assert project.run("policy", "check").code == 0
    assert project.run("dags", "check", "dags/doubtful.py").code == 0
