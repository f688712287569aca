"""Elements that stand in a DAG file, in the container template of one instance of a mapped operator."""

from collections.abc import Mapping
from typing import Any

import msgspec

from orchestrator.spec.dag import ContainerTemplate, TaskSpec
from orchestrator.spec.mapping import Literal, MapSpec, places


def needs_results(task: TaskSpec) -> bool:
    """Whether arguments of an operator are elements of results, whatever its template says."""
    return (
        task.map is not None and task.container is not None and task.function is None and not _is_written(task.map)
    )


def written_template(task: TaskSpec, index: int) -> ContainerTemplate:
    """The template of one instance of an operator that is mapped over nothing but what its DAG file says; of any
    other task, the task's."""
    template = task.container or ContainerTemplate()
    if task.map is None or task.function is not None or index < 0 or not _is_written(task.map):
        return template
    chosen = places(task.map, index, lambda _: 0)
    for axis, place in zip(task.map.axes, chosen, strict=True):
        if isinstance(axis.source, Literal):
            template = with_fields(template, axis.argument, axis.source.values[place])
    return template


def with_fields(template: ContainerTemplate, field: str | None, element: Any) -> ContainerTemplate:
    """The template with an element of an axis in its field, or, where the axis has no name, in the fields that it
    names."""
    fields: Mapping[str, Any] = element if field is None else {field: element}
    return msgspec.convert(msgspec.to_builtins(template) | dict(fields), ContainerTemplate)


def _is_written(over: MapSpec) -> bool:
    return all(isinstance(axis.source, Literal) for axis in over.axes)
