"""`element` in templates: what an instance of a mapped task, or of a task in a mapped group, runs over. What stands
in the DAG file is rendered; what a task handed on is data, and inserted as it is.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from orchestrator.errors import RenderError
from orchestrator.spec.mapping import Axis, Element, FromResult, Handed, Literal, Written, pick
from orchestrator.templating.facts import TemplateFacts
from orchestrator.templating.names import nearest
from orchestrator.templating.task_instance import TaskInstanceFacade

#: Renders one string: where it stands, and its text.
Render = Callable[[str, str], Any]


class Elements:
    """What an instance takes of each axis."""

    def __init__(self, facts: TemplateFacts, ti: TaskInstanceFacade) -> None:
        self._map = facts.map
        self._index = facts.key.map_index
        self._results = _Handed(facts, ti)
        self._render: Render = lambda _, text: text
        self._picked: tuple[tuple[Axis, Element], ...] | None = None

    def render_by(self, render: Render) -> None:
        """How templates in elements are rendered."""
        self._render = render

    @property
    def picked(self) -> tuple[tuple[Axis, Element], ...]:
        """Each axis with the element of this instance. RenderError where there is none."""
        if self._map is None or self._index < 0:
            raise RenderError(
                "element() is for instances of mapped tasks, and this is none",
                fix="map the task or its group with .expand(...)",
            )
        if self._picked is None:
            picked = pick(self._map, self._index, self._results)
            self._picked = tuple(zip(self._map.axes, picked, strict=True))
        return self._picked

    def __call__(self, name: str, key: str = "", *, default: str | None = None) -> Any:
        """The element of an argument, or the part of it under a key. `default` is JSON for where an object of
        several arguments has none of this name."""
        value = self._named(name, default)
        if not key:
            return value
        if not isinstance(value, Mapping) or key not in value:
            raise RenderError(f"the element of {name!r} has no part {key!r}", fix="look at what it is mapped over")
        return value[key]

    def value(self, element: Element, place: str) -> Any:
        """An element with everything in it rendered that stands in the DAG file."""
        match element:
            case Written():
                return self._rendered(element.value, place)
            case Handed():
                return element.value
            case _:
                return [self.value(part, f"{place}[{index}]") for index, part in enumerate(element)]

    def _named(self, name: str, default: str | None) -> Any:
        known: list[str] = []
        for axis, element in self.picked:
            if axis.argument == name:
                return self.value(element, f"element.{name}")
            if axis.argument is None:
                parts = self.value(element, "element")
                if isinstance(parts, Mapping) and name in parts:
                    return parts[name]
                known += parts if isinstance(parts, Mapping) else ()
            else:
                known.append(axis.argument)
        if default is not None:
            return msgspec.json.decode(default)
        raise RenderError(
            f"this task is not mapped over {name!r}{nearest(name, known)}", fix="name what .expand(...) names"
        )

    def _rendered(self, value: Any, place: str) -> Any:
        if isinstance(value, str):
            return self._render(place, value)
        if isinstance(value, Mapping):
            return {key: self._rendered(item, f"{place}.{key}") for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._rendered(item, f"{place}[{index}]") for index, item in enumerate(value)]
        return value


class _Handed:
    """Elements of results. Of a mapped task's only the one that is wanted is read."""

    def __init__(self, facts: TemplateFacts, ti: TaskInstanceFacade) -> None:
        self._facts = facts
        self._ti = ti

    def size(self, result: FromResult, /) -> int:
        if result.task_id in self._facts.mapped and not result.key:
            return self._facts.counts.get(result.task_id, 0)
        return len(self._all(result))

    def element(self, result: FromResult, place: int, /) -> Any:
        if result.task_id in self._facts.mapped and not result.key:
            found = self._ti.instances(result.task_id, place)
            place = 0
        else:
            found = self._all(result)
        if place >= len(found):
            raise RenderError(
                f"the result of {result.task_id!r} has no element {place} any more",
                fix="clear this task together with what it is mapped over",
            )
        return found[place]

    def _all(self, result: FromResult) -> list[Any]:
        if result.task_id in self._facts.mapped:
            parts = (each.get(result.key) for each in self._ti.instances(result.task_id) if isinstance(each, dict))
            return [part for part in parts if part is not None]
        value = self._ti.handed(result.task_id, result.key)
        if value is None:
            raise RenderError(
                f"the result of {result.task_id!r} is not there", fix=f"have {result.task_id} run first"
            )
        return [[key, item] for key, item in value.items()] if isinstance(value, dict) else list(value)


def is_written(axis: Axis) -> bool:
    """Whether all elements of an axis stand in the DAG file, in the form of their fields."""
    return isinstance(axis.source, Literal)
