"""Tasks, groups and edges of one DAG as plain data, and what follows from them: edges between tasks where
groups took part, a topological order, or the path of a cycle."""

import heapq
from collections.abc import Iterable
from itertools import count, product

from orchestrator.authoring.faults import Note, Rule, about, fault
from orchestrator.ids import is_identifier
from orchestrator.spec.dag import GroupSpec, TaskSpec

#: (upstream id, downstream id) -> label; an edge without one has "".
Edges = dict[tuple[str, str], str]


class Graph:
    """What has been written of one DAG so far. Tasks and groups share one namespace."""

    __slots__ = ("_group_lines", "_scopes", "dag_id", "edges", "groups", "notes", "searchpath", "tasks")

    def __init__(self, dag_id: str, searchpath: tuple[str, ...] = ()) -> None:
        self.dag_id = dag_id
        self.searchpath = searchpath  #: where its template files are looked for, beside the DAG file's own folder
        self.tasks: dict[str, TaskSpec] = {}
        self.groups: dict[str, GroupSpec] = {}
        self.edges: Edges = {}
        self.notes: list[Note] = []
        self._group_lines: dict[str, int] = {}
        self._scopes: list[int] = []  #: how many tasks there were when each teardown's scope was opened

    def add_task(self, task: TaskSpec) -> None:
        self._claim("task", task.task_id)
        self.tasks[task.task_id] = task

    def add_group(self, group: GroupSpec, line: int) -> None:
        self._claim("task group", group.group_id)
        self.groups[group.group_id] = group
        self._group_lines[group.group_id] = line

    def free_id(self, name: str) -> str:
        """`name`, or the first of `name__1`, `name__2`, ... that is not taken."""
        taken = self.tasks.keys() | self.groups.keys()
        tried = (f"{name}__{number}" if number else name for number in count())
        return next(each for each in tried if each not in taken)

    def connect(self, upstream: str, downstream: str, label: str = "") -> None:
        """Add an edge between tasks or groups; a repeated one is one edge, and keeps its label."""
        with about(self.dag_id):
            self._check_edge(upstream, downstream)
        pair = (upstream, downstream)
        self.edges[pair] = label or self.edges.get(pair, "")

    def _check_edge(self, upstream: str, downstream: str) -> None:
        if upstream == downstream:
            raise fault(
                f"{upstream!r} cannot wait for itself: {upstream} -> {downstream}",
                rule=Rule.CYCLE,
                fix="remove this edge",
            )
        for inner, outer in ((upstream, downstream), (downstream, upstream)):
            if outer in self.around(inner):
                raise fault(
                    f"{upstream!r} >> {downstream!r}: {inner!r} is a part of {outer!r}",
                    rule=Rule.BAD_EDGE,
                    fix="connect it to what stands outside the group",
                )

    def open_scope(self) -> None:
        """From here on tasks are in the scope of a teardown, until it is closed."""
        self._scopes.append(len(self.tasks))

    def close_scope(self, teardown: str) -> None:
        """Put the tasks defined since the scope was opened after the teardown's setups and before it."""
        inner = list(self.tasks)[self._scopes.pop() :]
        within = [(up, down) for up, down in self.edges if up in inner and down in inner]
        setups = [up for up, down in self.edges if down == teardown and up in self.tasks and self.tasks[up].setup]
        for task in inner:
            if all(down != task for _, down in within):
                for setup in setups:
                    self.connect(setup, task)
            if all(up != task for up, _ in within):
                self.connect(task, teardown)

    def task_edges(self) -> Edges:
        """The edges between tasks: a group stands for its first tasks downstream of an edge, and for its last
        ones upstream. A label goes to each edge that came of its own. `empty_group` where it has no tasks."""
        members = self._members()
        resolved: Edges = {}
        for (upstream, downstream), label in sorted(self.edges.items(), key=self._depth, reverse=True):
            last = self._ends(upstream, members, resolved, last=True)
            first = self._ends(downstream, members, resolved, last=False)
            for pair in product(last, first):
                resolved[pair] = label or resolved.get(pair, "")
        return resolved

    def line_of(self, group_id: str) -> int:
        """Where a group was constructed."""
        return self._group_lines[group_id]

    def _claim(self, kind: str, name: str) -> None:
        if not is_identifier(name):
            raise fault(
                f"{name!r} cannot be the id of a {kind}",
                rule=Rule.BAD_ID,
                fix="use letters, digits and ._- only, 250 at most",
            )
        earlier = self.tasks.get(name)
        if earlier is not None or name in self.groups:
            place = f" (line {earlier.line})" if earlier else ""
            holder = "task" if earlier else "task group"
            raise fault(
                f"DAG {self.dag_id!r} has a {holder} {name!r} already{place}",
                rule=Rule.DUPLICATE_ID,
                fix="give it another id",
            )

    def around(self, name: str) -> list[str]:
        """The groups around a task or group, innermost first."""
        found: list[str] = []
        group = self.tasks[name].group if name in self.tasks else self.groups[name].parent
        while group is not None:
            found.append(group)
            group = self.groups[group].parent
        return found

    def _members(self) -> dict[str, list[str]]:
        members: dict[str, list[str]] = {group: [] for group in self.groups}
        for task in self.tasks:
            for group in self.around(task):
                members[group].append(task)
        return members

    def _ends(self, name: str, members: dict[str, list[str]], edges: Edges, *, last: bool) -> list[str]:
        """The tasks that a group's edge joins: its last ones, which no other task of it waits for, or its
        first ones, which wait for no other."""
        if name in self.tasks:
            return [name]
        tasks = dict.fromkeys(members[name])
        if not tasks:
            raise fault(
                f"task group {name!r} takes part in an edge and has no tasks",
                rule=Rule.EMPTY_GROUP,
                fix="put a task in it (an EmptyOperator will do), or remove the edge",
                line=self._group_lines[name],
            )
        if last:  # what comes after a group does not wait for its teardowns
            tasks = {task: None for task in tasks if self.tasks[task].teardown is None} or tasks
        inner = [(up, down) for up, down in edges if up in tasks and down in tasks]
        taken = {up if last else down for up, down in inner}
        return [task for task in tasks if task not in taken]

    def _depth(self, edge: tuple[tuple[str, str], str]) -> int:
        """How many groups are around both ends. Edges inside a group come before those at the group itself,
        because they tell which of its tasks are first and last."""
        upstream, downstream = edge[0]
        return len(set(self.around(upstream)) & set(self.around(downstream)))


