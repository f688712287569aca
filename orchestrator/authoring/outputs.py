"""What a task hands on, as a value of the DAG file: a handle on the result that it will have in each run; and the
elements of a mapped group, which are values of the same kind."""

from collections.abc import Mapping
from typing import Any, NoReturn, Self

from orchestrator.authoring.data import ParamText
from orchestrator.authoring.edges import Node, Nodes
from orchestrator.authoring.faults import Rule, fault
from orchestrator.authoring.graph import Graph
from orchestrator.spec.handles import Handle
from orchestrator.spec.mapping import placeholder


class Expandable:
    """What a task can be expanded over besides lists and dicts (spec authoring 6)."""

    __slots__ = ()

    def zip(self, *others: Any, **fill: Any) -> "Combined":
        """Its elements and those of others together: the n-th ones as a list, as many as the shortest has;
        `fillvalue=` stands in for what lacks up to the longest."""
        for name in fill:
            if name != "fillvalue":
                raise fault(
                    f"zip takes no argument {name!r}", rule=Rule.UNKNOWN_ARGUMENT, fix="write fillvalue=..."
                )
        return Combined((self, *others), zipped=True, fill=fill)

    def concat(self, *others: Any) -> "Combined":
        """Its elements, then those of others."""
        return Combined((self, *others), zipped=False)

    def map(self, function: object) -> NoReturn:
        """Refused: no code of a DAG file runs between tasks."""
        name = getattr(function, "__name__", repr(function))
        raise fault(
            f".map({name}): no code of a DAG file runs between tasks",
            rule=Rule.BAD_ARGUMENT,
            fix="make it a task: decorate the function with @task.docker and .expand() it over the same elements",
        )


class Combined(Expandable):
    """Elements of several sources as one. `fill` holds the `fillvalue`, if there is one."""

    __slots__ = ("fill", "parts", "zipped")

    def __init__(self, parts: tuple[Any, ...], *, zipped: bool, fill: Mapping[str, Any] | None = None) -> None:
        self.parts = parts
        self.zipped = zipped
        self.fill = dict(fill or {})


class MappedArgument:
    """An argument of a mapped group: in the group it stands for the element of each instance. It may stand in
    arguments of tasks and in text, like the result of a task."""

    __slots__ = ("default", "graph", "key", "name")

    def __init__(self, graph: Graph, name: str, key: str = "", *, default: str | None = None) -> None:
        self.graph = graph
        self.name = name
        self.key = key
        self.default = default  #: JSON

    def __getitem__(self, key: str) -> "MappedArgument":
        if self.key or not isinstance(key, str) or not key:
            raise fault(
                f"{self!r}[{key!r}]: an element takes one key, which is a text",
                rule=Rule.BAD_ARGUMENT,
                fix="hand the whole part on, and take what you need of it in the task that gets it",
            )
        return MappedArgument(self.graph, self.name, key, default=self.default)

    def __str__(self) -> str:
        return placeholder(self.name, self.key, self.default)

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __repr__(self) -> str:
        return f"<element {self.name}{f'[{self.key!r}]' if self.key else ''}>"

    def __iter__(self) -> NoReturn:
        raise fault(
            f"{self!r} is not there yet: nobody can say what is in it while the DAG is written",
            rule=Rule.BAD_ARGUMENT,
            fix="pass it to a task, and look there",
        )


class Output(Node, Expandable):
    """The result of a task (`.output` of its operator, or what calling a decorated function gives), or a part of
    it: `output["rows"]`. It may stand in `>>` like its task, in arguments of other tasks, which then wait for this
    one, and in text: `f"... {output}"`."""

    __slots__ = ("graph", "handle", "node_id", "operator")

    operator: Any  #: the task

    def __init__(self, operator: Node, key: str = "") -> None:
        self.operator = operator
        self.graph = operator.graph
        self.node_id = operator.node_id
        self.handle = Handle(task_id=operator.node_id, key=key)

    def __getitem__(self, key: str) -> "Output":
        if self.handle.key or not isinstance(key, str) or not key:
            raise fault(
                f"{self!r}[{key!r}]: a handle takes one key, which is a text",
                rule=Rule.BAD_ARGUMENT,
                fix="hand the whole part on, and take what you need of it in the task that gets it",
            )
        return Output(self.operator, key)

    def as_setup(self) -> Self:
        """Make its task a setup."""
        self.operator.as_setup()
        return self

    def as_teardown(self, *, setups: Nodes | None = None, on_failure_fail_dagrun: bool = False) -> Self:
        """Make its task a teardown, as of an operator; `with` it then has a scope too."""
        self.operator.as_teardown(setups=setups, on_failure_fail_dagrun=on_failure_fail_dagrun)
        return self

    def __enter__(self) -> Self:
        self.operator.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self.operator.__exit__(*raised)

    def __str__(self) -> str:
        return self.handle.text

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __repr__(self) -> str:
        part = f"[{self.handle.key!r}]" if self.handle.key else ""
        return f"<result of {self.graph.dag_id}.{self.node_id}{part}>"

    def __bool__(self) -> NoReturn:
        raise self._too_early("whether it is true")

    def __iter__(self) -> NoReturn:
        raise self._too_early("what is in it")

    def __len__(self) -> NoReturn:
        raise self._too_early("how long it is")

    def _too_early(self, what: str) -> Exception:
        return fault(
            f"{self!r} is not there yet: nobody can say {what} while the DAG is written",
            rule=Rule.BAD_ARGUMENT,
            fix="pass it to a task, and look there",
        )


def with_handles(what: str, written: Any, graph: Graph, *, values: bool = False) -> Any:
    """The same value with the template of each `Output` in its place, at any depth; with `values` that of a param,
    too, which gives its value. `what` names the thing constructed; `bad_edge` where one is of another DAG."""
    if isinstance(written, Output | MappedArgument):
        if written.graph is not graph:
            raise fault(
                f"{what}: {written!r} is of another DAG",
                rule=Rule.BAD_EDGE,
                fix="results go from task to task of one run; share files of two DAGs in a data root",
            )
        return str(written)
    if isinstance(written, ParamText):
        return written.value if values else str(written)
    if isinstance(written, Mapping):
        return {name: with_handles(what, value, graph, values=values) for name, value in written.items()}
    if type(written) in (list, tuple):
        return type(written)(with_handles(what, value, graph, values=values) for value in written)
    return written
