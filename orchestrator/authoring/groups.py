"""Task groups: tasks that are shown together, share an id prefix, and take part in edges as one."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypedDict, TypeVar, Unpack, overload

from orchestrator.authoring.edges import Node
from orchestrator.authoring.faults import Rule, fault, user_line
from orchestrator.authoring.reading import check_names, read_defaults, without_idle
from orchestrator.authoring.scope import Scope, scope_for
from orchestrator.spec.dag import GroupSpec

_P = ParamSpec("_P")
_R = TypeVar("_R")


class GroupArguments(TypedDict, total=False):
    """What `TaskGroup` and `@task_group` take besides the id."""

    prefix_group_id: bool  #: put `<group_id>.` before the ids defined inside; True
    tooltip: str  #: shown beside it; of `@task_group` the docstring
    parent_group: Scope  #: the group around it, where it is not that of the surrounding `with`
    dag: Scope  #: the DAG, likewise
    default_args: Mapping[str, Any]  #: over those of the DAG, for the operators inside
    add_suffix_on_collision: bool  #: an id that is taken becomes `<group_id>__1`; False
    # accepted without effect: a warning says why
    ui_color: Any
    ui_fgcolor: Any


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


class Grouping(Protocol):
    """Decorates a function that defines tasks: a call gives what it returns, or the group."""

    @overload
    def __call__(self, function: Callable[_P, None], /) -> Callable[_P, TaskGroup]: ...
    @overload
    def __call__(self, function: Callable[_P, _R], /) -> Callable[_P, _R]: ...


@overload
def task_group(function: Callable[_P, None], /) -> Callable[_P, TaskGroup]: ...
@overload
def task_group(function: Callable[_P, _R], /) -> Callable[_P, _R]: ...
@overload
def task_group(
    function: str | None = None, /, *, group_id: str | None = None, **arguments: Unpack[GroupArguments]
) -> Grouping: ...
def task_group(
    function: Callable[..., Any] | str | None = None, /, *, group_id: str | None = None, **arguments: Any
) -> Any:
    """Make a function that defines tasks define them in a group of its name. A call gives what the function
    returns, or the group where it returns nothing; a second call makes `<group_id>__1`."""
    if callable(function):
        return _grouped(function, group_id, arguments)
    return lambda decorated: _grouped(decorated, group_id or function, arguments)


def _grouped(function: Callable[..., Any], group_id: str | None, arguments: Mapping[str, Any]) -> Any:
    name = group_id or function.__name__
    given = {"tooltip": (function.__doc__ or "").strip(), **arguments}

    @wraps(function)
    def define(*args: Any, **kwargs: Any) -> Any:
        around = scope_for(f"task group {name!r}", dag=given.get("dag"), group=given.get("parent_group"))
        free = around.graph.free_id(around.prefix + name).removeprefix(around.prefix)
        with TaskGroup(free, **given) as group:
            returned = function(*args, **kwargs)
        return group if returned is None else returned

    return define


_V = TypeVar("_V")


def _typed(what: str, name: str, value: object, kind: type[_V]) -> _V:
    if not isinstance(value, kind):
        raise fault(
            f"{what}: {name} is {value!r}", rule=Rule.BAD_ARGUMENT, fix=f"write a value of type {kind.__name__}"
        )
    return value
