"""`--output json` prints JSON alone on stdout, for each command that has it; plain output is lines for people."""

import pytest
from example_project import RunningProject

pytestmark = pytest.mark.engine

RUN = "scheduled__2013-12-30T00:00:00+00:00"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("dags", "list"), ("dag_id", "nyc_flights")),
        (("dags", "next", "nyc_flights"), None),
        (("runs", "list"), ("run_id", RUN)),
        (("runs", "list", "nyc_flights", "--state", "success", "--limit", "1000"), ("run_id", RUN)),
        (("tasks", "list", "nyc_flights"), ("task_id", "join")),
        (("images", "list"), ("name", "flights-base")),
        (("images", "build"), ("name", "flights-base")),
        (("config", "list"), ("setting", "engine.network")),
        (("doctor",), ("name", "engine")),
        (("dags", "check"), None),
    ],
)
def test_a_list_is_a_json_array_of_objects(
    words: tuple[str, ...], part: tuple[str, str] | None, running: RunningProject
) -> None:
    rows = running.project.json(*words)
    assert isinstance(rows, list)
    if part is None:
        assert rows == []
    else:
        name, value = part
        assert value in [row[name] for row in rows]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("dags", "show", "nyc_flights"), "spec"),
        (("runs", "show", "nyc_flights", RUN), "tasks"),
        (("runs", "show", "nyc_flights", "2013-12-30"), "tasks"),
        (("tasks", "show", "nyc_flights", "join", RUN), "tries"),
        (("tasks", "render", "nyc_flights", "join", "2013-12-30"), "command"),
        (("dags", "pause", "hello"), "paused"),
    ],
)
def test_one_thing_is_a_json_object(words: tuple[str, ...], name: str, running: RunningProject) -> None:
    shown = running.project.json(*words)
    assert isinstance(shown, dict)
    assert shown[name]


def test_a_rendered_task_is_lines_that_can_be_read(running: RunningProject) -> None:
    lines = running.project.ok("tasks", "render", "nyc_flights", "join", "2013-12-30").stdout.splitlines()
    told = dict(line.strip().split("  ", 1) for line in lines if not line.startswith("   " * 4))
    assert told["command"] == (
        "python -m join clean/2013-12-30/flights.csv clean/2013-12-30/weather.csv joined/2013-12-30.csv"
    )
    assert told["image name"] == "flights-table"
    assert told["mounts"] == f"/data=bind {running.project.home}/data/flights"
    assert any(line.endswith("  AIRFLOW_CTX_DAG_ID=nyc_flights") for line in lines)


def test_a_run_says_how_long_it_took_as_people_do(running: RunningProject) -> None:
    lines = running.project.ok("runs", "show", "nyc_flights", RUN).stdout.splitlines()
    (lasted,) = (line.split()[1] for line in lines if line.strip().startswith("duration"))
    assert lasted.endswith("s")
    assert ":" not in lasted
