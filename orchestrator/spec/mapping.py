"""Mapping: one task instance for each element of what a task, or a group of tasks, is expanded over (spec
authoring 6). Lengths are worked out by the planner, which knows only how long results are; elements are picked
where templates are rendered, which is where results are at hand.
"""

from collections.abc import Callable, Collection, Iterator
from math import prod
from typing import Any, Protocol

import msgspec

from orchestrator.spec.value import Json, Value

#: How many elements a task may be expanded over where its DAG file does not say (spec authoring 6).
MAX_MAP_LENGTH = 1024


class Literal(Value, frozen=True, kw_only=True, tag="literal"):
    """Elements that stand in the DAG file: their strings are templates. Of a dict they are `[key, value]`. Where it
    is all that an operator's argument runs over, each is what the argument's field takes."""

    values: list[Any]


class FromResult(Value, frozen=True, kw_only=True, tag="result"):
    """The elements of an upstream task's result, or of the part of it under `key`: data, never rendered. Of a
    mapped task: its results in order, those that are null left out. Of a dict they are `[key, value]`."""

    task_id: str
    key: str = ""


class Zip(Value, frozen=True, kw_only=True, tag="zip"):
    """The n-th elements of all sources, as a list each; as many as the shortest has, or where `filled` as the
    longest, with `fill` in place of what lacks."""

    sources: tuple["Source", ...]
    filled: bool = False
    fill: Any = None


class Concat(Value, frozen=True, kw_only=True, tag="concat"):
    """The elements of all sources, one source after the other."""

    sources: tuple["Source", ...]


Source = Literal | FromResult | Zip | Concat


class Axis(Value, frozen=True, kw_only=True):
    """What an argument runs over: a field of the container's template, or a parameter of a function or a group.
    Without a name each element is an object of several arguments."""

    argument: str | None
    source: Source


class MapSpec(Value, frozen=True, kw_only=True):
    """What is expanded over: the cross product of the axes, the last one running fastest."""

    axes: tuple[Axis, ...]
    max_length: int = MAX_MAP_LENGTH


#: Tells how many elements a result has (or its part under a key).
SizeOf = Callable[[FromResult], int]


def results_in(spec: MapSpec) -> Iterator[FromResult]:
    """Every result that is expanded over."""
    for axis in spec.axes:
        yield from _results(axis.source)


def length(spec: MapSpec, size_of: SizeOf) -> int:
    """How many instances there are. What `size_of` raises goes through."""
    return prod(source_length(axis.source, size_of) for axis in spec.axes)


def source_length(source: Source, size_of: SizeOf) -> int:
    """How many elements a source has."""
    match source:
        case Literal():
            return len(source.values)
        case FromResult():
            return size_of(source)
        case Zip():
            lengths = [source_length(each, size_of) for each in source.sources]
            return max(lengths) if source.filled else min(lengths)
        case Concat():
            return sum(source_length(each, size_of) for each in source.sources)


def places(spec: MapSpec, index: int, size_of: SizeOf) -> tuple[int, ...]:
    """Which element of each axis the instance with this map index takes."""
    found = []
    for axis in reversed(spec.axes[1:]):
        index, place = divmod(index, source_length(axis.source, size_of))
        found.append(place)
    return (index, *reversed(found))


class Written(Value, frozen=True, kw_only=True):
    """An element, or a part of one, that stands in the DAG file: its strings are templates."""

    value: Any


class Handed(Value, frozen=True, kw_only=True):
    """One that a task handed on: data."""

    value: Any


Element = Written | Handed | tuple["Element", ...]


class Results(Protocol):
    """Where elements of results come from."""

    def size(self, result: FromResult, /) -> int:
        """How many elements a result has."""

    def element(self, result: FromResult, place: int, /) -> Any:
        """One of them."""


def pick(spec: MapSpec, index: int, results: Results) -> tuple[Element, ...]:
    """What the instance with this map index takes of each axis."""
    chosen = zip(spec.axes, places(spec, index, results.size), strict=True)
    return tuple(_element(axis.source, place, results) for axis, place in chosen)


def placeholder(name: str, key: str = "", default: str | None = None) -> str:
    """The template that stands for an instance's element of an axis: its value where a value may stand, and else as
    text. `key` takes a part of it; `default` is JSON for where an object of several arguments has none of this
    name."""
    words = [msgspec.json.encode(each).decode() for each in ((name, key) if key else (name,))]
    if default is not None:
        words.append(f"default={msgspec.json.encode(default).decode()}")
    return f"{{{{ element({', '.join(words)}) | text }}}}"


def sizes_of(data: bytes | None, wanted: Collection[str]) -> dict[str, int]:
    """Of a result (JSON), how many elements it has under `""`, and its parts under the other wanted keys; nothing
    where there is no such part or it is null, and -1 for what has no elements."""
    if not wanted or data is None:
        return {}
    value = msgspec.json.decode(data)
    parts = {key: value if not key else value.get(key) if isinstance(value, dict) else None for key in wanted}
    return {key: _size(part) for key, part in parts.items() if part is not None}


def _size(value: Json) -> int:
    return len(value) if isinstance(value, list | dict) else -1


def _element(source: Source, place: int, results: Results) -> Element:
    match source:
        case Literal():
            return Written(value=source.values[place])
        case FromResult():
            return Handed(value=results.element(source, place))
        case Zip():
            return tuple(
                Written(value=source.fill)
                if source.filled and place >= source_length(each, results.size)
                else _element(each, place, results)
                for each in source.sources
            )
        case Concat():
            return _of_concat(source, place, results)


def _of_concat(source: Concat, place: int, results: Results) -> Element:
    *earlier, last = source.sources
    for each in earlier:
        size = source_length(each, results.size)
        if place < size:
            return _element(each, place, results)
        place -= size
    return _element(last, place, results)


def _results(source: Source) -> Iterator[FromResult]:
    match source:
        case FromResult():
            yield source
        case Zip() | Concat():
            for each in source.sources:
                yield from _results(each)
        case Literal():
            pass
