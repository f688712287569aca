"""Mapped operators that run no container, as a DAG file writes them:
`TriggerDagRunOperator.partial(...).expand(conf=[...])`. In place of what differs stands the template of an
instance's element, as in calls of functions (spec authoring 6)."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, TypeVar

from orchestrator.authoring.elements import map_over, read_source, refuse_inner_map
from orchestrator.authoring.faults import Rule, about, fault, keep, nearest
from orchestrator.authoring.graph import Graph
from orchestrator.authoring.mapping import Defined, set_map
from orchestrator.authoring.reading import read_arguments
from orchestrator.authoring.scope import Scope, begin_map, scope_for
from orchestrator.authoring.taken import Argument
from orchestrator.errors import AuthoringError
from orchestrator.spec.mapping import MAX_MAP_LENGTH, Axis, Literal, MapSpec, Source, placeholder

_T = TypeVar("_T", bound=Defined)
#: Arguments that may differ, each with the JSON of what it is where an element does not have it; None: it must.
Expandable = Mapping[str, str | None]


class WaitingPartial(Generic[_T]):
    """An operator without container, with the arguments that all instances of a task share."""

    def __init__(
        self,
        title: str,
        takes: Mapping[str, Argument],
        expandable: Expandable,
        arguments: Mapping[str, Any],
        define: Callable[..., _T],
    ) -> None:
        given = dict(arguments)
        self._max_length = given.pop("max_map_length", MAX_MAP_LENGTH)
        self._title = title
        self._what = f"{title} {given.get('task_id')!r}"
        self._takes = takes
        self._expandable = expandable
        self._given = given
        self._define = define
        self._begun = begin_map(self._what, given.get("task_group"), given.get("dag"))

    def expand(self, **axes: Any) -> _T:
        """Define the task, with an instance for each element; of several arguments, for each combination."""
        return self._defined(lambda graph: (self._axes(axes, graph), dict.fromkeys(axes)))

    def expand_kwargs(self, elements: Any) -> _T:
        """Define the task, with an instance for each element: a dict of several arguments."""

        def read(graph: Graph) -> tuple[tuple[Axis, ...], Expandable]:
            source = read_source(f"{self._what}: expand_kwargs", elements, graph, self._read_several)
            return (Axis(argument=None, source=source),), self._stands(source)

        return self._defined(read)

    def _defined(self, read: Callable[[Graph], tuple[tuple[Axis, ...], Expandable]]) -> _T:
        self._begun()
        scope = self._scope()
        with about(scope.graph.dag_id, f"{scope.prefix}{self._given.get('task_id')}"):
            try:
                axes, stands = read(scope.graph)
                over: MapSpec | None = map_over(self._what, axes, self._max_length)
            except AuthoringError as error:
                keep(error)
                over, stands = None, {}
            elements = {name: placeholder(name, default=default) for name, default in stands.items()}
            task = self._define(**self._given, **elements)
            if over is not None:
                set_map(task.graph, task.node_id, over)
            return task

    def _scope(self) -> Scope:
        scope = scope_for(self._what, dag=self._given.get("dag"), group=self._given.get("task_group"))
        refuse_inner_map(self._what, scope)
        return scope

    def _axes(self, axes: Mapping[str, Any], graph: Graph) -> tuple[Axis, ...]:
        self._check_names(axes)
        return tuple(
            Axis(argument=name, source=self._source(name, written, graph)) for name, written in axes.items()
        )

    def _source(self, name: str, written: Any, graph: Graph) -> Source:
        return read_source(
            f"{self._what}: {name}", written, graph, lambda place, each: self._read(place, name, each)
        )

    def _read_several(self, place: str, written: Any) -> dict[str, Any]:
        if not isinstance(written, Mapping):
            raise fault(
                f"{self._what}: {place} of expand_kwargs is {written!r:.80}",
                rule=Rule.BAD_ARGUMENT,
                fix=f'write dicts of arguments, like {{"{next(iter(self._expandable))}": "..."}}',
            )
        self._check_names(written)
        lacks = [name for name in self._needed() if name not in written]
        if lacks:
            raise fault(
                f"{self._what}: {place} of expand_kwargs has no {lacks[0]}",
                rule=Rule.MISSING_ARGUMENT,
                fix=f"give {lacks[0]} in each element, or in partial()",
            )
        return {name: self._read(place, name, value) for name, value in written.items()}

    def _read(self, place: str, name: str, written: Any) -> Any:
        """One value, checked as the constructor does, empty for none; of what may be several, one."""
        argument = self._takes[name]
        read = read_arguments(f"{self._what}: {place}", self._takes, {name: written})
        value = read[argument.part][argument.field]
        if isinstance(value, tuple):
            return value[0] if value else ""
        return "" if value is None else value

    def _needed(self) -> list[str]:
        places = {self._takes[name][:2] for name in self._given if name in self._takes}
        return [
            name
            for name, default in self._expandable.items()
            if default is None and self._takes[name][:2] not in places
        ]

    def _check_names(self, wanted: Collection[str]) -> None:
        """`bad_argument` where one of these cannot differ, or has a value already."""
        taken = {self._takes[name][:2]: name for name in self._given if name in self._takes}
        for name in wanted:
            if name not in self._expandable:
                known = ", ".join(self._expandable)
                raise fault(
                    f"{self._what}: {name!r} cannot be expanded{nearest(name, self._expandable)}",
                    rule=Rule.BAD_ARGUMENT,
                    fix=f"of {self._title} these can: {known}; the rest goes into .partial()",
                )
            place = self._takes[name][:2]
            if place in taken:
                raise fault(
                    f"{self._what}: it cannot be expanded over {name}: it is given {taken[place]} already",
                    rule=Rule.BAD_ARGUMENT,
                    fix="give each argument once",
                )
            taken[place] = name

    def _stands(self, source: Source) -> Expandable:
        """The arguments that elements may hold: those that they do, or, where a task hands them on, each by its
        first name."""
        if isinstance(source, Literal):
            named = {name for element in source.values for name in element}
            return {name: self._expandable[name] for name in self._expandable if name in named}
        taken = {self._takes[name][:2] for name in self._given if name in self._takes}
        found: dict[str, str | None] = {}
        for name, default in self._expandable.items():
            if self._takes[name][:2] not in taken:
                taken.add(self._takes[name][:2])
                found[name] = default
        return found
