"""From a DAG as constructed to its spec, and the checks that need all of it."""

from collections.abc import Mapping

from msgspec.structs import replace

from orchestrator.authoring.dag import DAG
from orchestrator.authoring.faults import Rule, about, fault, keep
from orchestrator.authoring.graph import topological
from orchestrator.authoring.map_checks import check_maps, templates_of
from orchestrator.errors import FinalizeError
from orchestrator.spec.dag import DagSpec, EdgeLabel, TaskSpec
from orchestrator.spec.finalize import check_literals


def to_spec(dag: DAG, file: str) -> DagSpec:
    """What the DAG file said of this DAG. `file` is relative to the `dags/` folder. Raises `AuthoringError`:
    a cycle, an edge of an empty group, a container argument that cannot be."""
    with about(dag.dag_id):
        return _spec_of(dag, file)


def _spec_of(dag: DAG, file: str) -> DagSpec:
    graph = dag.graph
    edges = graph.task_edges()
    order = topological(graph.tasks, edges)
    parents: dict[str, set[str]] = {task: set() for task in order}
    for upstream, downstream in edges:
        parents[downstream].add(upstream)
    defined = {task: index for index, task in enumerate(graph.tasks)}
    tasks = tuple(
        replace(graph.tasks[task], upstream=tuple(sorted(parents[task], key=defined.__getitem__))) for task in order
    )
    tasks = tuple(_with_setups(graph.tasks, task) for task in tasks)
    check_maps(graph)
    for task in tasks:
        with about(dag.dag_id, task.task_id):
            _check(task)
    position = {task: index for index, task in enumerate(order)}
    labels = sorted(
        ((pair, label) for pair, label in edges.items() if label),
        key=lambda item: (position[item[0][0]], position[item[0][1]]),
    )
    return replace(
        dag.spec,
        file=file,
        tasks=tasks,
        groups=tuple(graph.groups.values()),
        edge_labels=tuple(EdgeLabel(upstream=up, downstream=down, label=label) for (up, down), label in labels),
    )


def _with_setups(tasks: Mapping[str, TaskSpec], task: TaskSpec) -> TaskSpec:
    """A teardown with all setups that have an edge to it."""
    if task.teardown is None:
        return task
    setups = tuple(parent for parent in task.upstream if tasks[parent].setup)
    return replace(task, teardown=replace(task.teardown, setups=setups))


def _check(task: TaskSpec) -> None:
    _check_dates(task)
    for written in templates_of(task):
        try:
            check_literals(replace(task, container=written))
        except FinalizeError as error:
            text = f"{task.operator} {task.task_id!r}: {error.message}"
            keep(fault(text, rule=Rule.BAD_ARGUMENT, fix=error.fix, line=task.line))
            return  # the other elements of a map would say the same


def _check_dates(task: TaskSpec) -> None:
    what = f"{task.operator} {task.task_id!r}"
    if task.teardown is not None and (task.start_date or task.end_date):
        text = f"{what} is a teardown, which has no dates of its own"
        fix = "leave start_date and end_date out: it runs where its setups did"
        keep(fault(text, rule=Rule.BAD_ARGUMENT, fix=fix, line=task.line))
    if task.start_date is not None and task.end_date is not None and task.end_date < task.start_date:
        text = f"{what} ends ({task.end_date.date()}) before it starts ({task.start_date.date()})"
        keep(fault(text, rule=Rule.BAD_ARGUMENT, fix="correct start_date or end_date", line=task.line))
