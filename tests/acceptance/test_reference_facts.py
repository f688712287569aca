"""The reference itself agrees with what is known of the year 2013."""

import csv
import json

import pytest
from reference_container import Expected, ReferenceContainer

pytestmark = pytest.mark.engine


def carriers(day: Expected) -> list[dict[str, str]]:
    return list(csv.DictReader(day.carriers.decode().splitlines()))


@pytest.mark.parametrize(
    ("date", "flights", "cancelled", "count"),
    [
        ("2013-01-01", 842, 4, 14),
        ("2013-02-08", 930, 472, 15),
        ("2013-10-05", 687, 0, 15),
        ("2013-12-31", 776, 16, 15),
    ],
)
def test_a_day_has_its_flights(
    expected: ReferenceContainer, date: str, flights: int, cancelled: int, count: int
) -> None:
    day = expected(date)
    report = json.loads(day.report)
    assert (report["date"], report["flights"], report["cancelled"], report["carriers"]) == (
        date,
        flights,
        cancelled,
        count,
    )
    assert sum(int(row["flights"]) for row in carriers(day)) == flights
    assert sum(int(row["cancelled"]) for row in carriers(day)) == cancelled


def test_on_the_day_of_the_blizzard_one_carrier_did_not_fly_at_all(expected: ReferenceContainer) -> None:
    grounded = [row for row in carriers(expected("2013-02-08")) if row["flights"] == row["cancelled"]]
    assert grounded == [
        {
            "carrier": "YV",
            "name": "Mesa Airlines Inc.",
            "flights": "2",
            "cancelled": "2",
            "mean_dep_delay": "",
            "mean_arr_delay": "",
            "share_late_15": "",
        }
    ]


def test_the_last_day_of_the_year_has_no_weather(expected: ReferenceContainer) -> None:
    assert expected("2013-12-31").said == "776 flights, 0 weather records\n"
    assert expected("2013-01-01").said == "842 flights, 67 weather records\n"


def test_a_day_outside_the_package_is_empty_and_not_an_error(expected: ReferenceContainer) -> None:
    day = expected("2014-01-01")
    assert carriers(day) == []
    assert json.loads(day.report) == {
        "date": "2014-01-01",
        "flights": 0,
        "cancelled": 0,
        "carriers": 0,
        "mean_dep_delay": None,
        "worst_hour": None,
    }


def test_exact_halves_go_to_the_even_digit(expected: ReferenceContainer) -> None:
    """32 flights, delays of -67 and 37 minutes in all, one of them late: -2.09375, 1.15625 and 0.03125."""
    rows = expected("2013-01-01").carriers.decode().splitlines()
    assert "US,US Airways Inc.,32,0,-2.0938,1.1562,0.0312" in rows


def test_both_files_are_written_as_asked(expected: ReferenceContainer) -> None:
    day = expected("2013-01-01")
    assert day.carriers.startswith(
        b"carrier,name,flights,cancelled,mean_dep_delay,mean_arr_delay,share_late_15\nUA,United Air Lines Inc.,165,"
    )
    assert b"\r" not in day.carriers
    assert day.report == (
        b'{\n  "date": "2013-01-01",\n  "flights": 842,\n  "cancelled": 4,\n  "carriers": 14,\n'
        b'  "mean_dep_delay": 11.5489,\n  "worst_hour": 17\n}\n'
    )
