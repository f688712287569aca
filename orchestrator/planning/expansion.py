"""Expanding a mapped task, or all tasks of a mapped group at once.

Until then one instance (map index -1) stands for each of its tasks; it is removed in the same step, so whoever
waits for the task now waits for its instances. One task of a group may have been marked or killed before.
"""

from collections.abc import Sequence

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning import transitions
from orchestrator.planning.draft import Draft
from orchestrator.planning.outlook import count_of
from orchestrator.planning.rows import TaskInstance
from orchestrator.planning.units import Unit


def expand(draft: Draft, run: RunKey, unit: Unit) -> Sequence[TaskKey]:
    """Expand a unit that is ready for it (`verdicts`); its instances, which are to be judged next."""
    count = count_of(draft.world, run, unit)
    keys = [TaskKey(run.dag_id, run.run_id, task_id, index) for task_id in unit.tasks for index in range(count)]
    for key in keys:
        draft.put_task(_waiting(draft, key))
    for task_id in unit.tasks:
        _replace(draft, TaskKey(run.dag_id, run.run_id, task_id), count)
    return keys


def _replace(draft: Draft, key: TaskKey, count: int) -> None:
    """Remove what stood for a task of which there are instances now. What somebody made of it, they are all."""
    standing = draft.world.tasks[key]
    if standing.state.final:
        for index in range(count):
            instance = TaskKey(key.dag_id, key.run_id, key.task_id, index)
            draft.put_task(transitions.like(draft.world.tasks[instance], standing))
        standing = transitions.cleared(standing)
        draft.put_task(standing)
    draft.put_task(transitions.removed(standing, draft.now))


def _waiting(draft: Draft, key: TaskKey) -> TaskInstance:
    """A new instance, or one that was removed when what it runs over was cleared."""
    held = draft.world.tasks.get(key)
    return TaskInstance(key=key) if held is None else transitions.cleared(held)
