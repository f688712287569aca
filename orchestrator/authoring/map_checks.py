"""Checks of mapped tasks and groups that need the whole DAG."""

from collections.abc import Iterator

from orchestrator.authoring.faults import Rule, about, fault
from orchestrator.authoring.graph import Graph
from orchestrator.spec.dag import ContainerTemplate, TaskKind, TaskSpec
from orchestrator.spec.mapping import MapSpec, length, results_in
from orchestrator.spec.merging import needs_results, written_template


def check_maps(graph: Graph) -> None:
    """`bad_argument` where something is mapped over the result of a task that hands on none, or where a task that
    is not mapped says what its instances are called."""
    for task in graph.tasks.values():
        with about(graph.dag_id, task.task_id):
            if task.map is not None:
                _check_sources(graph, task.task_id, task.map, task.line)
            _check_label(graph, task)
    for group in graph.groups.values():
        if group.map is not None:
            _check_sources(graph, group.group_id, group.map, graph.line_of(group.group_id))


def _check_label(graph: Graph, task: TaskSpec) -> None:
    template = task.container and task.container.map_index_template
    if template and task.map is None and not any(graph.groups[each].map for each in graph.around(task.task_id)):
        raise fault(
            f"{task.operator} {task.task_id!r} has a map_index_template and is not mapped",
            rule=Rule.BAD_ARGUMENT,
            fix="leave it out, or map the task with .partial(...).expand(...)",
            line=task.line,
        )


def templates_of(task: TaskSpec) -> Iterator[ContainerTemplate | None]:
    """The container's template of each instance, as far as the DAG file tells it."""
    if task.map is None or task.container is None or task.function is not None or needs_results(task):
        yield task.container
        return
    for index in range(length(task.map, lambda _: 0)):
        yield written_template(task, index)


def _check_sources(graph: Graph, name: str, over: MapSpec, line: int) -> None:
    for result in results_in(over):
        source = graph.tasks[result.task_id]
        if source.kind is not TaskKind.CONTAINER or not source.push_result:
            why = "keeps no result (do_xcom_push=False)" if source.container else "runs no container"
            raise fault(
                f"{name!r} is mapped over the result of {source.task_id!r}, which {why}",
                rule=Rule.BAD_ARGUMENT,
                fix="map over a list, or over a task that hands one on",
                line=line,
            )
