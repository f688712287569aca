"""Sizes, cores and counts as people write them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import FinalizeError
from orchestrator.spec.quantities import cores, count, count_or_unlimited, size, size_or_unlimited

UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("512m", 512 * 2**20), ("1g", 2**30), ("1G", 2**30), ("2gb", 2**31), ("1GiB", 2**30), ("1.5g", 3 * 2**29),
        ("64k", 65536), ("1048576", 1048576), ("100b", 100), (1048576, 1048576), (" 1 g ", 2**30), ("0.5k", 512),
        (None, None),
    ],
)  # fmt: skip
def test_a_size_is_bytes(written: Any, value: int | None) -> None:
    assert size("mem_limit", written) == value


@pytest.mark.parametrize(
    "written", ["", "m", "12x", "-1", "-1g", "1e3", "1,5g", "0", 0, "0.0001k", "1g 2m", "½g", "nan", "9" * 5000]
)
def test_what_is_no_size_is_refused_by_its_field(written: Any) -> None:
    with pytest.raises(FinalizeError) as refused:
        size("mem_limit", written)
    assert refused.value.field == "mem_limit"
    assert repr(written) in refused.value.message
    assert refused.value.fix


@given(st.integers(1, 10**7), st.sampled_from(sorted(UNITS)), st.sampled_from(["", "b", "ib"]), st.booleans())
def test_a_whole_number_of_a_unit_is_exact(number: int, unit: str, end: str, upper: bool) -> None:  # noqa: FBT001
    text = f"{number}{unit}{end}"
    assert size("shm_size", text.upper() if upper else text) == number * UNITS[unit]


@given(st.integers(1, 2**60), st.integers(0, 999))
def test_parts_of_a_byte_are_cut_off(whole: int, thousandths: int) -> None:
    assert size("shm_size", f"{whole}.{thousandths:03}") == whole
    assert size("shm_size", f"{whole}.{thousandths:03}k") == (whole * 1000 + thousandths) * 1024 // 1000


@given(st.text(max_size=12))
def test_any_text_is_a_size_above_nothing_or_refused(text: str) -> None:
    try:
        found = size("shm_size", text)
    except FinalizeError:
        return
    assert found is not None
    assert found > 0
    assert size("shm_size", found) == found


@pytest.mark.parametrize(("read", "plain"), [(size_or_unlimited, size), (count_or_unlimited, count)])
def test_minus_one_lifts_a_limit_that_may_be_lifted(read: Any, plain: Any) -> None:
    assert read("limit", -1) == read("limit", "-1") == -1
    assert read("limit", "7") == 7
    assert read("limit", None) is None
    with pytest.raises(FinalizeError):
        plain("limit", -1)


@pytest.mark.parametrize(("written", "value"), [(1, 1.0), ("1.5", 1.5), (" 2 ", 2.0), (0.25, 0.25), (None, None)])
def test_cores_may_be_parts(written: Any, value: float | None) -> None:
    assert cores("cpus", written) == value


@pytest.mark.parametrize("written", [0, -1, "", "two", "nan", "inf", "1,5"])
def test_what_is_no_number_of_cores_is_refused(written: Any) -> None:
    with pytest.raises(FinalizeError, match="cpus"):
        cores("cpus", written)


@pytest.mark.parametrize("written", [0, "0", "-2", "1.5", "", "many", "\u0661", "9" * 30])
def test_what_is_no_count_is_refused(written: Any) -> None:
    with pytest.raises(FinalizeError, match="pids_limit"):
        count("pids_limit", written)
