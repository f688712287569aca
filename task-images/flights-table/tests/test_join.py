from io import StringIO

import join
import pandas as pd
import pytest

FLIGHTS = "origin,time_hour,flight\nLGA,T11,3\nEWR,T10,1\nEWR,T10,2\n"


def table(text: str) -> pd.DataFrame:
    return pd.read_csv(StringIO(text), dtype_backend="numpy_nullable")


def test_every_flight_is_kept_with_or_without_weather() -> None:
    joined = join.join(table(FLIGHTS), table("time_hour,origin,temp\nT10,EWR,39.02\n"))
    assert joined.to_csv(index=False) == (
        "origin,time_hour,flight,temp\nLGA,T11,3,\nEWR,T10,1,39.02\nEWR,T10,2,39.02\n"
    )


@pytest.mark.parametrize("flights", [FLIGHTS, "origin,time_hour,flight\n"])
def test_a_day_without_weather_has_its_flights(flights: str) -> None:
    joined = join.join(table(flights), table("time_hour,origin,temp\n"))
    assert len(joined) == len(table(flights))
    assert joined["temp"].isna().all()


def test_two_records_of_one_hour_are_refused() -> None:
    with pytest.raises(pd.errors.MergeError):
        join.join(table(FLIGHTS), table("time_hour,origin,temp\nT10,EWR,39\nT10,EWR,40\n"))
