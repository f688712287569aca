"""What follows from one DAG version, worked out once: its graph, priorities and timetable."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.planning.reach import Reach
from orchestrator.planning.rows import DagVersion
from orchestrator.planning.setups import enclosed_by, scopes_of
from orchestrator.planning.units import Unit, feeds_of, sizes_wanted, units_of
from orchestrator.spec.dag import DagSpec, ShortCircuitChoice, TaskKind, TaskSpec, WeightRule
from orchestrator.spec.marks import has_templates
from orchestrator.timetables import Timetable, timetable_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """A DAG version as the planner uses it. `priority` is effective, by each task's weight rule; `place` is the
    topological order; `images` are the names that are known without rendering; `units` are what is expanded
    together, by task id; `sizes` tells of which tasks' results the length has to be known.

    `leaves` decide how a run ends. `gates` are, of a task, those before it that may rule it out; `setups` those
    that must have succeeded before it runs; `enclosed`, of a teardown, those that must have ended before it does;
    `listeners`, of a task, those that are judged again when it ends, beside its children; `past` are the tasks that
    depend on the run before."""

    version: DagVersion
    timetable: Timetable
    tasks: Mapping[str, TaskSpec]
    children: Mapping[str, tuple[str, ...]]
    reach: Reach
    leaves: tuple[str, ...]
    place: Mapping[str, int]
    priority: Mapping[str, int]
    images: tuple[str, ...]
    units: Mapping[str, Unit]
    sizes: Mapping[str, frozenset[str]]
    gates: Mapping[str, tuple[str, ...]]
    setups: Mapping[str, tuple[str, ...]]
    enclosed: Mapping[str, tuple[str, ...]]
    listeners: Mapping[str, tuple[str, ...]]
    past: frozenset[str]

    @property
    def spec(self) -> DagSpec:
        return self.version.spec

    def groups_around(self, task_id: str) -> Iterator[str]:
        """The ids of the groups a task stands in, from the inside out."""
        parents = {group.group_id: group.parent for group in self.spec.groups}
        group_id = self.tasks[task_id].group
        while group_id is not None:
            yield group_id
            group_id = parents[group_id]


def blueprint_of(version: DagVersion) -> Blueprint:
    """Raises `TimetableError` where the schedule cannot be."""
    spec = version.spec
    children: dict[str, list[str]] = {task.task_id: [] for task in spec.tasks}
    for task in spec.tasks:
        for parent in task.upstream:
            children[parent].append(task.task_id)
    tasks = {task.task_id: task for task in spec.tasks}
    reach = Reach(spec.tasks, children)
    units, scopes, enclosed = units_of(spec), scopes_of(spec, reach), enclosed_by(spec, reach)
    gates = _gates(spec, reach, children)
    return Blueprint(
        version=version,
        timetable=timetable_for(spec),
        tasks=tasks,
        children={task_id: tuple(ids) for task_id, ids in children.items()},
        reach=reach,
        leaves=tuple(task_id for task_id in tasks if _is_leaf(tasks, children, task_id)),
        place={task.task_id: place for place, task in enumerate(spec.tasks)},
        priority={task.task_id: _priority(tasks, reach, task) for task in spec.tasks},
        images=_literal_images(spec),
        units=units,
        sizes=sizes_wanted(units),
        gates=gates,
        setups=_turned(scopes),
        enclosed=enclosed,
        listeners=_merged(scopes, _turned(enclosed), _turned(gates), feeds_of(units)),
        past=frozenset(task.task_id for task in spec.tasks if _waits_for_past(task)),
    )


def _waits_for_past(task: TaskSpec) -> bool:
    """A teardown never does, whatever `default_args` say: it takes down what its own run has set up."""
    return task.teardown is None and (task.depends_on_past or task.wait_for_downstream)


def _is_leaf(tasks: Mapping[str, TaskSpec], children: Mapping[str, list[str]], task_id: str) -> bool:
    """Whether a run cannot succeed where this task failed: nothing but teardowns comes after it. A teardown itself
    decides only where it says so."""
    task = tasks[task_id]
    if task.teardown is not None:
        return task.teardown.fails_run
    return all(tasks[child].teardown is not None for child in children[task_id])


def _priority(tasks: Mapping[str, TaskSpec], reach: Reach, task: TaskSpec) -> int:
    """A task's own weight, and by its rule the weights of all tasks after or before it, each once."""
    related = {WeightRule.DOWNSTREAM: reach.downstream, WeightRule.UPSTREAM: reach.upstream}.get(task.weight_rule)
    relatives = () if related is None else related(task.task_id)
    return task.priority_weight + sum(tasks[task_id].priority_weight for task_id in relatives)


def _gates(spec: DagSpec, reach: Reach, children: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    """By task. Teardowns are never ruled out."""
    plain = {task.task_id for task in spec.tasks if task.teardown is None}
    ruled = {
        gate.task_id: tuple(each for each in _below(gate, reach, children) if each in plain) for gate in spec.tasks
    }
    return _turned(ruled)


def _below(gate: TaskSpec, reach: Reach, children: Mapping[str, list[str]]) -> Iterable[str]:
    """The tasks that a choice of this one may rule out."""
    match gate.choice:
        case ShortCircuitChoice(ignore_downstream_trigger_rules=True):
            return reach.downstream(gate.task_id)
        case None if gate.kind is not TaskKind.LATEST_ONLY:
            return ()
        case _:
            return children[gate.task_id]


def _turned(lists: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """In whose lists a name stands, by name."""
    found: dict[str, tuple[str, ...]] = {}
    for owner, names in lists.items():
        for name in names:
            found[name] = (*found.get(name, ()), owner)
    return found


def _merged(*tables: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for table in tables:
        for name, task_ids in table.items():
            found[name] = (*found.get(name, ()), *task_ids)
    return found


def _literal_images(spec: DagSpec) -> tuple[str, ...]:
    named = (
        task.container.image
        for task in spec.tasks
        if task.kind is TaskKind.CONTAINER and task.container is not None and task.container.image is not None
    )
    return tuple(dict.fromkeys(name for name in named if not has_templates(name)))
