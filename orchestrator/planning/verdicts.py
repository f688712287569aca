"""What becomes of a task instance that waits, and why: its trigger rule, and what else may hold it back or decide
for it. Reads the world, changes nothing.
"""

from orchestrator.ids import UNMAPPED, RunKey, TaskKey
from orchestrator.planning.rows import Reason, TaskInstance
from orchestrator.planning.rules import Verdict, judge
from orchestrator.planning.units import Unit
from orchestrator.planning.view import View
from orchestrator.states import ReasonCode, TaskState

#: What is told first where a rule cannot hold.
_WORST_FIRST = (TaskState.FAILED, TaskState.UPSTREAM_FAILED, TaskState.SKIPPED, TaskState.SUCCESS)
#: How many parents of one state a sentence names.
_NAMED = 5


def verdict_of(world: View, key: TaskKey) -> Verdict:
    """Of an instance that waits. One that stands for a mapped task which is not expanded yet is never ready:
    what it is expanded over is not there."""
    verdict = judge(world.task_spec(key).trigger_rule, world.parents[key])
    unit = unit_of(world, key)
    return _unexpanded(world, key.run, unit) if verdict is Verdict.READY and unit is not None else verdict


def unit_of(world: View, key: TaskKey) -> Unit | None:
    """What is to be expanded for this instance; None where it stands for nothing but itself."""
    return world.blueprint(key.run).units.get(key.task_id) if key.map_index == UNMAPPED else None


def sources_of(world: View, run: RunKey, unit: Unit) -> list[TaskInstance]:
    """The instances whose results a unit is expanded over."""
    return [
        world.tasks[key]
        for task_id in dict.fromkeys(result.task_id for result in unit.results)
        for key in world.instances(run, task_id)
    ]


def why_not(world: View, key: TaskKey) -> Reason:
    """Why a rule can no longer hold: what its parents came to, the worst first."""
    came_to: dict[TaskState, list[str]] = {state: [] for state in _WORST_FIRST}
    for parent in world.parents_of(key):
        if parent.state in came_to:
            came_to[parent.state].append(name_of(parent.key))
    parents = "; ".join(f"{state}: {_few(names)}" for state, names in came_to.items() if names)
    rule = world.task_spec(key).trigger_rule
    return Reason(code=ReasonCode.UPSTREAM, text=f"its rule {rule} cannot hold ({parents})")


def name_of(key: TaskKey) -> str:
    """A task instance as people call it within its run: `task`, or `task[3]`."""
    return key.task_id if key.map_index == UNMAPPED else f"{key.task_id}[{key.map_index}]"


def _unexpanded(world: View, run: RunKey, unit: Unit) -> Verdict:
    states = {task.state for task in sources_of(world, run, unit)}
    if states & {TaskState.FAILED, TaskState.UPSTREAM_FAILED}:
        return Verdict.UPSTREAM_FAILED
    if any(not state.final for state in states):
        return Verdict.WAITING
    return Verdict.SKIPPED


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
