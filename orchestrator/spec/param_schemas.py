"""JSON schemas of params: a vocabulary of its own, small enough that a form can be made of every word in it, and
that the scheduler can check values itself, in time that the length of a value and its schema bounds. What else JSON
Schema can say, references above all, is refused where a param is written."""

import ipaddress
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time
from difflib import get_close_matches
from fractions import Fraction
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any
from uuid import UUID

#: Characters that a value with a `pattern` may have, and steps that matching it may take in the worst case.
LONGEST_MATCHED = 256
_STEPS = 20_000_000
#: Words for any number of parts, and the steps of a pattern for each of those.
_OF_MANY = ("items", "additionalProperties")
_STEPS_OF_EACH = 1_000
_SHOWN_CHARACTERS = 60


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or bool(value.is_integer())),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
#: What `misfits` takes: an object, or whether anything fits.
Schema = Mapping[str, Any] | bool
#: Words that say nothing about a value: how a form shows it.
_SHOWN = ("title", "description", "description_md", "section", "examples", "values_display", "default", "$comment")


def unsound(schema: object) -> str | None:
    """Why this is no schema of a param; None where it is one."""
    if isinstance(schema, bool):
        return None
    if not isinstance(schema, Mapping):
        return f"{schema!r} is no schema: write an object"
    for word, argument in schema.items():
        if word in _SHOWN:
            continue
        if word not in _WORDS:
            near = get_close_matches(str(word), (*_WORDS, *_SHOWN), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            return f"a param's schema knows no {word!r}{hint}"
        why = _WORDS[word].unsound(argument) or (_unsound_of_many(argument) if word in _OF_MANY else None)
        if why:
            return f"{word}: {why}"
    return None


def misfits(schema: Schema, value: Any, place: str = "") -> Iterator[str]:
    """A sentence for each way in which a JSON value does not fit a sound schema. `place` leads to it."""
    if isinstance(schema, bool):
        if not schema:
            yield f"{place or 'it'} may not be there"
        return
    for word, argument in schema.items():
        if word in _WORDS:
            yield from _WORDS[word].misfits(argument, value, place, schema)


class _Word:
    """One word of a schema: `unsound` says why an argument is none of its own, `check` why a value of `kind` does
    not fit it."""

    def __init__(
        self, argument: Callable[[Any], str | None], kind: str | None, check: Callable[[Any, Any], str | None]
    ) -> None:
        self.unsound = argument
        self._kind = kind
        self._check = check

    def misfits(self, argument: Any, value: Any, place: str, _: Mapping[str, Any]) -> Iterator[str]:
        if (self._kind is None or _TYPES[self._kind](value)) and (why := self._check(argument, value)):
            yield f"{place or 'it'} {why}"


class _Inside(_Word):
    """A word whose argument holds schemas, for parts of a value or for all of it."""

    def __init__(
        self,
        argument: Callable[[Any], str | None],
        parts: Callable[[Any, Any, str, Mapping[str, Any]], Iterator[str]],
    ) -> None:
        super().__init__(argument, None, lambda _, __: None)
        self._parts = parts

    def misfits(self, argument: Any, value: Any, place: str, schema: Mapping[str, Any]) -> Iterator[str]:
        yield from self._parts(argument, value, place, schema)


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same to JSON: 1 is 1.0, and not true."""
    return bool(_key(one) == _key(other))


def _key(value: Any) -> Any:
    if isinstance(value, dict):
        return "object", frozenset((name, _key(item)) for name, item in value.items())
    if isinstance(value, list):
        return "array", tuple(map(_key, value))
    return "number" if _is_number(value) else type(value).__name__, value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."


# --- what arguments of words must be


def _number(argument: Any) -> str | None:
    sound = _is_number(argument) and math.isfinite(argument)
    return None if sound else f"{argument!r} is no number"


def _positive(argument: Any) -> str | None:
    return _number(argument) or (None if argument > 0 else f"{argument!r} is not above 0")


def _count(argument: Any) -> str | None:
    sound = isinstance(argument, int) and not isinstance(argument, bool) and argument >= 0
    return None if sound else f"{argument!r} is no count"


def _switch(argument: Any) -> str | None:
    return None if isinstance(argument, bool) else f"{argument!r} is neither true nor false"


def _types(argument: Any) -> str | None:
    names = [argument] if isinstance(argument, str) else argument
    if not isinstance(names, list) or not names:
        return f"{argument!r} is no type and no list of types"
    unknown = next((name for name in names if not isinstance(name, str) or name not in _TYPES), None)
    return None if unknown is None else f"{unknown!r} is none of {', '.join(_TYPES)}"


def _values(argument: Any) -> str | None:
    return None if isinstance(argument, list) and argument else f"{argument!r} is no list of values"


def _names(argument: Any) -> str | None:
    sound = isinstance(argument, list) and all(isinstance(name, str) for name in argument)
    return None if sound else f"{argument!r} is no list of names"


def _schemas(argument: Any) -> str | None:
    if not isinstance(argument, list) or not argument:
        return f"{argument!r} is no list of schemas"
    return next(filter(None, map(unsound, argument)), None)


def _schemas_by_name(argument: Any) -> str | None:
    if not isinstance(argument, Mapping):
        return f"{argument!r} is no object of schemas"
    return next(filter(None, map(unsound, argument.values())), None)


def _format(argument: Any) -> str | None:
    if argument in _FORMATS:
        return None
    return f"{argument!r} is none of {', '.join(_FORMATS)}"


def _pattern(argument: Any) -> str | None:
    try:
        tree = _parser.parse(argument)
        re.compile(argument)
    except (re.error, TypeError, RecursionError, OverflowError) as error:
        return f"{argument!r} is no regular expression: {error}"
    if _steps(tree, repeated=False) > _STEPS:
        return f"{argument!r} could try for ever: write no repetition inside another, and three at most in all"
    return None


def _unsound_of_many(schema: Any) -> str | None:
    for pattern in _patterns(schema):
        if not _pattern(pattern) and _steps(_parser.parse(pattern), repeated=False) > _STEPS_OF_EACH:
            return f"{pattern!r} would take too long for many values: write one repetition at most"
    return None


def _patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for inner in schema.values():
            yield from _patterns(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _patterns(inner)


def _steps(tree: Any, *, repeated: bool) -> float:
    """An upper bound of the ways in which a backtracking matcher may divide the longest text that is matched."""
    ways = 1.0
    for operation, argument in tree:
        name = str(operation)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            low, high, inner = argument
            varies = min(high, LONGEST_MATCHED) - min(low, LONGEST_MATCHED)
            ways *= (1 + varies) * _steps(inner, repeated=repeated or high > 1)
            ways = math.inf if varies and repeated else ways
        elif name == "BRANCH":
            ways *= math.inf if repeated else sum(_steps(each, repeated=False) for each in argument[1])
        elif name in ("GROUPREF", "GROUPREF_EXISTS"):
            ways = math.inf
        elif operation in (
            _constants.SUBPATTERN,
            _constants.ASSERT,
            _constants.ASSERT_NOT,
            _constants.ATOMIC_GROUP,
        ):
            ways *= _steps(argument if name == "ATOMIC_GROUP" else argument[-1], repeated=repeated)
    return ways


# --- what values must be


def _check_type(argument: str | list[str], value: Any) -> str | None:
    names = [argument] if isinstance(argument, str) else argument
    if any(_TYPES[name](value) for name in names):
        return None
    return f"is {_shown(value)}, which is no {' or '.join(names)}"


def _check_pattern(pattern: str, value: str) -> str | None:
    if len(value) > LONGEST_MATCHED:
        return f"has {len(value)} characters; with a pattern it may have {LONGEST_MATCHED}"
    return None if re.search(pattern, value) else f"is {_shown(value)}, which does not match {pattern!r}"


def _check_multiple(step: float, value: float) -> str | None:
    sound = math.isfinite(value) and Fraction(str(value)) % Fraction(str(step)) == 0
    return None if sound else f"is {value}, which is no multiple of {step}"


def _check_unique(wanted: bool, value: list[Any]) -> str | None:  # noqa: FBT001 - a schema's own argument
    return "holds something twice" if wanted and len(set(map(_key, value))) < len(value) else None


def _check_required(names: Sequence[str], value: Mapping[str, Any]) -> str | None:
    missing = [name for name in names if name not in value]
    return f"has no {', '.join(missing)}" if missing else None


def _check_format(name: str, value: str) -> str | None:
    return None if _FORMATS[name](value) else f"is {_shown(value)}, which is no {name}"


def _limit(words: str, breaks: Callable[[Any, Any], bool]) -> Callable[[Any, Any], str | None]:
    return lambda limit, value: f"is {_shown(value)}, {words} {limit}" if breaks(limit, value) else None


def _size(words: str, breaks: Callable[[int, int], bool]) -> Callable[[Any, Any], str | None]:
    return lambda limit, value: f"has {len(value)} {words} {limit}" if breaks(limit, len(value)) else None


def _reads(read: Callable[[str], object]) -> Callable[[str], bool]:
    def sound(text: str) -> bool:
        with suppress(ValueError):
            read(text)
            return True
        return False

    return sound


def _is_instant(text: str) -> bool:
    with suppress(ValueError):
        return datetime.fromisoformat(text).tzinfo is not None and "T" in text.upper()
    return False


_FORMATS: Mapping[str, Callable[[str], bool]] = {
    "date": _reads(date.fromisoformat),
    "time": _reads(time.fromisoformat),
    "date-time": _is_instant,
    "email": lambda text: re.fullmatch(r"[^@]+@[^@]+", text) is not None,
    "uri": lambda text: re.match(r"[A-Za-z][A-Za-z0-9+.-]*:\S", text) is not None,
    "uuid": _reads(UUID),
    "ipv4": _reads(ipaddress.IPv4Address),
    "ipv6": _reads(ipaddress.IPv6Address),
    "multiline": lambda _: True,  # a larger field in a form
}


# --- parts of values


def _in_items(schema: Any, value: Any, place: str, _: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from misfits(schema, item, f"{place}[{index}]")


def _in_properties(schemas: Mapping[str, Any], value: Any, place: str, _: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(value, dict):
        for name in schemas.keys() & value.keys():
            yield from misfits(schemas[name], value[name], _below(place, name))


def _in_others(schema: Any, value: Any, place: str, around: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(value, dict):
        for name in value.keys() - around.get("properties", {}).keys():
            yield from misfits(schema, value[name], _below(place, name))


def _in_all(schemas: Sequence[Any], value: Any, place: str, _: Mapping[str, Any]) -> Iterator[str]:
    for schema in schemas:
        yield from misfits(schema, value, place)


def _in_any(schemas: Sequence[Any], value: Any, place: str, _: Mapping[str, Any]) -> Iterator[str]:
    found = [list(misfits(schema, value, place)) for schema in schemas]
    if all(found):
        yield " and ".join(each[0] for each in found)


def _in_one(schemas: Sequence[Any], value: Any, place: str, around: Mapping[str, Any]) -> Iterator[str]:
    fitting = sum(not any(misfits(schema, value, place)) for schema in schemas)
    if not fitting:
        yield from _in_any(schemas, value, place, around)
    if fitting > 1:
        yield f"{place or 'it'} is {_shown(value)}, which fits {fitting} alternatives of oneOf"


def _not_in(schema: Any, value: Any, place: str, _: Mapping[str, Any]) -> Iterator[str]:
    if not any(misfits(schema, value, place)):
        yield f"{place or 'it'} is {_shown(value)}, which it may not be"


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


_WORDS: Mapping[str, _Word] = {
    "type": _Word(_types, None, _check_type),
    "enum": _Word(
        _values,
        None,
        lambda values, value: (
            None
            if any(same(each, value) for each in values)
            else f"is {_shown(value)}, which is none of {', '.join(map(_shown, values))}"
        ),
    ),
    "const": _Word(
        lambda _: None,
        None,
        lambda wanted, value: None if same(wanted, value) else f"is {_shown(value)}, and must be {_shown(wanted)}",
    ),
    "minimum": _Word(_number, "number", _limit("below", lambda limit, value: value < limit)),
    "maximum": _Word(_number, "number", _limit("above", lambda limit, value: value > limit)),
    "exclusiveMinimum": _Word(_number, "number", _limit("not above", lambda limit, value: value <= limit)),
    "exclusiveMaximum": _Word(_number, "number", _limit("not below", lambda limit, value: value >= limit)),
    "multipleOf": _Word(_positive, "number", _check_multiple),
    "minLength": _Word(_count, "string", _size("characters, fewer than", lambda limit, size: size < limit)),
    "maxLength": _Word(_count, "string", _size("characters, more than", lambda limit, size: size > limit)),
    "pattern": _Word(_pattern, "string", _check_pattern),
    "format": _Word(_format, "string", _check_format),
    "minItems": _Word(_count, "array", _size("items, fewer than", lambda limit, size: size < limit)),
    "maxItems": _Word(_count, "array", _size("items, more than", lambda limit, size: size > limit)),
    "uniqueItems": _Word(_switch, "array", _check_unique),
    "minProperties": _Word(_count, "object", _size("parts, fewer than", lambda limit, size: size < limit)),
    "maxProperties": _Word(_count, "object", _size("parts, more than", lambda limit, size: size > limit)),
    "required": _Word(_names, "object", _check_required),
    "items": _Inside(unsound, _in_items),
    "properties": _Inside(_schemas_by_name, _in_properties),
    "additionalProperties": _Inside(unsound, _in_others),
    "allOf": _Inside(_schemas, _in_all),
    "anyOf": _Inside(_schemas, _in_any),
    "oneOf": _Inside(_schemas, _in_one),
    "not": _Inside(unsound, _not_in),
}
