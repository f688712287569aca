"""What tasks and groups are expanded over: from what a DAG file writes (lists and dicts, results of tasks, and what
`zip` and `concat` make of several) to the sources of a spec (spec authoring 6)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orchestrator.authoring.data import json_of
from orchestrator.authoring.faults import Rule, fault
from orchestrator.authoring.graph import Graph
from orchestrator.authoring.outputs import Combined, MappedArgument, Output, with_handles
from orchestrator.authoring.scope import Scope
from orchestrator.authoring.template_files import with_texts
from orchestrator.spec.mapping import (
    Axis,
    Concat,
    FromResult,
    Literal,
    MapSpec,
    Source,
    Zip,
    results_in,
    source_length,
)

#: Reads one element that stands in the DAG file alone: its place in messages, and what was written.
ReadElement = Callable[[str, Any], Any]


def read_source(what: str, written: Any, graph: Graph, read: ReadElement | None = None) -> Source:
    """A source of elements. `read` tells of each that stands in the DAG file alone what its field takes; elsewhere,
    and without, elements are what JSON can say."""
    if isinstance(written, Output):
        with_handles(what, written, graph)  # which refuses another DAG's
        return FromResult(task_id=written.handle.task_id, key=written.handle.key)
    if isinstance(written, Combined):
        return _combined(what, written, graph)
    if isinstance(written, MappedArgument):
        raise fault(
            f"{what}: {written!r} is an element of the group's own map: no mapping inside a mapped group",
            rule=Rule.BAD_ARGUMENT,
            fix="give the task the element, and map over the task's result after the group",
        )
    if isinstance(written, Mapping):
        written = [[key, value] for key, value in written.items()]
    if not isinstance(written, list | tuple):
        raise fault(
            f"{what}: it cannot be expanded over {written!r:.80}",
            rule=Rule.BAD_ARGUMENT,
            fix="write a list, a dict, or the result of a task",
        )
    ready = with_texts(what, with_handles(what, list(written), graph, values=True), graph.searchpath)
    return Literal(values=[_element(what, place, each, read) for place, each in enumerate(ready)])


def map_over(what: str, axes: tuple[Axis, ...], max_length: Any) -> MapSpec:
    """The whole map; `bad_argument` where its DAG file alone says that it is too long, or empty of axes."""
    if not isinstance(max_length, int) or isinstance(max_length, bool) or max_length < 1:
        raise fault(f"{what}: max_map_length is {max_length!r}", rule=Rule.BAD_ARGUMENT, fix="write 1 or more")
    if not axes:
        raise fault(
            f"{what}: expand() names nothing", rule=Rule.MISSING_ARGUMENT, fix="write expand(command=[...])"
        )
    made = MapSpec(axes=axes, max_length=max_length)
    least = 1
    for axis in axes:
        if not any(True for _ in results_in(MapSpec(axes=(axis,)))):
            least *= source_length(axis.source, lambda _: 0)
    if least > max_length:
        raise fault(
            f"{what}: it would have {least} instances, and max_map_length is {max_length}",
            rule=Rule.BAD_ARGUMENT,
            fix="write fewer elements, or a larger max_map_length",
        )
    return made


def refuse_inner_map(what: str, scope: Scope) -> None:
    """`bad_argument` inside a mapped group: what is in it is expanded with it."""
    group_id = scope.group_id
    while group_id is not None:
        group = scope.graph.groups[group_id]
        if group.map is not None:
            raise fault(
                f"{what} stands in the mapped group {group_id!r}: no mapping inside a mapped group",
                rule=Rule.BAD_ARGUMENT,
                fix="map over both at once (two arguments of the group's expand), or map after the group",
            )
        group_id = group.parent


def sources_in(over: MapSpec) -> Iterator[str]:
    """The ids of the tasks whose results are expanded over."""
    yield from dict.fromkeys(result.task_id for result in results_in(over))


def _combined(what: str, written: Combined, graph: Graph) -> Source:
    sources = tuple(read_source(what, part, graph) for part in written.parts)
    if not written.zipped:
        return Concat(sources=sources)
    fill = _element(what, 0, written.fill["fillvalue"], None) if written.fill else None
    return Zip(sources=sources, filled=bool(written.fill), fill=fill)


def _element(what: str, place: int, written: Any, read: ReadElement | None) -> Any:
    where = f"element {place}"
    if read is not None:
        return read(where, written)
    try:
        return json_of(where, written)
    except ValueError as error:
        raise fault(
            f"{what}: {error}",
            rule=Rule.BAD_ARGUMENT,
            fix="write text, numbers, lists and dicts with text keys",
        ) from error
