"""What is expanded as one: a mapped task alone, or all tasks of a mapped group (spec authoring 6)."""

from collections.abc import Iterator, Mapping

from orchestrator.spec.dag import DagSpec, GroupSpec
from orchestrator.spec.mapping import FromResult, MapSpec, results_in
from orchestrator.spec.value import Value


class Unit(Value, frozen=True, kw_only=True):
    """Tasks (in topological order) whose n-th instances belong together, and depend on each other only. `name`
    is the task's id or the group's."""

    name: str
    tasks: tuple[str, ...]
    map: MapSpec
    is_group: bool = False

    @property
    def results(self) -> tuple[FromResult, ...]:
        """The results that must be there before it can be expanded."""
        return tuple(results_in(self.map))

    @property
    def sources(self) -> tuple[str, ...]:
        """The tasks whose results these are."""
        return tuple(dict.fromkeys(result.task_id for result in self.results))


def units_of(spec: DagSpec) -> Mapping[str, Unit]:
    """The unit of each task that is in one, by task id."""
    groups = {group.group_id: group for group in spec.groups}
    found: dict[str, Unit] = {}
    members: dict[str, list[str]] = {}
    for task in spec.tasks:
        mapped = next((group for group in _around(groups, task.group) if group.map is not None), None)
        if mapped is not None:
            members.setdefault(mapped.group_id, []).append(task.task_id)
        elif task.map is not None:
            found[task.task_id] = Unit(name=task.task_id, tasks=(task.task_id,), map=task.map)
    for group_id, tasks in members.items():
        over = groups[group_id].map
        if over is not None:
            unit = Unit(name=group_id, tasks=tuple(tasks), map=over, is_group=True)
            found |= dict.fromkeys(tasks, unit)
    return found


def sizes_wanted(units: Mapping[str, Unit]) -> Mapping[str, frozenset[str]]:
    """Of which tasks' results the length has to be known: the whole (`""`) or the parts under keys."""
    wanted: dict[str, set[str]] = {}
    for unit in units.values():
        for result in unit.results:
            wanted.setdefault(result.task_id, set()).add(result.key)
    return {task_id: frozenset(keys) for task_id, keys in wanted.items()}


def feeds_of(units: Mapping[str, Unit]) -> Mapping[str, tuple[str, ...]]:
    """Of a task, the tasks that are mapped over its result, with their groups."""
    found: dict[str, tuple[str, ...]] = {}
    for unit in {unit.name: unit for unit in units.values()}.values():
        for task_id in unit.sources:
            found[task_id] = (*found.get(task_id, ()), *unit.tasks)
    return found


def _around(groups: Mapping[str, GroupSpec], group_id: str | None) -> Iterator[GroupSpec]:
    """The groups a task stands in, from the inside out."""
    while group_id is not None:
        group = groups[group_id]
        yield group
        group_id = group.parent
