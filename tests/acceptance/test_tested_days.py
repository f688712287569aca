"""`orchestrator dags test nyc_flights DAY` comes to what the package says of that day."""

import json

import pytest
from example_project import TestedDays
from reference_container import ReferenceContainer

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("day", ["2013-01-01", "2013-02-08", "2013-10-05", "2013-12-31"])
def test_a_tested_day_equals_the_reference_byte_for_byte(
    day: str, tested_day: TestedDays, expected: ReferenceContainer
) -> None:
    said, files = tested_day(day)
    assert said.code == 0, said
    assert files[f"carriers/{day}.csv"] == expected(day).carriers
    assert files[f"report/{day}.json"] == expected(day).report


def test_every_step_leaves_its_file(tested_day: TestedDays) -> None:
    _, files = tested_day("2013-01-01")
    assert sorted(files) == [
        "carriers/2013-01-01.csv",
        "charts/2013-01-01.png",
        "clean/2013-01-01/flights.csv",
        "clean/2013-01-01/weather.csv",
        "joined/2013-01-01.csv",
        "raw/2013-01-01/flights.csv",
        "raw/2013-01-01/weather.csv",
        "report/2013-01-01.html",
        "report/2013-01-01.json",
    ]
    assert files["charts/2013-01-01.png"].startswith(b"\x89PNG\r\n\x1a\n")
    assert b"<table" in files["report/2013-01-01.html"]
    assert b"<img" in files["report/2013-01-01.html"]


def test_the_first_of_january_has_842_flights(tested_day: TestedDays) -> None:
    _, files = tested_day("2013-01-01")
    assert json.loads(files["report/2013-01-01.json"])["flights"] == 842


def test_on_the_day_of_the_blizzard_472_flights_are_cancelled(tested_day: TestedDays) -> None:
    _, files = tested_day("2013-02-08")
    assert json.loads(files["report/2013-02-08.json"])["cancelled"] == 472
    assert b"\nYV,Mesa Airlines Inc.,2,2,,,\n" in files["carriers/2013-02-08.csv"]


def test_a_day_after_the_end_date_runs_with_a_warning_on_stderr(tested_day: TestedDays) -> None:
    said, _ = tested_day("2013-12-31")
    assert "warning: 2013-12-31T00:00:00+00:00 is after the DAG's end_date" in said.stderr
    assert "warning" not in said.stdout
    assert "warning" not in tested_day("2013-10-05")[0].stderr


def test_the_log_of_every_task_is_on_stdout_behind_its_name(tested_day: TestedDays) -> None:
    said, _ = tested_day("2013-01-01")
    assert "fetch_flights | 842 rows -> raw/2013-01-01/flights.csv\n" in said.stdout
    assert "report | 842 flights, 4 cancelled -> report/2013-01-01.html\n" in said.stdout


def test_a_tested_day_needs_and_leaves_no_database(tested_day: TestedDays) -> None:
    tested_day("2013-01-01")
    assert not (tested_day.project.home / "orchestrator.db").exists()
