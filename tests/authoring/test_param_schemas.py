"""Schemas of params against the library that knows all of JSON Schema."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from orchestrator.spec.param_schemas import LONGEST_MATCHED, misfits, unsound

texts = st.sampled_from(["", "a", "ab", "abc", "2000-01-01", "{{ ds }}"])
numbers = st.integers(-3, 9) | st.sampled_from([0.5, 1.0, 2.5, -0.0])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["null", "boolean", "number", "integer", "string", "array", "object"])
counts = st.integers(0, 3)
simple = st.fixed_dictionaries(
    {},
    optional={
        "type": names | st.lists(names, min_size=1, max_size=3, unique=True),
        "enum": st.lists(values, min_size=1, max_size=3),
        "const": values,
        "minimum": numbers,
        "maximum": numbers,
        "exclusiveMinimum": numbers,
        "exclusiveMaximum": numbers,
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "minLength": counts,
        "maxLength": counts,
        "pattern": st.sampled_from(["^a", "b$", "a|c", "[ab]+", r"\d{4}"]),
        "minItems": counts,
        "maxItems": counts,
        "uniqueItems": st.booleans(),
        "minProperties": counts,
        "maxProperties": counts,
        "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
        "title": texts,
    },
)
schemas = st.recursive(
    simple | st.booleans(),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "items": inner,
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "additionalProperties": inner,
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=3),
            "oneOf": st.lists(inner, min_size=1, max_size=3),
            "not": inner,
            "type": names,
        },
    ),
    max_leaves=5,
)


def said(schema: Any, value: Any) -> str:
    assert unsound(schema) is None
    return "; ".join(misfits(schema, value, "params.x"))


@given(schemas, values)
def test_values_fit_where_the_library_says_so(schema: Any, value: Any) -> None:
    assert unsound(schema) is None
    assert (not list(misfits(schema, value))) == Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        ({"type": "integer"}, "x", "params.x is 'x', which is no integer"),
        ({"type": ["null", "string"]}, 3, "params.x is 3, which is no null or string"),
        ({"enum": ["eu", "us"]}, "asia", "params.x is 'asia', which is none of 'eu', 'us'"),
        ({"minimum": 1}, 0, "params.x is 0, below 1"),
        ({"maxLength": 2}, "abc", "params.x has 3 characters, more than 2"),
        ({"pattern": "^a"}, "b", "params.x is 'b', which does not match '^a'"),
        ({"multipleOf": 0.1}, 0.35, "params.x is 0.35, which is no multiple of 0.1"),
        ({"format": "date"}, "tomorrow", "params.x is 'tomorrow', which is no date"),
        ({"items": {"type": "string"}}, ["a", 1], "params.x[1] is 1, which is no string"),
        ({"properties": {"a": {"const": 1}}, "required": ["b"]}, {"a": 2}, "params.x.a is 2, and must be 1"),
        ({"additionalProperties": False}, {"a": 2}, "params.x.a may not be there"),
        ({"oneOf": [True, True]}, 1, "fits 2 alternatives"),
        (
            {"anyOf": [{"type": "null"}, {"minimum": 3}]},
            1,
            "params.x is 1, which is no null and params.x is 1, below 3",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(schema: Any, value: Any, words: str) -> None:
    assert words in said(schema, value)


@pytest.mark.parametrize(
    ("name", "fits", "fits_not"),
    [
        ("date", "2000-02-29", "2000-02-30"),
        ("time", "12:30:00", "25:00"),
        ("date-time", "2000-01-01T00:00:00+01:00", "2000-01-01T00:00:00"),
        ("email", "a@b", "a@b@c"),
        ("uri", "s3://x", "x"),
        ("uuid", "12345678123456781234567812345678", "1234"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv6", "::1", "10.0.0.1"),
        ("multiline", "a\nb", None),
    ],
)
def test_formats_are_checked(name: str, fits: str, fits_not: str | None) -> None:
    assert said({"format": name}, fits) == ""
    if fits_not is not None:
        assert said({"format": name}, fits_not).endswith(f"which is no {name}")


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"typ": "string"}, "knows no 'typ'; did you mean 'type'?"),
        ({"$ref": "#/x"}, "knows no '$ref'"),
        ({"type": "text"}, "type: 'text' is none of null, boolean"),
        ({"type": []}, "no type and no list"),
        ({"enum": []}, "no list of values"),
        ({"minimum": "1"}, "'1' is no number"),
        ({"multipleOf": 0}, "0 is not above 0"),
        ({"minLength": -1}, "-1 is no count"),
        ({"uniqueItems": 1}, "neither true nor false"),
        ({"required": "a"}, "no list of names"),
        ({"items": [{}]}, "is no schema"),
        ({"properties": {"a": {"minimum": None}}}, "None is no number"),
        ({"anyOf": [{"type": "x"}]}, "anyOf: type: 'x' is none"),
        ({"format": "hostname"}, "'hostname' is none of date"),
        ({"pattern": "("}, "is no regular expression"),
        ({"pattern": 3}, "is no regular expression"),
        (3, "3 is no schema"),
    ],
)
def test_what_is_no_schema_of_a_param_is_refused(schema: Any, words: str) -> None:
    assert words in (unsound(schema) or "")


@pytest.mark.parametrize(
    "pattern",
    [r"(a+)+$", r"(a|ab)*", r"a*a*a*a*", r"(?:a?){30}", "a?" * 30, r"(a)\1", r"((?:a{1,9}){2})"],
)
def test_a_pattern_that_could_try_for_ever_is_refused(pattern: str) -> None:
    assert "could try for ever" in (unsound({"pattern": pattern}) or "")


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[^@\s]+@[^@\s]+\.[^@\s]+$", r"^\d{4}-\d{2}-\d{2}$", r"(\d{3}-){2}\d{4}", r"(eu|us)-(west|east)",
        r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", r"^s3://.+/.*$", r"(?i:abc)", r"(?>a+)b", r"(?=a+)b(?!c)",
    ],
)  # fmt: skip
def test_patterns_that_end_in_time_are_taken(pattern: str) -> None:
    assert unsound({"pattern": pattern}) is None


def test_a_pattern_for_many_values_has_one_repetition_at_most() -> None:
    assert unsound({"items": {"pattern": r"^[A-Z]+-\d{4}$"}}) is None
    assert unsound({"properties": {"a": {"pattern": "a+b+"}}}) is None
    assert unsound({"items": {"const": {"pattern": "("}}}) is None
    for word in ("items", "additionalProperties"):
        assert "too long for many values" in (unsound({word: {"anyOf": [{"pattern": "a+b+"}]}}) or "")


def test_a_value_that_is_too_long_for_its_pattern_does_not_fit() -> None:
    assert said({"pattern": "a"}, "a" * LONGEST_MATCHED) == ""
    assert "with a pattern it may have 256" in said({"pattern": "a"}, "a" * (LONGEST_MATCHED + 1))
