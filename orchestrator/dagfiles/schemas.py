"""JSON schemas: whether one is sound, and what of a result does not fit one. Loaded in authoring workers only: a
pattern may take for ever over a hostile text, and holds up the whole process that tries it."""

from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

#: Misfits that a message names, and characters of each.
_TOLD = 3
_LONGEST = 200


def unsound(schema: dict[str, Any]) -> str | None:
    """Why this is no JSON schema that can be used; None where it is one."""
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        return f"{error.json_path} {_short(error.message)}"
    foreign = next((ref for ref in _references(schema) if not ref.startswith("#")), None)
    return foreign and f"$ref {foreign!r} leads out of it"


def misfit(schema: dict[str, Any], data: bytes) -> str | None:
    """What does not fit, as in `$.rows: 'x' is not of type 'integer'`; None where all does. `data` is JSON, and
    `schema` sound."""
    try:
        errors = _validator(schema).iter_errors(msgspec.json.decode(data))
        found = sorted(map(_nearest, errors), key=lambda error: error.json_path)
    except Unresolvable as error:
        return f"result_schema itself refers to what it has not: {error}"
    except RecursionError:
        return "it, or result_schema, is nested too deep"
    told = [f"{error.json_path}: {_short(error.message)}" for error in found[:_TOLD]]
    more = f" (and {len(found) - _TOLD} more)" if len(found) > _TOLD else ""
    return f"{'; '.join(told)}{more}" if told else None


def _validator(schema: dict[str, Any]) -> Validator:
    """Nothing that a schema refers to is fetched."""
    kind = validator_for(schema, default=Draft202012Validator)
    return kind(schema, registry=Registry(), format_checker=_formats(kind.FORMAT_CHECKER))


def _formats(known: FormatChecker) -> FormatChecker:
    """The formats that the library checks by itself, and instants."""
    checker = FormatChecker(known.checkers)
    checker.checkers = known.checkers | {"date-time": (_is_instant, ())}
    return checker


def _is_instant(value: object) -> bool:
    if not isinstance(value, str):
        return True
    with suppress(ValueError):
        return datetime.fromisoformat(value).tzinfo is not None and "T" in value.upper()
    return False


def _nearest(error: ValidationError) -> ValidationError:
    """Where several alternatives fail, what is wrong with the one that came nearest."""
    return best_match([error]) or error


def _references(schema: object) -> list[str]:
    if isinstance(schema, dict):
        own = [ref] if isinstance(ref := schema.get("$ref"), str) else []
        return own + [ref for value in schema.values() for ref in _references(value)]
    if isinstance(schema, list):
        return [ref for value in schema for ref in _references(value)]
    return []


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
