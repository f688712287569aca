"""Mapped operators as a DAG file writes them: `DockerOperator.partial(...).expand(...)`. What `partial` is given is
the same for all instances, `expand` says what differs (spec authoring 6)."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from orchestrator.authoring.elements import map_over, read_source, refuse_inner_map, sources_in
from orchestrator.authoring.faults import Rule, about, fault, keep
from orchestrator.authoring.graph import Graph
from orchestrator.authoring.reading import field_of, read_elements
from orchestrator.authoring.scope import Scope, begin_map, scope_for
from orchestrator.errors import AuthoringError
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.handles import handles_in
from orchestrator.spec.mapping import MAX_MAP_LENGTH, Axis, MapSpec, Source

_PROCESS = ("command", "entrypoint")


class Defined(Protocol):
    """A task of a graph."""

    graph: Graph
    node_id: str


_T = TypeVar("_T", bound=Defined)


class Partial(Generic[_T]):
    """An operator with the arguments that all instances of a task share."""

    def __init__(self, title: str, arguments: Mapping[str, Any], define: Callable[..., _T]) -> None:
        given = dict(arguments)
        self._max_length = given.pop("max_map_length", MAX_MAP_LENGTH)
        self._what = f"{title} {given.get('task_id')!r}"
        self._given = given
        self._define = define
        self._begun = begin_map(self._what, given.get("task_group"), given.get("dag"))

    def expand(self, **axes: Any) -> _T:
        """Define the task, with an instance for each element; of several arguments, for each combination."""

        def read(graph: Graph) -> dict[str | None, Axis]:
            found: dict[str | None, Axis] = {}
            for name, written in axes.items():
                field = field_of(self._what, name)
                self._refuse_twice((field,), found)
                found[field] = Axis(argument=field, source=self._source(name, field, written, graph))
            return found

        return self._defined(read)

    def expand_kwargs(self, elements: Any) -> _T:
        """Define the task, with an instance for each element: a dict of several arguments."""

        def read(graph: Graph) -> dict[str | None, Axis]:
            source = read_source(f"{self._what}: expand_kwargs", elements, graph, self._read_several)
            return {None: Axis(argument=None, source=source)}

        return self._defined(read)

    def _source(self, name: str, field: str, written: Any, graph: Graph) -> Source:
        def read(place: str, element: Any) -> Any:
            return self._read(place, {name: element})[field]

        return read_source(f"{self._what}: {name}", written, graph, read)

    def _scope(self) -> Scope:
        scope = scope_for(self._what, dag=self._given.get("dag"), group=self._given.get("task_group"))
        refuse_inner_map(self._what, scope)
        return scope

    def _read_several(self, place: str, written: Any) -> Any:
        if not isinstance(written, Mapping):
            raise fault(
                f"{self._what}: {place} of expand_kwargs is {written!r:.80}",
                rule=Rule.BAD_ARGUMENT,
                fix='write dicts of arguments, like {"command": "..."}',
            )
        fields = self._read(place, written)
        self._refuse_twice(fields, ())
        return fields

    def _read(self, place: str, given: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(read_elements(f"{self._what}: {place}", given))
        return found

    def _refuse_twice(self, fields: Collection[str], others: Collection[str | None]) -> None:
        """`bad_argument` where one of these fields has a value already, or what excludes it has."""
        shared = {field_of(self._what, name, expanded=False) for name in self._given}
        for field in fields:
            rivals = ("script",) if field in _PROCESS else _PROCESS if field == "script" else ()
            twice = next((each for each in (field, *rivals) if each in shared or each in others), None)
            if twice is not None:
                raise fault(
                    f"{self._what}: it cannot be expanded over {field}: it is given {twice} already",
                    rule=Rule.BAD_ARGUMENT,
                    fix="give each argument once, and script or command, not both",
                )

    def _defined(self, read: Callable[[Graph], Mapping[str | None, Axis]]) -> _T:
        self._begun()
        scope = self._scope()
        with about(scope.graph.dag_id, f"{scope.prefix}{self._given.get('task_id')}"):
            try:
                axes = read(scope.graph)
                over = map_over(self._what, tuple(axes.values()), self._max_length)
            except AuthoringError as error:
                keep(error)
                return self._define(**self._given)
            task = self._define(**self._given)
            self._open(task, axes)
            set_map(task.graph, task.node_id, over)
            return task

    def _open(self, task: Defined, fields: Collection[str | None]) -> None:
        """Have the fields that are expanded, and what they exclude, be nobody's but the elements'."""
        graph, spec = task.graph, task.graph.tasks[task.node_id]
        defaults, plain = ContainerTemplate(), spec.container or ContainerTemplate()
        unset = {
            *(field for field in fields if field is not None),
            *(("script",) if {*_PROCESS} & {*fields} else ()),
            *(_PROCESS if "script" in fields else ()),
        }
        plain = replace(plain, **{field: getattr(defaults, field) for field in unset})
        graph.tasks[task.node_id] = replace(spec, container=plain)


def set_map(graph: Graph, node_id: str, over: MapSpec) -> None:
    """Have a task or a group be mapped: it then waits for what it is mapped over."""
    if node_id in graph.tasks:
        graph.tasks[node_id] = replace(graph.tasks[node_id], map=over)
    else:
        graph.groups[node_id] = replace(graph.groups[node_id], map=over)
    handles = (handle.task_id for handle in handles_in(over) if handle.task_id in graph.tasks)
    for task_id in dict.fromkeys((*sources_in(over), *handles)):
        graph.connect(task_id, node_id)
