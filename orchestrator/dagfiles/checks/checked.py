"""What the rules over one parsed DAG look at, each thing worked out once."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from orchestrator.dagfiles.checks.book import finding
from orchestrator.dagfiles.elements import element_texts
from orchestrator.errors import RenderError
from orchestrator.planning.units import Unit, units_of
from orchestrator.spec.dag import ContainerTemplate, DagSpec, Problem, TaskSpec
from orchestrator.spec.marks import has_templates
from orchestrator.templating.fields import strings
from orchestrator.templating.static import StaticTemplate

#: Fields whose text is data, whatever braces it holds: what a person may set.
_DATA = "params."


class Checked:
    """A DAG, and the folders in `task-images/`: `task_images`, and `bare_images`, which have no Dockerfile."""

    def __init__(
        self, dag: DagSpec, task_images: frozenset[str], bare_images: frozenset[str] = frozenset()
    ) -> None:
        self.dag = dag
        self.task_images = task_images
        self.bare_images = bare_images
        self._upstream: dict[str, frozenset[str]] = {}

    def found(self, rule: str, task: TaskSpec | None, text: str, fix: str) -> Problem:
        """A finding about the DAG, or about one of its tasks."""
        line, task_id = (task.line, task.task_id) if task else (self.dag.line, None)
        return finding(rule, text, fix, file=self.dag.file, line=line, dag_id=self.dag.dag_id, task_id=task_id)

    def containers(self) -> Iterator[tuple[TaskSpec, ContainerTemplate]]:
        yield from ((task, task.container) for task in self.dag.tasks if task.container is not None)

    @cached_property
    def texts_of(self) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """By task: field and text of every string of its container or of what it does without one, and of what it
        is expanded over."""
        texts = {task.task_id: list(_texts(task)) for task in self.dag.tasks}
        tasks = {task.task_id: task for task in self.dag.tasks}
        for unit in {unit.name: unit for unit in self.units.values()}.values():
            first = tasks[unit.tasks[0]]
            texts[first.task_id] += dict.fromkeys(element_texts(unit, first))
        return {task_id: tuple(found) for task_id, found in texts.items()}

    def texts(self) -> Iterator[tuple[TaskSpec, str, str]]:
        """Task, field and text of all of them."""
        for task in self.dag.tasks:
            yield from ((task, field, text) for field, text in self.texts_of[task.task_id])

    @cached_property
    def units(self) -> Mapping[str, Unit]:
        """What is expanded as one, by the ids of its tasks."""
        return units_of(self.dag)

    @cached_property
    def read(self) -> tuple[tuple[TaskSpec, StaticTemplate | RenderError], ...]:
        """Every template, read; those whose syntax is wrong as their error."""
        return tuple((task, _read(field, text)) for task, field, text in self.texts() if has_templates(text))

    def templates(self) -> Iterator[tuple[TaskSpec, StaticTemplate]]:
        yield from ((task, template) for task, template in self.read if isinstance(template, StaticTemplate))

    def upstream(self, task: TaskSpec) -> frozenset[str]:
        """All tasks before this one, direct or not."""
        if task.task_id not in self._upstream:
            found: set[str] = set()
            ahead = list(task.upstream)
            while ahead:
                task_id = ahead.pop()
                if task_id not in found:
                    found.add(task_id)
                    ahead += self._parents[task_id]
            self._upstream[task.task_id] = frozenset(found)
        return self._upstream[task.task_id]

    @cached_property
    def _parents(self) -> Mapping[str, tuple[str, ...]]:
        return {each.task_id: each.upstream for each in self.dag.tasks}


def _texts(task: TaskSpec) -> Iterator[tuple[str, str]]:
    if task.container is not None:
        yield from strings(task.container)
    if task.control is not None:
        yield from (each for each in strings(task.control) if not each[0].startswith(_DATA))


def _read(field: str, text: str) -> StaticTemplate | RenderError:
    try:
        return StaticTemplate(field, text)
    except RenderError as error:
        return error
