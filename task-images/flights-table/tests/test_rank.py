from io import StringIO

import pandas as pd
import rank

HEAD = "carrier,name,dep_time,dep_delay,arr_delay\n"
RANKED = "carrier,name,flights,cancelled,mean_dep_delay,mean_arr_delay,share_late_15\n"


def ranked(rows: str) -> str:
    flights = pd.read_csv(StringIO(HEAD + rows), dtype_backend="numpy_nullable")
    return rank.rank(flights).to_csv(index=False)


def test_carriers_stand_by_flights_then_by_code() -> None:
    rows = "VX,Virgin,900,0,0\nAA,American,900,0,0\nUA,United,900,0,0\nUA,United,901,0,0\n"
    assert [line[:2] for line in ranked(rows).splitlines()[1:]] == ["UA", "AA", "VX"]


def test_means_are_those_of_the_flown_flights_that_have_a_value() -> None:
    rows = "UA,United,900,15,7\nUA,United,901,-4,\nUA,United,902,14,-9\nUA,United,,,\n"
    assert ranked(rows) == RANKED + "UA,United,4,1,8.3333,-1.0000,0.3333\n"


def test_a_carrier_that_has_not_flown_has_no_means() -> None:
    assert ranked("YV,Mesa,,,\n") == RANKED + "YV,Mesa,1,1,,,\n"


def test_an_exact_half_goes_to_the_even_digit() -> None:
    rows = "".join(f"UA,United,900,{delay},0\n" for delay in [1] + [0] * 31)  # 1/32 = 0.03125
    assert ranked(rows) == RANKED + "UA,United,32,0,0.0312,0.0000,0.0000\n"


def test_a_day_without_flights_has_no_carriers() -> None:
    assert ranked("") == RANKED
