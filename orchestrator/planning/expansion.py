"""Expanding a mapped task, or all tasks of a mapped group at once: as soon as everything it runs over has
succeeded.

Until then one instance (map index -1) stands for each of its tasks; it is removed in the same step, so whoever
waits for the task now waits for its instances. Zero elements: skipped.
"""

from collections.abc import Sequence

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning import transitions
from orchestrator.planning.draft import Draft
from orchestrator.planning.rows import Reason, TaskInstance
from orchestrator.planning.units import Unit
from orchestrator.planning.verdicts import sources_of
from orchestrator.planning.view import View
from orchestrator.spec.mapping import FromResult, length
from orchestrator.states import ReasonCode, TaskState


class _NotMappableError(Exception):
    """A result has no elements; its text says which and why."""


def expand(draft: Draft, run: RunKey, unit: Unit) -> Sequence[TaskKey] | None:
    """Expand a unit of which no instance was made yet, if that can be done now; what is to be judged next."""
    sources = sources_of(draft.world, run, unit)
    if any(source.state is not TaskState.SUCCESS for source in sources):
        return None
    standing = [draft.world.tasks[TaskKey(run.dag_id, run.run_id, task_id)] for task_id in unit.tasks]
    after = [child for task in standing for child in draft.world.children(task.key)]
    try:
        count = length(unit.map, lambda result: _size(draft.world, run, result))
    except _NotMappableError as fault:
        _end(draft, standing, Reason(code=ReasonCode.RESULT_INVALID, text=str(fault)), failed=True)
        return after
    if count > unit.map.max_length:
        text = f"{unit.name} would have {count} instances, and its max_map_length is {unit.map.max_length}"
        _end(draft, standing, Reason(code=ReasonCode.MAP_TOO_LONG, text=text), failed=True)
        return after
    if not count:
        text = f"there is nothing to expand {unit.name} over: no elements"
        _end(draft, standing, Reason(code=ReasonCode.NO_ELEMENTS, text=text), failed=False)
        return after
    return _instances(draft, standing, count)


def _instances(draft: Draft, standing: Sequence[TaskInstance], count: int) -> list[TaskKey]:
    keys = []
    for task in standing:
        for index in range(count):
            key = TaskKey(task.key.dag_id, task.key.run_id, task.key.task_id, index)
            draft.put_task(_waiting(draft.world, key))
            keys.append(key)
    for task in standing:
        draft.put_task(transitions.removed(task, draft.now))
    return keys


def _waiting(world: View, key: TaskKey) -> TaskInstance:
    """A new instance, or one that was removed when what it runs over was cleared."""
    held = world.tasks.get(key)
    return TaskInstance(key=key) if held is None else transitions.cleared(held)


def _end(draft: Draft, standing: Sequence[TaskInstance], reason: Reason, *, failed: bool) -> None:
    ended = transitions.failed if failed else transitions.skipped
    for task in standing:
        draft.put_task(ended(task, draft.now, reason))


def _size(world: View, run: RunKey, result: FromResult) -> int:
    instances = world.instances(run, result.task_id)
    if any(key.map_index >= 0 for key in instances) and not result.key:
        return sum("" in world.tasks[key].sizes for key in instances)
    size = world.tasks[instances[0]].sizes.get(result.key) if instances else None
    part = f"{result.key!r} of the result" if result.key else "the result"
    if size is None:
        raise _NotMappableError(f"cannot be mapped over {part} of {result.task_id}: it is null, or not there")
    if size < 0:
        raise _NotMappableError(f"cannot be mapped over {part} of {result.task_id}: it is neither list nor object")
    return size
