"""The example DAGs as files: what is said of them, and what `dags check` says."""

import re
import runpy
from pathlib import Path

import docker
import pytest
from cli_project import CliProject
from examples_project import DAGS

from orchestrator import DAG
from orchestrator.authoring.dag import collecting
from orchestrator.authoring.serialize import to_spec

EXAMPLES = Path(__file__).parents[2] / "dags" / "examples"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> CliProject:
    return CliProject.copied_examples(tmp_path_factory.mktemp("written") / "project")


def test_the_only_thing_to_be_said_against_them_is_the_mistake_that_one_shows(project: CliProject) -> None:
    said = project.ok("dags", "check")
    (warning, summary) = (said.stdout + said.stderr).splitlines()
    assert "umbrella.py" in warning
    assert "join_below_branch" in warning
    assert summary.endswith(f"{len(DAGS)} DAGs, 0 errors, 1 warnings")


def test_all_are_paused_until_somebody_wants_them() -> None:
    dags = [to_spec(dag, file.name) for file in EXAMPLES.glob("*.py") for dag in constructed(file)]
    assert sorted(dag.dag_id for dag in dags) == sorted(DAGS)
    assert [dag.dag_id for dag in dags if dag.paused_on_creation is not True] == []


def test_they_import_what_every_dag_file_may() -> None:
    lines = [line for file in EXAMPLES.glob("*.py") for line in file.read_text().splitlines()]
    imports = {line.split()[1] for line in lines if line.startswith(("import ", "from "))}
    assert imports == {"datetime", "orchestrator", "pathlib", "yaml"}


@pytest.mark.engine
@pytest.mark.parametrize("name", ["example-api", "http-fetch", "sql"])
def test_what_their_images_do_is_tested_in_the_images(built: tuple[CliProject, dict[str, str]], name: str) -> None:
    command = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "/task/tests"]
    client = docker.from_env()
    try:
        told = client.containers.run(built[1][name], command, remove=True)
    finally:
        client.close()
    assert b" passed" in told


def constructed(file: Path) -> list[DAG]:
    with collecting(str(file)) as dags:
        runpy.run_path(str(file))
    return dags


def test_the_readme_tells_of_each_file() -> None:
    told = set(re.findall(r"\[`(\w+\.py)`\]\((\w+\.py)\)", (EXAMPLES / "README.md").read_text()))
    assert told == {(file.name, file.name) for file in EXAMPLES.glob("*.py")}
