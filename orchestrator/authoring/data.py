"""Values of a DAG file that travel as data: what JSON can say, and the values of params."""

import math
from collections.abc import Mapping
from typing import Any, Self

_LARGEST = 2**63


class ParamText(str):
    """The template of a param, which as an argument of a function is its value."""

    __slots__ = ("name",)
    name: str

    def __new__(cls, name: str) -> Self:
        made = super().__new__(cls, f"{{{{ params.{name} }}}}")
        made.name = name
        return made

    @property
    def value(self) -> str:
        """The template that gives the value as it is."""
        return f"{{{{ params.{self.name} | text }}}}"


def json_of(place: str, value: Any) -> Any:
    """The value as JSON says it; ValueError where it cannot. `place` leads to it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if (isinstance(value, int) and -_LARGEST <= value < 2 * _LARGEST) or (
        isinstance(value, float) and math.isfinite(value)
    ):
        return value
    if isinstance(value, list | tuple):
        return [json_of(f"{place}[{index}]", item) for index, item in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: json_of(f"{place}[{key!r}]", item) for key, item in value.items()}
    raise ValueError(f"{place} is {value!r:.80}, which JSON cannot say")
