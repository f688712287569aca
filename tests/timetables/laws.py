"""How many cases a law was tried on: counted while it is tried, and not taken from the number of examples."""

from collections.abc import Callable
from math import ceil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

#: The long version of each law.
LONG = 25

Count = Callable[[int], None]


def holds(cases: int, per_example: int, **strategies: st.SearchStrategy[Any]) -> Callable[[Any], Any]:
    """A test of a law on at least `cases` cases, which come `per_example` at a time. The law is called with the
    drawn values and `count`, which it calls with the number of cases it looked at."""

    def law(check: Callable[..., None]) -> Any:
        @pytest.mark.parametrize("times", [1, pytest.param(LONG, marks=pytest.mark.long)])
        def test(times: int) -> None:
            seen = 0

            def count(number: int) -> None:
                nonlocal seen
                seen += number

            @settings(max_examples=ceil(cases * times / per_example), deadline=None)
            @given(**strategies)
            def tried(**drawn: Any) -> None:
                check(count=count, **drawn)

            tried()
            assert seen >= cases * times

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        test.cases = cases  # type: ignore[attr-defined]  # read by the test that adds them up
        return test

    return law
