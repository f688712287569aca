from pathlib import Path

import clean
import pandas as pd
from click.testing import CliRunner

WEATHER = "origin,year,temp,wind_speed,precip,visib,time_hour\n"


def cleaned(tmp_path: Path, rows: str) -> str:
    source, target = tmp_path / "raw.csv", tmp_path / "clean.csv"
    source.write_text(WEATHER + rows)
    CliRunner().invoke(clean.main, ["weather", str(source), str(target)], catch_exceptions=False)
    return target.read_text()


def test_rows_are_put_in_order_and_kept_once(tmp_path: Path) -> None:
    rows = "LGA,2013,39.02,8.05546,0,10,T11\nEWR,2013,39.02,,0,10,T10\nLGA,2013,39.02,8.05546,0,10,T11\n"
    assert cleaned(tmp_path, rows) == (
        "time_hour,origin,temp,wind_speed,precip,visib\nT10,EWR,39.02,,0,10\nT11,LGA,39.02,8.05546,0,10\n"
    )


def test_a_day_without_rows_keeps_its_head(tmp_path: Path) -> None:
    assert cleaned(tmp_path, "") == "time_hour,origin,temp,wind_speed,precip,visib\n"


def test_no_column_is_named_twice() -> None:
    assert all(pd.Index(columns).is_unique for columns in clean.COLUMNS.values())
