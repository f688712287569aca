"""The texts of what tasks and groups are expanded over, as far as it stands in a DAG file."""

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.planning.units import Unit
from orchestrator.spec.dag import ContainerTemplate, TaskSpec
from orchestrator.spec.mapping import Axis, Concat, FromResult, Literal, Source, Zip
from orchestrator.spec.merging import with_fields
from orchestrator.templating.fields import strings


def element_texts(unit: Unit, task: TaskSpec) -> Iterator[tuple[str, str]]:
    """Field and text of every string in the elements that a unit, one of whose tasks is given, is expanded over."""
    of_operator = not unit.is_group and task.container is not None and task.function is None
    for axis in unit.map.axes:
        if of_operator and isinstance(axis.source, Literal):
            for element in axis.source.values:
                yield from strings(with_fields(ContainerTemplate(), axis.argument, element))
        else:
            yield from _texts(_literals(axis.source), _place(axis))


def _place(axis: Axis) -> str:
    return "element" if axis.argument is None else f"element.{axis.argument}"


def _literals(source: Source) -> list[Any]:
    match source:
        case Literal():
            return source.values
        case FromResult():
            return []
        case Zip() | Concat():
            return [value for each in source.sources for value in _literals(each)]


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, f"{place}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{place}[{index}]")
