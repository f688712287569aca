"""Params as a DAG file writes them: plain values, or `Param`s with a JSON schema."""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from orchestrator.authoring.data import json_of
from orchestrator.authoring.faults import Rule, fault
from orchestrator.spec.param_schemas import unsound
from orchestrator.spec.params import ParamSpec

_REQUIRED = object()


class Param:
    """A param with a default (without one, every run must be given it) and words of JSON schema that its value must
    fit: `Param(5, type="integer", minimum=1, description="...")`. Forms show `title`, `description`, `section`."""

    __slots__ = ("default", "schema")

    def __init__(self, default: Any = _REQUIRED, description: str | None = None, **schema: Any) -> None:
        told = {"description": description} if description is not None else {}
        self.default = default
        written = {**schema.pop("schema", {}), **told, **schema}
        self.schema: dict[str, Any] = {
            word: list(value) if isinstance(value, tuple) else value for word, value in written.items()
        }
        if why := unsound(self.schema):
            raise fault(f"Param: {why}", rule=Rule.BAD_ARGUMENT, fix="write words of JSON schema, as in minimum=1")

    def __repr__(self) -> str:
        default = "" if self.default is _REQUIRED else repr(self.default)
        return f"Param({', '.join([default, *(f'{name}={value!r}' for name, value in self.schema.items())])})"

    def with_default(self, default: Any) -> "Param":
        """The same with another default."""
        return Param(default, schema=self.schema)

    def spec(self) -> ParamSpec:
        """What is kept of it."""
        return ParamSpec(default=UNSET if self.default is _REQUIRED else self.default, schema=self.schema)


def specs_of(written: Any) -> dict[str, ParamSpec]:
    """`params`: names to values or Params. ValueError where it is none, or JSON cannot say it."""
    if not isinstance(written, Mapping) or not all(isinstance(name, str) for name in written):
        raise _misfit(written)
    return {name: _spec(name, value) for name, value in written.items()}


def constants_of(written: Any) -> dict[str, Any]:
    """`user_defined_macros`: names to JSON. ValueError where it is none, a function above all."""
    if written is None:
        return {}
    if not isinstance(written, Mapping) or not all(str(name).isidentifier() for name in written):
        raise _misfit(written)
    for name, value in written.items():
        if callable(value):
            raise ValueError(  # noqa: TRY004 - readers of arguments all raise it
                f"{name} is a function, which cannot leave the process that reads DAG files; make it a constant,"
                " write a macro of the template's own ({% macro %}), or compute it in a task"
            )
    return {str(name): json_of(str(name), value) for name, value in written.items()}


def _misfit(written: object) -> ValueError:
    return ValueError(f"expected a dict of names, got {written!r}")


def _spec(name: str, value: Any) -> ParamSpec:
    found = value.spec() if isinstance(value, Param) else ParamSpec(default=value)
    return found if found.default is UNSET else replace(found, default=json_of(name, found.default))
