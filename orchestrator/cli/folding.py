"""Many instances of one task in one line: how a list shows a large map."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from orchestrator.ids import TaskKey, instance_name
from orchestrator.planning.rows import Reason, TaskInstance
from orchestrator.states import TaskState

#: More instances of a task than these are one line.
FOLDED_ABOVE = 12
#: Of those that failed so many have lines of their own below it.
_SHOWN = 5
_BAD = (TaskState.FAILED, TaskState.UPSTREAM_FAILED)


class Line(NamedTuple):
    """A task instance, or all of a task."""

    name: str
    state: str
    tries: int
    started_at: datetime | None
    ended_at: datetime | None
    reason: Reason | None
    label: str = ""
    key: TaskKey | None = None  #: of one instance


def folded(tasks: Iterable[TaskInstance]) -> Iterator[Line]:
    """A line for each task instance, in this order; for a large map one line, and some of those that failed."""
    for task_id, instances in groupby(tasks, key=lambda task: task.key.task_id):
        found = list(instances)
        if len(found) <= FOLDED_ABOVE:
            yield from map(line_of, found)
            continue
        yield _all_of(task_id, found)
        yield from map(line_of, [task for task in found if task.state in _BAD][:_SHOWN])


def line_of(task: TaskInstance) -> Line:
    """The line of one instance."""
    return Line(
        name=task_name(task.key) + (f" {task.label}" if task.label else ""),
        state=task.state.value,
        tries=task.tries,
        started_at=task.started_at,
        ended_at=task.ended_at,
        reason=task.reason,
        label=task.label,
        key=task.key,
    )


def task_name(key: TaskKey) -> str:
    """A task instance in a line of output."""
    return instance_name(key.task_id, key.map_index)


def _all_of(task_id: str, tasks: Sequence[TaskInstance]) -> Line:
    """The line of a whole map: how many are in which state. It has begun with the first of them, and has ended when
    all have."""
    counts = Counter(task.state for task in tasks)
    begun = [task.started_at for task in tasks if task.started_at is not None]
    ended = [task.ended_at for task in tasks if task.ended_at is not None]
    return Line(
        name=f"{task_id}[{tasks[0].key.map_index} to {tasks[-1].key.map_index}]",
        state=", ".join(f"{counts[state]} {state}" for state in TaskState if counts[state]),
        tries=sum(task.tries for task in tasks),
        started_at=min(begun, default=None),
        ended_at=max(ended) if all(task.state.final for task in tasks) and ended else None,
        reason=None,
    )
