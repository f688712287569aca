"""Messages that a new user stumbled over: each says what is wrong, where, and leads out."""

from pathlib import Path

import pytest
from cli_project import CliProject

SOUND = """
from orchestrator import DAG, DockerOperator
with DAG("{dag_id}"):
    DockerOperator(task_id="a", command="true")
"""


@pytest.fixture
def project(tmp_path: Path) -> CliProject:
    return CliProject(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SCHEDULING__PARALLELISM", "0"),
        ("SCHEDULING__DEFAULT_POOL_SLOTS", "-1"),
        ("DAGS__PARSE_TIMEOUT", "0"),
        ("ENGINE__LAUNCHERS", "-2"),
    ],
)
def test_a_number_with_which_nothing_would_ever_run_is_refused(project: CliProject, name: str, value: str) -> None:
    said = project.run("config", "list", environment={f"ORCHESTRATOR__{name}": value})
    assert said.code == 1
    assert name.lower().partition("__")[2] in said.stderr


def test_each_data_root_is_a_setting_with_its_source(project: CliProject) -> None:
    project.home.mkdir()
    (project.home / "orchestrator.toml").write_text('[roots]\nflights = "/srv/flights"\n')
    said = project.run("config", "list", environment={"ORCHESTRATOR__ROOTS__MAPS": "/srv/maps"})
    rows = [line.split() for line in said.stdout.splitlines() if line.startswith("roots.")]
    assert rows == [["roots.flights", "/srv/flights", "file"], ["roots.maps", "/srv/maps", "environment"]]


@pytest.mark.parametrize(
    ("file", "variable"),
    [
        ('[roots.paths]\nflights = "/srv"\n', {}),
        ('[roots]\nflights = "relative"\n', {}),
        ("", {"ORCHESTRATOR__ROOTS__PATHS__FLIGHTS": "/srv"}),
    ],
)
def test_a_data_root_in_another_form_says_how_one_is_written(
    project: CliProject, file: str, variable: dict[str, str]
) -> None:
    project.home.mkdir()
    (project.home / "orchestrator.toml").write_text(file)
    said = project.run("config", "list", environment=variable)
    assert said.code == 1
    assert 'NAME = "/path" below [roots], or ORCHESTRATOR__ROOTS__NAME=/path' in said.stderr


def test_an_unknown_setting_says_where_it_stands(project: CliProject) -> None:
    said = project.run("config", "list", environment={"ORCHESTRATOR__SCHEDULING__PARALELISM": "3"})
    assert said.code == 1
    assert "did you mean scheduling.parallelism?" in said.stderr
    assert "ORCHESTRATOR__SCHEDULING__PARALELISM" in said.stderr


def test_a_test_of_an_id_that_stands_in_two_files_names_both(project: CliProject) -> None:
    project.write("one.py", SOUND.format(dag_id="twin"))
    project.write("two.py", SOUND.format(dag_id="twin"))
    said = project.run("tasks", "render", "twin", "a")
    assert said.code == 1
    assert "one.py and in two.py" in said.stderr


def test_runs_of_an_unknown_dag_are_not_an_empty_list(project: CliProject) -> None:
    project.ok("db", "upgrade")
    said = project.run("runs", "list", "nowhere")
    assert said.code == 1
    assert "no DAG 'nowhere'" in said.stderr
    assert project.ok("runs", "list").code == 0