def topological(tasks: dict[str, TaskSpec], edges: Iterable[tuple[str, str]]) -> list[str]:
    """Task ids, parents first; of those that are free at one time, the earlier defined first. The error names
    the path of a cycle."""
    position = {task: index for index, task in enumerate(tasks)}
    ids = list(tasks)
    children: dict[str, list[str]] = {task: [] for task in ids}
    missing = dict.fromkeys(ids, 0)
    for upstream, downstream in edges:
        children[upstream].append(downstream)
        missing[downstream] += 1
    free = [position[task] for task in ids if not missing[task]]
    order: list[str] = []
    while free:
        task = ids[heapq.heappop(free)]
        order.append(task)
        for child in children[task]:
            missing[child] -= 1
            if not missing[child]:
                heapq.heappush(free, position[child])
    if len(order) < len(ids):
        _refuse_cycle(tasks, children, {task for task in ids if missing[task]})
    return order


def _refuse_cycle(tasks: dict[str, TaskSpec], children: dict[str, list[str]], left: set[str]) -> None:
    """Each task left over has a parent that is left over too, so a walk upwards must meet itself."""
    parents = {child: task for task in left for child in children[task] if child in left}
    walk: list[str] = [next(task for task in tasks if task in left)]
    while walk[-1] not in walk[:-1]:
        walk.append(parents[walk[-1]])
    cycle = walk[walk.index(walk[-1]) :][::-1]
    first = min(cycle, key=list(tasks).index)
    turned = cycle[cycle.index(first) : -1] + cycle[: cycle.index(first)] + [first]
    raise fault(
        f"these tasks wait for each other: {' -> '.join(turned)}",
        rule=Rule.CYCLE,
        fix="remove one of these edges",
        line=tasks[first].line,
    )
