from io import StringIO

import pandas as pd
import report

HEAD = "hour,dep_time,dep_delay\n"


def figures(rows: str) -> dict[str, str | int | float | None]:
    return report.sum_up("2013-01-01", pd.read_csv(StringIO(HEAD + rows)), 2)


def test_the_figures_stand_in_their_order() -> None:
    assert list(figures("5,517,2\n").items()) == [
        ("date", "2013-01-01"),
        ("flights", 1),
        ("cancelled", 0),
        ("carriers", 2),
        ("mean_dep_delay", 2.0),
        ("worst_hour", 5),
    ]


def test_the_worst_hour_is_the_earliest_of_equals() -> None:
    assert figures("9,900,8\n7,700,8\n8,800,3\n")["worst_hour"] == 7


def test_a_cancelled_flight_has_no_part_in_means() -> None:
    day = figures("9,900,1\n9,901,1\n9,902,2\n10,,\n")
    assert (day["cancelled"], day["mean_dep_delay"], day["worst_hour"]) == (1, 1.3333, 9)


def test_where_nothing_has_flown_there_is_no_mean_and_no_worst_hour() -> None:
    for rows in ("", "9,,\n"):
        day = figures(rows)
        assert (day["mean_dep_delay"], day["worst_hour"]) == (None, None)


def test_the_page_holds_figures_table_and_chart() -> None:
    carriers = pd.DataFrame([["B6", "Jet & Blue", "54", "0", "", "", ""]])
    page = report.page(figures("9,,\n"), carriers, b"image")
    assert "<td>Jet &amp; Blue</td><td>54</td>" in page
    assert "data:image/png;base64,aW1hZ2U=" in page
    assert "<dt>worst hour</dt><dd>none</dd>" in page
    assert "None" not in page
