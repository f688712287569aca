"""Edges as they are written: `a >> b`, lists on either side, labels between, `chain`, `cross_downstream`."""

from collections.abc import Sequence
from itertools import cycle
from typing import TypeVar, cast, overload

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


def chain(*links: Nodes | Label | Sequence[Label]) -> None:
    """`chain(a, [b, c], [d, e], f)`: each link waits for the one before; of two lists that follow each other
    the first items are joined, the second ones, and so on, so they must be of equal length. A `Label` goes to
    all edges between its neighbours, a list of them one by one: `chain(a, [Label("x"), Label("y")], [b, c])`."""
    labels: list[Label] = []
    before: Nodes | None = None
    for link in links:
        if found := _labels(link):
            labels = found
            continue
        nodes = cast("Nodes", link)
        if before is not None:
            _join(before, nodes, labels)
            labels = []
        before = nodes
    if labels:
        raise fault(
            f"chain: {_shown(labels)} does not stand between two tasks",
            rule=Rule.BAD_EDGE,
            fix="write it between the tasks whose edge it labels",
        )


def cross_downstream(from_tasks: Sequence[Node], to_tasks: Nodes) -> None:
    """Let each of `to_tasks` wait for all of `from_tasks`."""
    connect(from_tasks, to_tasks)


def _labels(link: object) -> list[Label]:
    """The label or labels that a link of a chain is; none where it is something else."""
    found = [each for each in (link if isinstance(link, list | tuple) else [link]) if isinstance(each, Label)]
    return found if not isinstance(link, list | tuple) or len(found) == len(link) else []


def _join(before: Nodes, after: Nodes, labels: Sequence[Label]) -> None:
    pairs = _pairs(before, after)
    if len(labels) > 1 and len(labels) != len(pairs):
        raise fault(
            f"chain: {_shown(labels)} are {len(labels)} labels for {len(pairs)} edges",
            rule=Rule.BAD_EDGE,
            fix="write one label for all of them, or one for each",
        )
    for (parent, child), label in zip(pairs, cycle(labels or [None]), strict=False):
        connect(parent, child, label)


def _pairs(before: Nodes, after: Nodes) -> list[tuple[Node, Node]]:
    if isinstance(before, Node) or isinstance(after, Node):
        return [(parent, child) for parent in each_node(before) for child in each_node(after)]
    if len(before) != len(after):
        raise fault(
            f"chain: a list of {len(before)} is followed by one of {len(after)}",
            rule=Rule.BAD_EDGE,
            fix="make them equally long, or use cross_downstream",
        )
    return list(zip(before, after, strict=True))


def _shown(labels: Sequence[Label]) -> str:
    return ", ".join(f"Label({each.text!r})" for each in labels)


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
