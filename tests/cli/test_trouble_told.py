"""Expected trouble is told in a sentence with what to do about it, never with a traceback, and by an exit code."""

import subprocess
from pathlib import Path

import pytest
from cli_project import REPOSITORY, CliProject, Said, command

NOWHERE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> CliProject:
    """A project with `hello`, an empty database, and no engine."""
    project = CliProject(tmp_path_factory.mktemp("troubled"), NOWHERE)
    project.write("hello.py", (REPOSITORY / "dags" / "hello.py").read_text())
    project.ok("db", "upgrade")
    return project


def told(said: Said, *parts: str) -> None:
    """One error with these parts, its fix, and nothing on stdout."""
    assert said.code == 1, said
    assert said.stdout == ""
    errors = [line for line in said.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said.stderr
    assert "  fix: " in said.stderr
    for part in parts:
        assert part in said.stderr


@pytest.mark.parametrize(
    "words", ["dags list", "up", "doctor", "config list", "dags test hello", "runs watch hello", "db upgrade"]
)
def test_outside_a_project_every_command_says_how_to_begin_one(words: str, tmp_path: Path) -> None:
    project = CliProject(tmp_path / "inner")
    (tmp_path / "inner" / "dags").rmdir()
    told(project.run(*words.split()), "no dags/ folder in", "mkdir dags")


@pytest.mark.parametrize(
    "words",
    [
        "dags list",
        "dags show hello",
        "dags trigger hello",
        "runs list",
        "runs watch hello",
        "tasks logs hello name",
    ],
)
def test_without_a_database_the_command_that_makes_one_is_named(words: str, tmp_path: Path) -> None:
    told(CliProject(tmp_path).run(*words.split()), "there is no database", "orchestrator db upgrade")


def test_a_database_that_is_none_is_not_taken_for_one(tmp_path: Path) -> None:
    project = CliProject(tmp_path)
    project.home.mkdir()
    (project.home / "orchestrator.db").write_bytes(b"this is no database at all, it is a text" * 100)
    said = project.run("dags", "list")
    assert (said.code, said.stdout) == (1, "")
    assert "Traceback" not in said.stderr
    assert said.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("dags show helo", "no DAG 'helo'"),
        ("dags trigger helo", "no DAG 'helo'"),
        ("runs show helo", "no DAG 'helo'"),
        ("runs watch helo", "no DAG 'helo'"),
        ("tasks list helo", "no DAG 'helo'"),
        ("tasks render hello greed", "no task 'hello.greed'"),
        ("tasks render helo greet", "did you mean 'hello'?"),
        ("dags test helo", "did you mean 'hello'?"),
        ("dags test hello --task greed", "no task 'hello.greed'"),
        ("dags check nowhere.py", "no DAG file 'nowhere.py'"),
    ],
)
def test_a_wrong_name_is_named(words: str, part: str, project: CliProject) -> None:
    told(project.run(*words.split()), part)


@pytest.mark.parametrize("conf", ["[1]", "{", "word"])
def test_a_conf_that_is_no_object_is_refused_with_an_example(conf: str, project: CliProject) -> None:
    told(project.run("dags", "test", "hello", "--conf", conf), "--conf is not a JSON object", "--conf '{")


@pytest.mark.parametrize("words", ["dags test hello", "images list", "tasks render hello name --docker-run"])
def test_without_an_engine_what_needs_one_says_which_was_tried(words: str, project: CliProject) -> None:
    told(project.run(*words.split()), "unix:///nowhere/docker.sock", "orchestrator doctor")


def test_without_an_engine_a_task_can_be_rendered_all_the_same(project: CliProject) -> None:
    said = project.run("tasks", "render", "hello", "name")
    assert said.code == 0
    assert "command  sh -ec 'echo world" in said.stdout
    assert said.stderr.startswith("warning: no Docker engine answers at unix:///nowhere/docker.sock")


def test_a_line_for_docker_says_why_it_needs_an_engine(project: CliProject) -> None:
    told(project.run("tasks", "render", "hello", "name", "--docker-run"), "--docker-run prints the image's id")


def test_doctor_fails_where_something_needed_is_missing_and_says_what(project: CliProject) -> None:
    said = project.run("doctor")
    assert said.code == 1
    assert "FAIL engine: no Docker engine answers at unix:///nowhere/docker.sock" in said.stderr
    assert "ok   database: " in said.stderr


def test_a_setting_that_is_not_known_is_an_error_with_a_suggestion(project: CliProject) -> None:
    said = project.run("config", "list", environment={"ORCHESTRATOR__SCHEDULING__PARALELISM": "3"})
    told(said, "unknown setting scheduling.paralelism; did you mean scheduling.parallelism?")


def test_with_no_scheduler_a_trigger_says_that_it_is_queued(tmp_path: Path) -> None:
    said = CliProject(tmp_path).run("dags", "trigger")
    assert said.code == 2
    assert "Missing argument 'DAG_ID'" in said.stderr


def test_output_that_nobody_reads_any_more_ends_the_command_quietly(project: CliProject) -> None:
    line = " ".join(f"'{word}'" for word in command("config", "list"))
    done = subprocess.run(
        ["bash", "-c", f"{line} | head -1"], cwd=project.folder, env=project.environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("setting")
    assert done.stderr == ""


def test_a_closed_stdout_is_no_traceback(project: CliProject) -> None:
    line = " ".join(f"'{word}'" for word in command("config", "list"))
    done = subprocess.run(
        ["bash", "-c", f"{line} >/dev/full"], cwd=project.folder, env=project.environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
