"""What follows from one DAG version, worked out once: its graph, priorities and timetable."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.planning.rows import DagVersion
from orchestrator.planning.units import Unit, sizes_wanted, units_of
from orchestrator.spec.dag import DagSpec, TaskKind, TaskSpec, WeightRule
from orchestrator.spec.marks import has_templates
from orchestrator.timetables import Timetable, timetable_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """A DAG version as the planner uses it. `priority` is effective, by each task's weight rule; `place` is the
    topological order; `images` are the names that are known without rendering; `units` are what is expanded
    together, by task id; `sizes` tells of which tasks' results the length has to be known."""

    version: DagVersion
    timetable: Timetable
    tasks: Mapping[str, TaskSpec]
    children: Mapping[str, tuple[str, ...]]
    leaves: tuple[str, ...]
    place: Mapping[str, int]
    priority: Mapping[str, int]
    images: tuple[str, ...]
    units: Mapping[str, Unit]
    sizes: Mapping[str, frozenset[str]]

    @property
    def spec(self) -> DagSpec:
        return self.version.spec


def blueprint_of(version: DagVersion) -> Blueprint:
    """Raises `TimetableError` where the schedule cannot be."""
    spec = version.spec
    children: dict[str, list[str]] = {task.task_id: [] for task in spec.tasks}
    for task in spec.tasks:
        for parent in task.upstream:
            children[parent].append(task.task_id)
    units = units_of(spec)
    return Blueprint(
        version=version,
        timetable=timetable_for(spec),
        tasks={task.task_id: task for task in spec.tasks},
        children={task_id: tuple(ids) for task_id, ids in children.items()},
        leaves=tuple(task_id for task_id, ids in children.items() if not ids),
        place={task.task_id: place for place, task in enumerate(spec.tasks)},
        priority=_priorities(spec, children),
        images=_literal_images(spec),
        units=units,
        sizes=sizes_wanted(units),
    )


def _priorities(spec: DagSpec, children: Mapping[str, list[str]]) -> dict[str, int]:
    """A task's own weight, and by its rule the weights of all tasks after or before it, each once."""
    bit = {task.task_id: 1 << place for place, task in enumerate(spec.tasks)}
    before: dict[str, int] = {}
    for task in spec.tasks:
        before[task.task_id] = _union(before[parent] | bit[parent] for parent in task.upstream)
    after: dict[str, int] = {}
    for task in reversed(spec.tasks):
        after[task.task_id] = _union(after[child] | bit[child] for child in children[task.task_id])
    relatives = {WeightRule.DOWNSTREAM: after, WeightRule.UPSTREAM: before}
    weights = [task.priority_weight for task in spec.tasks]
    return {
        task.task_id: task.priority_weight
        + sum(weights[place] for place in _places(relatives.get(task.weight_rule, {}).get(task.task_id, 0)))
        for task in spec.tasks
    }


def _union(sets: Iterable[int]) -> int:
    union = 0
    for each in sets:
        union |= each
    return union


def _places(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _literal_images(spec: DagSpec) -> tuple[str, ...]:
    named = (
        task.container.image
        for task in spec.tasks
        if task.kind is TaskKind.CONTAINER and task.container is not None and task.container.image is not None
    )
    return tuple(dict.fromkeys(name for name in named if not has_templates(name)))
