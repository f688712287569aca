import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.exceptions import FilterArgumentError

from orchestrator.templating import filters


@given(st.text(st.characters(exclude_characters="\0")))
def test_shell_quote_is_one_word_of_a_shell(text: str) -> None:
    assert shlex.split(filters.shell_quote(text)) == [text]


@given(st.text())
def test_sql_quote_doubles_quotes_only(text: str) -> None:
    quoted = filters.sql_quote(text)
    assert quoted[0] == quoted[-1] == "'"
    assert quoted[1:-1].replace("''", "\0").count("'") == 0
    assert quoted[1:-1].replace("''", "'") == text


def test_sql_quote_writes_what_is_no_text_as_sql_does() -> None:
    assert [filters.sql_quote(value) for value in (None, True, False, 3, 2.5)] == [
        "NULL",
        "TRUE",
        "FALSE",
        "3",
        "2.5",
    ]


@pytest.mark.parametrize("quote", [filters.shell_quote, filters.sql_quote])
def test_a_list_is_not_quoted_as_one_value(quote: object) -> None:
    with pytest.raises(FilterArgumentError, match="map"):
        quote(["a", "b"])  # type: ignore[operator]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_tojson_is_plain_json(value: object) -> None:
    assert json.loads(filters.tojson(value)) == value
    assert filters.tojson("<&>'é") == '"<&>\'é"'
