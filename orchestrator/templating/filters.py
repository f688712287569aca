"""Filters beside Jinja's own: dates as Airflow writes them, and quoting for the languages commands are made of."""

import json
import shlex
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from jinja2.exceptions import FilterArgumentError


def ds(value: date) -> str:
    """2013-01-31"""
    return value.strftime("%Y-%m-%d")


def ds_nodash(value: date) -> str:
    """20130131"""
    return value.strftime("%Y%m%d")


def ts(value: datetime) -> str:
    """2013-01-31T00:00:00+00:00"""
    return value.isoformat()


def ts_nodash(value: datetime) -> str:
    """20130131T000000"""
    return value.strftime("%Y%m%dT%H%M%S")


def ts_nodash_with_tz(value: datetime) -> str:
    """20130131T000000+0000"""
    return value.strftime("%Y%m%dT%H%M%S%z")


def tojson(value: Any, indent: int | None = None) -> str:
    """Plain JSON. (Jinja's own filter of this name writes `<`, `>`, `&` and `'` as escapes, for HTML.)"""
    return json.dumps(value, indent=indent, ensure_ascii=False)


def text(value: Any) -> str:
    """Text as it is, anything else as JSON. Alone in a function's argument or as a whole command, an expression
    with it stands for the value itself."""
    return value if isinstance(value, str) else tojson(value)


def shell_quote(value: Any) -> str:
    """One word of a POSIX shell, whatever is in it."""
    if not isinstance(value, (str, int, float, date)):
        raise FilterArgumentError(
            f"shell_quote takes one word, not a {type(value).__name__}; use map('shell_quote')"
        )
    return shlex.quote(str(value))


def sql_quote(value: Any) -> str:
    """A literal of standard SQL: quotes doubled, None as NULL, numbers and booleans as they are written there."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (str, date)):
        return "'" + str(value).replace("'", "''") + "'"
    raise FilterArgumentError(f"sql_quote takes one value, not a {type(value).__name__}; use map('sql_quote')")


FILTERS: Mapping[str, Callable[..., str]] = {
    "ds": ds,
    "ds_nodash": ds_nodash,
    "ts": ts,
    "ts_nodash": ts_nodash,
    "text": text,
    "tojson": tojson,
    "shell_quote": shell_quote,
    "sql_quote": sql_quote,
}
