"""Whether there are elements for a mapped task or group to be expanded over, and how many. Reads the world, changes
nothing.

Elements of a mapped task's results are those of its instances, once all have ended: the ones that failed, were
skipped or gave null are left out. The results of any other task must be there.
"""

from collections.abc import Collection, Mapping

from orchestrator.ids import UNMAPPED, RunKey, TaskKey
from orchestrator.planning.rows import Reason
from orchestrator.planning.rules import READY, WAITING, Judgement, ParentCounts, Verdict
from orchestrator.planning.units import Unit
from orchestrator.planning.view import View
from orchestrator.spec.mapping import FromResult, length
from orchestrator.states import ReasonCode, TaskState


class _NotMappableError(Exception):
    """A result has no elements; its text says which and why."""


_BAD = (TaskState.FAILED, TaskState.UPSTREAM_FAILED, TaskState.REMOVED)


def outlook_of(world: View, run: RunKey, unit: Unit) -> Judgement:
    """What becomes of a unit by what it is expanded over: it waits for that, is ready for it, or will never be."""
    if any(world.indexes.count((run, task_id)) > 1 for task_id in unit.tasks):
        return WAITING  # instances of an earlier expansion are being stopped
    states = {task_id: _state(world, run, task_id) for task_id in unit.sources}
    if (bad := _of(states, _BAD)) is not None:
        return _without_source(unit, bad, states[bad], Verdict.UPSTREAM_FAILED)
    if not all(state.final for state in states.values()):
        return WAITING
    if (skipped := _of(states, (TaskState.SKIPPED,))) is not None:
        return _without_source(unit, skipped, TaskState.SKIPPED, Verdict.SKIPPED)
    try:
        count = count_of(world, run, unit)
    except _NotMappableError as fault:
        return _dead(Verdict.FAILED, ReasonCode.RESULT_INVALID, str(fault))
    if count > unit.map.max_length:
        text = f"{unit.name} would have {count} instances, and its max_map_length is {unit.map.max_length}"
        return _dead(Verdict.FAILED, ReasonCode.MAP_TOO_LONG, text)
    if not count:
        return _dead(Verdict.SKIPPED, ReasonCode.NO_ELEMENTS, f"there are no elements to expand {unit.name} over")
    return READY


def count_of(world: View, run: RunKey, unit: Unit) -> int:
    """How many instances a unit that is ready is expanded into."""
    return length(unit.map, lambda result: _size(world, run, result))


def _of(states: Mapping[str, TaskState], wanted: Collection[TaskState]) -> str | None:
    return next((task_id for task_id, state in states.items() if state in wanted), None)


def _without_source(unit: Unit, task_id: str, state: TaskState, verdict: Verdict) -> Judgement:
    text = f"there is nothing to expand {unit.name} over: {task_id} is {state}"
    return _dead(verdict, ReasonCode.UPSTREAM, text)


def _dead(verdict: Verdict, code: ReasonCode, text: str) -> Judgement:
    return Judgement(verdict=verdict, reason=Reason(code=code, text=text))


def _state(world: View, run: RunKey, task_id: str) -> TaskState:
    """Of a task, or of the instance that stands for it; of one that is expanded, success when all have ended."""
    first = world.indexes.first((run, task_id))
    if first is None:
        return TaskState.REMOVED
    if first == UNMAPPED:
        return world.tasks[TaskKey(run.dag_id, run.run_id, task_id)].state
    ended = (world.came_to.get((run, task_id)) or ParentCounts()).all_finished
    return TaskState.SUCCESS if ended else TaskState.WAITING


def _size(world: View, run: RunKey, result: FromResult) -> int:
    instances = world.instances(run, result.task_id)
    if instances[0].map_index != UNMAPPED:
        return sum(result.key in world.tasks[key].sizes for key in instances)
    size = world.tasks[instances[0]].sizes.get(result.key)
    part = f"{result.key!r} of the result" if result.key else "the result"
    if size is None:
        raise _NotMappableError(f"{part} of {result.task_id} cannot be mapped over: it is null, or not there")
    if size < 0:
        raise _NotMappableError(f"{part} of {result.task_id} cannot be mapped over: it is neither list nor object")
    return size
