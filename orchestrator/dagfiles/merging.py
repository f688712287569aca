"""The elements of a mapped operator's instance in its container's template: those that stand in the DAG file before
it is rendered, as if the operator had been given them; those that a task handed on after it, since they are data.
An operator without container asks for its elements by templates.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from orchestrator.authoring.reading import read_elements
from orchestrator.errors import AuthoringError, RenderError
from orchestrator.spec.control import Control
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.mapping import Written
from orchestrator.spec.marks import has_templates
from orchestrator.spec.merging import with_fields
from orchestrator.templating.elements import Elements, is_written
from orchestrator.templating.fields import strings
from orchestrator.templating.names import nearest
from orchestrator.templating.static import StaticTemplate
from orchestrator.templating.values import fitted, takes_values


def with_written(template: ContainerTemplate, elements: Elements) -> ContainerTemplate:
    """The template with the elements of axes that are written out."""
    for axis, element in elements.picked:
        if is_written(axis) and isinstance(element, Written):
            template = with_fields(template, axis.argument, element.value)
    return template


def with_handed(template: ContainerTemplate, elements: Elements) -> ContainerTemplate:
    """The rendered template with all other elements, read as the operator's constructor reads its arguments.
    RenderError where one does not fit."""
    for axis, element in elements.picked:
        if not is_written(axis):
            name = axis.argument
            value = elements.value(element, f"element.{name}" if name else "element")
            value = fitted(name, value) if name is not None and takes_values(name) else value
            template = msgspec.structs.replace(template, **_fields(template, _arguments(name, value)))
    return template


def check_handed(control: Control, elements: Elements) -> None:
    """RenderError where an element of `expand_kwargs` that a task handed on is no object, or has what `control`
    does not ask for: its templates name all that may be in it."""
    for axis, element in elements.picked:
        if axis.argument is None:
            asked = {
                name
                for field, text in strings(control)
                if has_templates(text)
                for name in StaticTemplate(field, text).element_names()
            }
            unknown = sorted(_arguments(None, elements.value(element, "element")).keys() - asked)
            if unknown:
                raise RenderError(
                    f"expand_kwargs: an element has {unknown[0]!r}{nearest(unknown[0], asked)}",
                    field="element",
                    fix=f"these may be in it: {', '.join(sorted(asked))}",
                )


def _arguments(name: str | None, value: Any) -> Mapping[str, Any]:
    if name is not None:
        return {name: value}
    if not isinstance(value, Mapping):
        raise RenderError(
            f"expand_kwargs: an element is {value!r:.80}",
            field="element",
            fix="have the task hand on a list of objects, each with arguments of the operator",
        )
    return value


def _fields(template: ContainerTemplate, given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        fields = read_elements("its element", given)
    except AuthoringError as error:
        raise RenderError(error.message, fix=error.fix) from error
    for name in fields:
        if getattr(template, name) != getattr(ContainerTemplate(), name):
            raise RenderError(
                f"{name} is given in .partial(...), and again by an element",
                field="element",
                fix="give it in one of the two",
            )
    return fields
