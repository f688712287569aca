"""Task groups: tasks that are shown together, share an id prefix, and take part in edges as one."""

from collections.abc import Callable, Mapping
from functools import update_wrapper
from types import MappingProxyType
from typing import Any, Generic, ParamSpec, Protocol, TypedDict, TypeVar, Unpack, overload

from orchestrator.authoring.edges import Node
from orchestrator.authoring.faults import Rule, fault, user_line
from orchestrator.authoring.mapped_calls import MappedCall
from orchestrator.authoring.mapping import set_map
from orchestrator.authoring.outputs import MappedArgument
from orchestrator.authoring.reading import check_names, read_defaults
from orchestrator.authoring.scope import Scope, scope_for
from orchestrator.authoring.without_effect import without_idle
from orchestrator.spec.dag import GroupSpec
from orchestrator.spec.mapping import MAX_MAP_LENGTH, MapSpec

_P = ParamSpec("_P")
_R = TypeVar("_R")


class GroupArguments(TypedDict, total=False):
    """What `TaskGroup` takes besides the id."""

    prefix_group_id: bool  #: put `<group_id>.` before the ids defined inside; True
    tooltip: str  #: shown beside it; of `@task_group` the docstring
    parent_group: Scope  #: the group around it, where it is not that of the surrounding `with`
    dag: Scope  #: the DAG, likewise
    default_args: Mapping[str, Any]  #: over those of the DAG, for the operators inside
    add_suffix_on_collision: bool  #: an id that is taken becomes `<group_id>__1`; False
    # accepted without effect: a warning says why
    ui_color: Any
    ui_fgcolor: Any


class MappableGroupArguments(GroupArguments, total=False):
    """What `@task_group` takes besides the id."""

    max_map_length: int  #: how many instances there may be where it is expanded; 1024


_IDLE = dict.fromkeys(("ui_color", "ui_fgcolor"), "pages show states by colour")


class TaskGroup(Scope, Node):
    """A group of tasks; use it in `with`. An edge to it reaches its first tasks, an edge from it leaves its
    last ones, whatever is put into it later."""

    __slots__ = ("node_id",)

    def __init__(self, group_id: str, **arguments: Unpack[GroupArguments]) -> None:
        what = f"TaskGroup {group_id!r}"
        check_names(f"{what} takes no argument", GroupArguments.__annotations__, arguments)
        around = scope_for(what, dag=arguments.get("dag"), group=arguments.get("parent_group"))
        without_idle(what, GroupArguments.__annotations__, _IDLE, arguments, around.graph)
        prefixed = _typed(what, "prefix_group_id", arguments.get("prefix_group_id", True), bool)
        suffixed = _typed(what, "add_suffix_on_collision", arguments.get("add_suffix_on_collision", False), bool)
        tooltip = _typed(what, "tooltip", arguments.get("tooltip", ""), str)
        defaults = read_defaults(what, arguments.get("default_args"), around.graph, around.default_args)
        node_id = around.prefix + str(group_id)
        self.node_id = around.graph.free_id(node_id) if suffixed else node_id
        around.graph.add_group(
            GroupSpec(group_id=self.node_id, parent=around.group_id, tooltip=tooltip), user_line()
        )
        super().__init__(
            around.graph,
            group_id=self.node_id,
            prefix=f"{self.node_id}." if prefixed else around.prefix,
            default_args=defaults,
        )


class Grouped(Generic[_P, _R]):
    """A function that defines tasks, in a group of its name. A second call makes `<group_id>__1`."""

    def __init__(self, function: Callable[_P, Any], group_id: str | None, arguments: Mapping[str, Any]) -> None:
        given = {"tooltip": (function.__doc__ or "").strip(), **arguments}
        self._function = function
        self._name = group_id or function.__name__
        self._max_length = given.pop("max_map_length", MAX_MAP_LENGTH)
        self._arguments: dict[str, Any] = given
        update_wrapper(self, function)

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Define the group: what the function returns, or the group where it returns nothing."""
        made: _R = self._define(args, kwargs)
        return made

    def partial(self, *args: Any, **kwargs: Any) -> MappedCall[_R]:
        """Arguments that all instances of a mapped group share; `.expand(...)` says what differs."""

        def define(over: MapSpec, stands: Mapping[str, str | None]) -> _R:
            made: _R = self._define(args, kwargs, over, stands)
            return made

        what = f"task group {self._name!r}"
        return MappedCall(what, self._scope, self._function, (args, kwargs), define, self._max_length)

    def expand(self, **axes: Any) -> _R:
        """Define the group once, with an instance of all its tasks for each element; of several arguments, for
        each combination. In the function an argument stands for the element."""
        return self.partial().expand(**axes)

    def expand_kwargs(self, elements: Any) -> _R:
        """Define the group, with an instance of all its tasks for each element: a dict of several arguments."""
        return self.partial().expand_kwargs(elements)

    def _scope(self) -> Scope:
        named = self._arguments
        return scope_for(f"task group {self._name!r}", dag=named.get("dag"), group=named.get("parent_group"))

    def _define(
        self,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        over: MapSpec | None = None,
        stands: Mapping[str, str | None] = MappingProxyType({}),
    ) -> Any:
        around = self._scope()
        free = around.graph.free_id(around.prefix + self._name).removeprefix(around.prefix)
        elements = {name: MappedArgument(around.graph, name, default=each) for name, each in stands.items()}
        with TaskGroup(free, **self._arguments) as group:
            if over is not None:
                set_map(around.graph, group.node_id, over)
            returned = self._function(*args, **kwargs, **elements)  # type: ignore[arg-type] # bound before
        return group if returned is None else returned


class Grouping(Protocol):
    """Decorates a function that defines tasks: a call gives what it returns, or the group."""

    @overload
    def __call__(self, function: Callable[_P, None], /) -> Grouped[_P, TaskGroup]: ...
    @overload
    def __call__(self, function: Callable[_P, _R], /) -> Grouped[_P, _R]: ...


@overload
def task_group(function: Callable[_P, None], /) -> Grouped[_P, TaskGroup]: ...
@overload
def task_group(function: Callable[_P, _R], /) -> Grouped[_P, _R]: ...
@overload
def task_group(
    function: str | None = None, /, *, group_id: str | None = None, **arguments: Unpack[MappableGroupArguments]
) -> Grouping: ...
def task_group(
    function: Callable[..., Any] | str | None = None, /, *, group_id: str | None = None, **arguments: Any
) -> Any:
    """Make a function that defines tasks define them in a group of its name. A call gives what the function
    returns, or the group where it returns nothing; a second call makes `<group_id>__1`."""
    if callable(function):
        return Grouped(function, group_id, arguments)
    return lambda decorated: Grouped(decorated, group_id or function, arguments)


_V = TypeVar("_V")


def _typed(what: str, name: str, value: object, kind: type[_V]) -> _V:
    if not isinstance(value, kind):
        raise fault(
            f"{what}: {name} is {value!r}", rule=Rule.BAD_ARGUMENT, fix=f"write a value of type {kind.__name__}"
        )
    return value
