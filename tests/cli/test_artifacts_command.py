"""`orchestrator tasks artifacts`: what is kept of a run, one file of it, and what nothing keeps."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_project import CliProject

pytestmark = pytest.mark.engine

FLOW = """
from orchestrator import DAG, DockerOperator
with DAG("d", is_paused_upon_creation=False):
    DockerOperator(task_id="good", outputs=["/out/*", "/none"],
                   script="mkdir /out && printf 'a\\\\0b' > /out/raw && printf 1 > /out/one")
    DockerOperator(task_id="bad", script="printf 123 > /lost.csv; exit 1", keep_failed=True)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, base_image: str) -> Iterator[CliProject]:
    """A project whose run is over, and whose scheduler has gone."""
    made = CliProject(tmp_path_factory.mktemp("kept"), {"ORCHESTRATOR__TASKS__DEFAULT_IMAGE": base_image})
    made.write("d.py", FLOW)
    with made.start("up") as up:
        up.wait_line("scheduler.running")
        made.ok("dags", "trigger", "d")
        made.wait_run("d")
    yield made
    for name in made.containers():
        subprocess.run(["docker", "rm", "--force", "--volumes", name], check=True, capture_output=True)


def test_they_are_listed_with_what_was_not_found(project: CliProject) -> None:
    listed = project.json("tasks", "artifacts", "d", "good")
    assert [(each["path"], each["size"]) for each in listed] == [("/out/one", 1), ("/out/raw", 3)]
    assert "note: nothing was found at /none" in project.ok("tasks", "artifacts", "d", "good").stderr
    shown = project.json("tasks", "show", "d", "good")
    assert [each["path"] for each in shown["artifacts"]] == ["/out/one", "/out/raw"]
    assert "/out/raw" in project.ok("tasks", "show", "d", "good").stdout


def test_one_is_fetched_byte_for_byte(project: CliProject, tmp_path: Path) -> None:
    assert project.ok("tasks", "artifacts", "d", "good", "--get", "/out/raw").stdout == "a\0b"
    project.ok("tasks", "artifacts", "d", "good", "--get", "/out/raw", "-o", str(tmp_path / "raw"))
    assert (tmp_path / "raw").read_bytes() == b"a\0b"


def test_one_that_is_not_there_names_the_nearest(project: CliProject) -> None:
    said = project.run("tasks", "artifacts", "d", "good", "--get", "/out/row")
    assert said.code == 1
    assert "no artifact '/out/row'; did you mean '/out/raw'?" in said.stderr
    assert "fix: `orchestrator tasks artifacts d good` lists them" in said.stderr


def test_what_nothing_kept_is_told_wherever_the_failure_is_told(project: CliProject) -> None:
    notice = "wrote /lost.csv, 3 B; no mount covers it"
    for words in (("tasks", "show", "d", "bad"), ("tasks", "explain", "d", "bad")):
        assert notice in project.ok(*words).stdout
    said = project.ok("tasks", "artifacts", "d", "bad")
    assert notice in said.stderr
    assert "nothing is kept of bad: it has no outputs=" in said.stderr


def test_a_container_that_is_still_there_is_asked_on_demand(project: CliProject) -> None:
    assert project.json("tasks", "artifacts", "d", "bad", "--unkept") == [{"path": "/lost.csv", "size": 3}]
    said = project.run("tasks", "artifacts", "d", "good", "--unkept")
    assert said.code == 1
    assert "no container" in said.stderr
    assert "keep_failed=True keeps it for an hour" in said.stderr


def test_a_render_shows_which_file_comes_in(project: CliProject) -> None:
    project.write(
        "e.py",
        FLOW
        + """    DockerOperator(task_id="next", script="cat /in",
                   inputs={"/in": "{{ output('good', '/out/raw') }}"})\n""",
    )
    date = project.json("runs", "list", "d")[0]["logical_date"]
    project.write("d.py", (project.folder / "dags" / "e.py").read_text())
    (project.folder / "dags" / "e.py").unlink()
    said = project.ok("tasks", "render", "d", "next", date)
    assert "/out/raw of good" in said.stdout
