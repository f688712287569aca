"""What becomes of a task instance that waits, and why: its trigger rule, and what else may hold it back or decide
for it. Reads the world, changes nothing.
"""

from collections.abc import Iterable

from orchestrator.ids import UNMAPPED, RunKey, TaskKey
from orchestrator.planning.rows import Reason, TaskInstance
from orchestrator.planning.rules import Verdict, judge
from orchestrator.planning.setups import judge_setups, judge_teardown
from orchestrator.planning.units import Unit
from orchestrator.planning.view import View
from orchestrator.spec.dag import BranchChoice, ShortCircuitChoice
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode, TaskState

_DEAD = (Verdict.SKIPPED, Verdict.UPSTREAM_FAILED)

#: What is told first where a rule cannot hold.
_WORST_FIRST = (TaskState.FAILED, TaskState.UPSTREAM_FAILED, TaskState.SKIPPED, TaskState.SUCCESS)
#: How many parents of one state a sentence names.
_NAMED = 5


class Judgement(Value, frozen=True, kw_only=True):
    """A verdict and, of a dead one, why."""

    verdict: Verdict
    reason: Reason | None = None


WAITING = Judgement(verdict=Verdict.WAITING)
READY = Judgement(verdict=Verdict.READY)


def judgement_of(world: View, key: TaskKey) -> Judgement:
    """Of an instance that waits. A task before it that chose against it comes first; a teardown follows its setups,
    and every other task its rule, where no setup of its scope hinders it. One that stands for a mapped task which
    is not expanded yet is never ready: what it is expanded over is not there."""
    if (gate := gate_against(world, key)) is not None:
        return Judgement(verdict=Verdict.SKIPPED, reason=_chosen_against(world, gate))
    if (teardown := world.task_spec(key).teardown) is not None:
        states = _states(world, key, teardown.setups)
        users = _states(world, key, world.blueprint(key.run).enclosed.get(key.task_id, ()))
        done = world.parents[key].all_finished and all(state.final for state in users)
        verdict = judge_teardown(states, users_done=done)
        return _judged(verdict, _not_taken_down(teardown.setups, verdict))
    hindered = _hindered(world, key)
    if hindered.verdict in _DEAD:
        return hindered
    verdict = judge(world.task_spec(key).trigger_rule, world.parents[key])
    if verdict is Verdict.READY:
        unit = unit_of(world, key)
        verdict = _unexpanded(world, key.run, unit) if unit is not None else hindered.verdict
    return _judged(verdict, why_not(world, key)) if verdict in _DEAD else _judged(verdict, None)


def gate_against(world: View, key: TaskKey) -> TaskInstance | None:
    """The branch, short circuit or latest-only task whose choice rules this one out."""
    for gate in world.blueprint(key.run).gates.get(key.task_id, ()):
        for each in world.related(key, gate):
            task = world.tasks.get(each)
            if task is not None and key.task_id in task.skips:
                return task
    return None


def setups_waited_for(world: View, key: TaskKey) -> list[TaskInstance]:
    """The setups of its scope that have not ended."""
    setups = world.blueprint(key.run).setups.get(key.task_id, ())
    found = (world.tasks.get(each) for setup in setups for each in world.related(key, setup))
    return [task for task in found if task is not None and not task.state.final]


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


def _hindered(world: View, key: TaskKey) -> Judgement:
    """By the setups in whose scope it lies."""
    setups = world.blueprint(key.run).setups.get(key.task_id, ())
    if not setups:
        return READY
    verdict = judge_setups(_states(world, key, setups))
    text = f"a setup that it needs did not succeed ({', '.join(setups)})"
    return _judged(verdict, Reason(code=ReasonCode.UPSTREAM, text=text) if verdict in _DEAD else None)


def _judged(verdict: Verdict, reason: Reason | None) -> Judgement:
    return Judgement(verdict=verdict, reason=reason if verdict in _DEAD else None)


def _states(world: View, key: TaskKey, task_ids: Iterable[str]) -> list[TaskState]:
    found = (world.tasks.get(each) for task_id in task_ids for each in world.related(key, task_id))
    return [task.state for task in found if task is not None and task.state is not TaskState.REMOVED]


def _chosen_against(world: View, gate: TaskInstance) -> Reason:
    spec = world.task_spec(gate.key)
    match spec.choice:
        case BranchChoice():
            return Reason(code=ReasonCode.BRANCH, text=f"the branch {name_of(gate.key)} chose another way")
        case ShortCircuitChoice():
            text = f"the short circuit {name_of(gate.key)} went no further"
            return Reason(code=ReasonCode.SHORT_CIRCUIT, text=text)
        case None:
            text = f"{name_of(gate.key)} lets only the newest interval pass, and a newer one is due"
            return Reason(code=ReasonCode.NOT_LATEST, text=text)


def _not_taken_down(setups: tuple[str, ...], verdict: Verdict) -> Reason:
    how = "all were skipped" if verdict is Verdict.SKIPPED else "none succeeded"
    return Reason(
        code=ReasonCode.UPSTREAM, text=f"there is nothing to take down: of its setups {how} ({', '.join(setups)})"
    )


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
