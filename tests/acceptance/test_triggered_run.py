"""`orchestrator dags trigger` through a running scheduler: the same bytes as `dags test`, and tasks that go as soon
as they can, by the engine's own times."""

from datetime import datetime, timedelta
from statistics import median
from typing import Any

import docker
import pytest
from cli_project import LONG, CliProject
from example_project import RunningProject, TestedDays
from reference_container import ReferenceContainer

pytestmark = pytest.mark.engine

DAY = "2013-10-05"


@pytest.fixture(scope="module")
def triggered(running: RunningProject) -> dict[str, Any]:
    """The run, as `runs show` tells it."""
    return run_of(running.project, DAY)


def run_of(project: CliProject, day: str) -> dict[str, Any]:
    told = project.json("dags", "trigger", "nyc_flights", "--logical-date", day)
    run_id = told["run_id"]
    project.ok("runs", "watch", "nyc_flights", run_id, limit=LONG)
    shown: dict[str, Any] = project.json("runs", "show", "nyc_flights", run_id)
    return shown


def span(run: dict[str, Any], task_id: str) -> tuple[datetime, datetime]:
    """When the container of a task's only try started and ended, by the engine's clock."""
    (task,) = (each for each in run["tasks"] if each["task_id"] == task_id)
    (attempt,) = task["attempts"]
    return datetime.fromisoformat(attempt["started_at"]), datetime.fromisoformat(attempt["ended_at"])


def test_a_triggered_run_writes_the_same_bytes_as_a_tested_one(
    running: RunningProject, triggered: dict[str, Any], tested_day: TestedDays, expected: ReferenceContainer
) -> None:
    assert triggered["state"] == "success"
    written = {path: data for path, data in running.project.files().items() if DAY in path}
    _, tested = tested_day(DAY)
    assert sorted(written) == sorted(tested)
    assert [path for path in tested if written[path] != tested[path]] == []
    assert written[f"report/{DAY}.json"] == expected(DAY).report


def test_a_run_again_leaves_every_byte_as_it_was(running: RunningProject, triggered: dict[str, Any]) -> None:
    before = running.project.files()
    assert run_of(running.project, DAY)["state"] == "success"
    assert running.project.files() == before


def test_the_two_fetch_tasks_overlap(triggered: dict[str, Any]) -> None:
    flights, weather = span(triggered, "fetch_flights"), span(triggered, "fetch_weather")
    assert max(flights[0], weather[0]) < min(flights[1], weather[1])


def test_clean_weather_starts_as_soon_as_fetch_weather_ends(triggered: dict[str, Any]) -> None:
    """From an exit to the next start the engine has to tell the exit, hand the result over, create and start.
    Creating and starting alone, measured here with nothing else between, is the yardstick: the whole way takes
    less than three times that, and a quarter of a second for a machine that is busy."""
    gap = span(triggered, "clean_weather")[0] - span(triggered, "fetch_weather")[1]
    image = next(task for task in triggered["tasks"] if task["task_id"] == "clean_weather")["attempts"][0]["image"]
    alone = engine_alone(image)
    assert timedelta() < gap < 3 * alone + timedelta(seconds=0.25), f"the engine alone: {alone}"


def test_every_task_starts_after_all_it_waits_for(triggered: dict[str, Any]) -> None:
    for parent, child in [
        ("fetch_flights", "clean_flights"),
        ("fetch_weather", "clean_weather"),
        ("clean_flights", "join"),
        ("clean_weather", "join"),
        ("join", "rank_carriers"),
        ("join", "delay_chart"),
        ("rank_carriers", "report"),
        ("delay_chart", "report"),
    ]:
        assert span(triggered, parent)[1] <= span(triggered, child)[0]


def engine_alone(image: str) -> timedelta:
    """Median time of the engine from being asked to create a container until it has started two at a time, as the
    two tables are cleaned side by side."""
    client = docker.from_env()
    waits = []
    try:
        for _ in range(5):
            asked = datetime.now().astimezone()  # noqa: TID251 - compared with the engine's, same machine
            pair = [client.containers.create(image, "true") for _ in range(2)]
            try:
                for container in pair:
                    container.start()
                for container in pair:
                    container.reload()
                started = max(container.attrs["State"]["StartedAt"] for container in pair)
                waits.append(datetime.fromisoformat(started) - asked)
            finally:
                for container in pair:
                    container.remove(force=True)
    finally:
        client.close()
    return median(waits)
