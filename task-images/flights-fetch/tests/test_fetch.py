import csv
from pathlib import Path

import fetch
import pytest
from click.testing import CliRunner


def fetched(table: str, day: str, target: Path) -> list[dict[str, str]]:
    result = CliRunner().invoke(fetch.main, [table, day, str(target)], catch_exceptions=False)
    with target.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert result.output == f"{len(rows)} rows -> {target}\n"
    return rows


@pytest.mark.parametrize(
    ("table", "day", "count"),
    [
        ("flights", "2013-01-01", 842),
        ("weather", "2013-01-01", 67),
        ("weather", "2013-12-31", 0),
        ("flights", "2014-01-01", 0),
    ],
)
def test_a_day_has_its_rows(table: str, day: str, count: int, tmp_path: Path) -> None:
    rows = fetched(table, day, tmp_path / "day.csv")
    assert len(rows) == count
    assert all(f"{row['year']}-{int(row['month']):02}-{int(row['day']):02}" == day for row in rows)


def test_a_day_without_rows_keeps_its_head(tmp_path: Path) -> None:
    fetched("weather", "2013-12-31", tmp_path / "day.csv")
    assert (tmp_path / "day.csv").read_text().startswith("origin,year,month,day,hour,temp")


def test_whole_numbers_stay_whole_where_some_are_missing(tmp_path: Path) -> None:
    departures = {row["dep_time"] for row in fetched("flights", "2013-02-08", tmp_path / "day.csv")}
    assert "" in departures
    assert all(time.isdigit() for time in departures - {""})


def test_a_flight_carries_the_name_of_its_carrier(tmp_path: Path) -> None:
    names = {row["carrier"]: row["name"] for row in fetched("flights", "2013-01-01", tmp_path / "day.csv")}
    assert names["UA"] == "United Air Lines Inc."
    assert all(names.values())
