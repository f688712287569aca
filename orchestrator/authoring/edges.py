"""Edges as they are written: `a >> b`, lists on either side, labels between, `chain`, `cross_downstream`."""

from collections.abc import Sequence
from typing import TypeVar, overload

from orchestrator.authoring.faults import Rule, fault
from orchestrator.authoring.graph import Graph


class Node:
    """What edges connect: a task or a task group of one DAG, by its id in that DAG's graph."""

    __slots__ = ()
    graph: Graph
    node_id: str

    def set_downstream(self, other: "Nodes", edge_modifier: "Label | None" = None) -> None:
        """Let `other` wait for this."""
        connect(self, other, edge_modifier)

    def set_upstream(self, other: "Nodes", edge_modifier: "Label | None" = None) -> None:
        """Let this wait for `other`."""
        connect(other, self, edge_modifier)

    @overload
    def __rshift__(self, other: "Label") -> "Labelled": ...
    @overload
    def __rshift__(self, other: "_N") -> "_N": ...
    def __rshift__(self, other: "Nodes | Label") -> "Nodes | Labelled":
        if isinstance(other, Label):
            return Labelled(self, other, forwards=True)
        connect(self, other)
        return other

    @overload
    def __lshift__(self, other: "Label") -> "Labelled": ...
    @overload
    def __lshift__(self, other: "_N") -> "_N": ...
    def __lshift__(self, other: "Nodes | Label") -> "Nodes | Labelled":
        if isinstance(other, Label):
            return Labelled(self, other, forwards=False)
        connect(other, self)
        return other

    def __rrshift__(self, other: "Sequence[Node]") -> "Node":
        connect(other, self)
        return self

    def __rlshift__(self, other: "Sequence[Node]") -> "Node":
        connect(self, other)
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.graph.dag_id}.{self.node_id}>"


class Label:
    """A label on the edges it stands between: `a >> Label("if empty") >> b`."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __rrshift__(self, other: Sequence[Node]) -> "Labelled":
        return Labelled(other, self, forwards=True)

    def __rlshift__(self, other: Sequence[Node]) -> "Labelled":
        return Labelled(other, self, forwards=False)


class Labelled:
    """One half of a labelled edge, waiting for the other end."""

    __slots__ = ("forwards", "label", "nodes")

    def __init__(self, nodes: "Nodes", label: Label, *, forwards: bool) -> None:
        self.nodes = nodes
        self.label = label
        self.forwards = forwards

    def __rshift__(self, other: "_N") -> "_N":
        self._same_way(forwards=True)
        connect(self.nodes, other, self.label)
        return other

    def __lshift__(self, other: "_N") -> "_N":
        self._same_way(forwards=False)
        connect(other, self.nodes, self.label)
        return other

    def _same_way(self, *, forwards: bool) -> None:
        if forwards is not self.forwards:
            raise fault(
                f"the edge through Label({self.label.text!r}) turns round",
                rule=Rule.BAD_EDGE,
                fix="use >> on both sides of a label, or << on both",
            )


Nodes = Node | Sequence[Node]
_N = TypeVar("_N", bound=Nodes)


def connect(upstream: Nodes, downstream: Nodes, label: Label | None = None) -> None:
    """An edge from each of `upstream` to each of `downstream`."""
    for parent in each_node(upstream):
        for child in each_node(downstream):
            if parent.graph is not child.graph:
                raise fault(
                    f"{parent.node_id!r} is a part of DAG {parent.graph.dag_id!r}, "
                    f"{child.node_id!r} of DAG {child.graph.dag_id!r}",
                    rule=Rule.BAD_EDGE,
                    fix="edges join tasks of one DAG",
                )
            parent.graph.connect(parent.node_id, child.node_id, label.text if label else "")


def chain(*links: Nodes | Label) -> None:
    """`chain(a, [b, c], [d, e], f)`: each link waits for the one before; of two lists that follow each other
    the first items are joined, the second ones, and so on, so they must be of equal length. A `Label` goes to
    the edges between its neighbours."""
    label: Label | None = None
    before: Nodes | None = None
    for link in links:
        if isinstance(link, Label):
            label = link
            continue
        if before is not None:
            _join(before, link, label)
            label = None
        before = link
    if label is not None:
        raise fault(
            f"chain: Label({label.text!r}) does not stand between two tasks",
            rule=Rule.BAD_EDGE,
            fix="write it between the tasks whose edge it labels",
        )


def cross_downstream(from_tasks: Sequence[Node], to_tasks: Nodes) -> None:
    """Let each of `to_tasks` wait for all of `from_tasks`."""
    connect(from_tasks, to_tasks)


def _join(before: Nodes, after: Nodes, label: Label | None) -> None:
    if isinstance(before, Node) or isinstance(after, Node):
        connect(before, after, label)
        return
    if len(before) != len(after):
        raise fault(
            f"chain: a list of {len(before)} is followed by one of {len(after)}",
            rule=Rule.BAD_EDGE,
            fix="make them equally long, or use cross_downstream",
        )
    for parent, child in zip(before, after, strict=True):
        connect(parent, child, label)


def each_node(nodes: Nodes) -> Sequence[Node]:
    """One node or several as several; `bad_edge` for anything else."""
    found = [nodes] if isinstance(nodes, Node) else nodes
    if not isinstance(found, list | tuple):
        raise _no_node(found)
    for node in found:
        if not isinstance(node, Node):
            raise _no_node(node)
    return found


def _no_node(thing: object) -> Exception:
    return fault(
        f"an edge joins tasks and task groups, not {type(thing).__name__} {thing!r}",
        rule=Rule.BAD_EDGE,
        fix="write a task, a task group, or a list of them on either side",
    )
