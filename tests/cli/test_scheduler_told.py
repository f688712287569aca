"""`orchestrator scheduler` beside another one, and what `scheduler status` says of them; none needs an engine."""

import json
import signal
from pathlib import Path

import pytest
from cli_project import CliProject
from postgres_server import PostgresServer

_HELLO = """
from orchestrator import DAG, EmptyOperator

with DAG("hello", schedule=None):
    EmptyOperator(task_id="a")
"""


@pytest.fixture
def shared(tmp_path: Path, postgres_server: PostgresServer) -> CliProject:
    """A project whose rows are in PostgreSQL."""
    database = postgres_server.url(postgres_server.make_database())
    return _project(tmp_path / "project", database.render_as_string(hide_password=False))


def _project(folder: Path, database: str = "") -> CliProject:
    variables = {"ORCHESTRATOR__ENGINE__ADDRESS": f"unix://{folder}/none.sock"}
    return CliProject(folder, variables | ({"ORCHESTRATOR__DATABASE__URL": database} if database else {}))


def test_over_sqlite_a_second_one_is_refused_and_told_what_standbys_need(tmp_path: Path) -> None:
    project = _project(tmp_path)
    with project.start("scheduler", "--upgrade") as first:
        first.wait_line("scheduler.running")
        said = project.run("scheduler")
        assert said.code == 3
        assert "runs for" in said.stderr
        assert "PostgreSQL" in said.stderr
        assert ", at this home" in project.run("scheduler", "status").stdout
        first.send(signal.SIGTERM)
        assert first.end() == 0
    assert "nobody; " in project.run("scheduler", "status").stdout


def test_over_postgresql_a_second_one_stands_by_and_leads_when_the_first_goes(shared: CliProject) -> None:
    assert shared.run("db", "upgrade").code == 0
    assert json.loads(shared.run("scheduler", "status", "--output", "json").stdout)["leader"] is None
    with shared.start("scheduler") as first:
        first.wait_line("scheduler.running")
        with shared.start("scheduler") as second:
            second.wait_line("scheduler.standby")
            told = json.loads(shared.run("scheduler", "status", "--output", "json").stdout)
            assert told["leader"].endswith(f"(process {first.pid})")
            assert told["at_this_home"]
            assert 0 < told["seconds_left"] <= 6
            assert [each["owner"] for each in told["standbys"]] == [
                told["leader"].replace(str(first.pid), str(second.pid))
            ]
            first.send(signal.SIGTERM)
            assert first.end() == 0
            second.wait_line("scheduler.running")
            told = json.loads(shared.run("scheduler", "status", "--output", "json").stdout)
            assert told["leader"].endswith(f"(process {second.pid})")
            assert told["standbys"] == []
            assert shared.run("health").code == 0
            second.send(signal.SIGTERM)
            assert second.end() == 0
    said = shared.run("scheduler", "status").stdout
    assert "nobody; " in said


def test_a_standby_with_a_home_of_its_own_is_healthy_and_its_faces_reach_the_leader(
    shared: CliProject, tmp_path: Path
) -> None:
    other = CliProject(tmp_path / "other", shared.environment)
    shared.write("hello.py", _HELLO)
    with shared.start("scheduler", "--upgrade") as first:
        first.wait_line("dag.changed")
        assert other.run("health").code == 1
        with other.start("scheduler") as second:
            second.wait_line("scheduler.standby")
            assert other.run("health").code == 0
            assert json.loads(other.run("scheduler", "status", "--output", "json").stdout)["at_this_home"] is False
            assert json.loads(other.run("dags", "trigger", "hello", "--output", "json").stdout)["answered"]
            first.send(signal.SIGKILL)
            second.wait_line("scheduler.running")
            assert other.run("health").code == 0
            assert shared.run("health").code == 1
            second.send(signal.SIGTERM)
            assert second.end() == 0
        assert other.run("health").code == 1


def test_a_standby_that_is_told_to_go_goes_at_once_and_leaves_nothing(shared: CliProject) -> None:
    with shared.start("scheduler", "--upgrade") as first:
        first.wait_line("scheduler.running")
        with shared.start("scheduler") as second:
            second.wait_line("scheduler.standby")
            second.send(signal.SIGTERM)
            assert second.end() == 0
        assert json.loads(shared.run("scheduler", "status", "--output", "json").stdout)["standbys"] == []
        first.send(signal.SIGTERM)
        assert first.end() == 0
