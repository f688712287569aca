"""Results and the schemas that they must fit: what is said of a misfit, and of a schema that is none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from authoring_project import make_project

from orchestrator.clock import SystemClock
from orchestrator.dagfiles.client import AuthoringServer
from orchestrator.dagfiles.schemas import misfit, unsound

ROWS = {
    "type": "object",
    "properties": {"rows": {"type": "integer", "minimum": 1}, "at": {"type": "string", "format": "date-time"}},
    "required": ["rows"],
    "additionalProperties": False,
}


def said(schema: dict[str, Any], value: object) -> str | None:
    return misfit(schema, msgspec.json.encode(value))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, None),
        (ROWS, {"rows": 3, "at": "2013-01-01T05:00:00Z"}),
        ({"$defs": {"n": {"type": "integer"}}, "items": {"$ref": "#/$defs/n"}}, [1, 2]),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "integer"}]}, [1, "x"]),
        ({"anyOf": [{"type": "null"}, ROWS]}, None),
    ],
)
def test_what_fits_is_not_spoken_of(schema: dict[str, Any], value: object) -> None:
    assert unsound(schema) is None
    assert said(schema, value) is None


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        (ROWS, {"rows": "three"}, "$.rows: 'three' is not of type 'integer'"),
        (ROWS, {}, "$: 'rows' is a required property"),
        (ROWS, {"rows": 1, "at": "yesterday"}, "$.at: 'yesterday' is not a 'date-time'"),
        (ROWS, {"rows": 1, "at": "2013-01-01T05:00:00"}, "is not a 'date-time'"),
        (ROWS, None, "$: None is not of type 'object'"),
        ({"anyOf": [{"type": "null"}, ROWS]}, {"rows": 0}, "$.rows: 0 is less than the minimum of 1"),
        ({"items": {"type": "integer"}}, list("abcde"), "(and 2 more)"),
        ({"type": "integer"}, "x" * 5000, "..."),
        ({"$ref": "#/$defs/missing"}, 1, "refers to what it has not"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(schema: dict[str, Any], value: object, words: str) -> None:
    told = said(schema, value)
    assert told is not None
    assert words in told
    assert len(told) < 1000


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "int"}, "$.type 'int' is not valid"),
        ({"properties": {"a": {"minimum": "x"}}}, "$.properties.a.minimum"),
        ({"items": {"$ref": "https://example.com/rows.json"}}, "'https://example.com/rows.json' leads out of it"),
    ],
)
def test_a_schema_that_is_none_is_told_with_its_place(schema: dict[str, Any], words: str) -> None:
    assert words in (unsound(schema) or "")


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[AuthoringServer]:
    server = AuthoringServer(make_project(tmp_path, render_timeout=1.0, parse_memory=300), SystemClock())
    try:
        yield server
    finally:
        server.close()


def test_a_pattern_that_never_ends_over_a_hostile_text_is_a_misfit(quick: AuthoringServer) -> None:
    hostile = msgspec.json.encode("a" * 60 + "!")
    told = quick.misfit({"type": "string", "pattern": "^(a+)+$"}, hostile)
    assert told == "looking at it was not over after 1 s"
    assert quick.misfit({"type": "string", "pattern": "^a+$"}, b'"aa"') is None
