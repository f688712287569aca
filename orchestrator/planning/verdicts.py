"""What becomes of a task instance that waits, and why: its trigger rule, and what else may hold it back or decide
for it. Reads the world, changes nothing.
"""

from collections.abc import Iterable, Iterator

from orchestrator.ids import UNMAPPED, TaskKey, instance_name
from orchestrator.planning.lifetimes import outside
from orchestrator.planning.outlook import outlook_of
from orchestrator.planning.rows import Reason, TaskInstance
from orchestrator.planning.rules import READY, Judgement, Verdict, judge
from orchestrator.planning.setups import judge_setups, judge_teardown
from orchestrator.planning.units import Unit
from orchestrator.planning.view import View
from orchestrator.spec.dag import BranchChoice, ShortCircuitChoice
from orchestrator.states import ReasonCode, TaskState

_DEAD = (Verdict.SKIPPED, Verdict.UPSTREAM_FAILED)

#: What is told first where a rule cannot hold.
_WORST_FIRST = (TaskState.FAILED, TaskState.UPSTREAM_FAILED, TaskState.SKIPPED, TaskState.SUCCESS)
#: How many parents of one state a sentence names.
_NAMED = 5


def judgement_of(world: View, key: TaskKey) -> Judgement:
    """Of an instance that waits. Of one that stands for a mapped task, ready means that it is to be expanded now.

    All instances of a mapped task have the same parents, so first it is judged itself, and expanded when it is
    ready. Tasks of a mapped group have parents among each other: they are expanded as soon as the elements are
    there and judged then, and before that they wait, since one of them that had ended already could not be."""
    unit = unit_of(world, key)
    if unit is None:
        return _judgement(world, key)
    if unit.is_group:
        outlook = outlook_of(world, key.run, unit)
        dead = outlook.verdict not in (Verdict.WAITING, Verdict.READY)
        own = _judgement(world, key) if dead else READY
        return outlook if own.verdict is Verdict.READY else own
    own = _judgement(world, key)
    return outlook_of(world, key.run, unit) if own.verdict is Verdict.READY else own


def _judgement(world: View, key: TaskKey) -> Judgement:
    """Its own dates come first. A task before it that chose against it comes next, and is waited for, so that a
    verdict never depends on who ends first; a teardown follows its setups, and every other task its rule, where no
    setup of its scope hinders it."""
    if (not_for_it := outside(world, key)) is not None:
        return Judgement(verdict=Verdict.SKIPPED, reason=not_for_it)
    if (gate := gate_against(world, key)) is not None:
        return Judgement(verdict=Verdict.SKIPPED, reason=_chosen_against(world, gate))
    if next(_gates_waited_for(world, key), None) is not None:
        return Judgement(verdict=Verdict.WAITING)
    if (teardown := world.task_spec(key).teardown) is not None:
        states = _states(world, key, teardown.setups)
        users = _states(world, key, world.blueprint(key.run).enclosed.get(key.task_id, ()))
        done = world.parent_counts(key).all_finished and all(state.final for state in users)
        verdict = judge_teardown(states, users_done=done)
        return _judged(verdict, _not_taken_down(teardown.setups, verdict))
    hindered = _hindered(world, key)
    if hindered.verdict in _DEAD:
        return hindered
    verdict = judge(world.task_spec(key).trigger_rule, world.parent_counts(key))
    if verdict is Verdict.READY:
        verdict = hindered.verdict
    return _judged(verdict, why_not(world, key)) if verdict in _DEAD else _judged(verdict, None)


def gate_against(world: View, key: TaskKey) -> TaskInstance | None:
    """The branch, short circuit or latest-only task whose choice rules this one out."""
    if not world.ruled_out[key.run, key.task_id]:
        return None
    for gate in world.blueprint(key.run).gates.get(key.task_id, ()):
        for each in world.related(key, gate):
            task = world.tasks.get(each)
            if task is not None and key.task_id in task.skips:
                return task
    return None


def _gates_waited_for(world: View, key: TaskKey) -> Iterator[str]:
    """Those that have not all ended and may yet rule this one out. Counted by task: there may be a thousand."""
    for gate in world.blueprint(key.run).gates.get(key.task_id, ()):
        if world.together(key, gate):
            beside = world.tasks.get(world.beside(key, gate))
            waits = beside is not None and not beside.state.final
        else:
            counts = world.came_to.get((key.run, gate))
            waits = counts is not None and not counts.all_finished
        if waits:
            yield gate


def setups_waited_for(world: View, key: TaskKey) -> list[TaskInstance]:
    """The setups of its scope that have not ended."""
    setups = world.blueprint(key.run).setups.get(key.task_id, ())
    found = (world.tasks.get(each) for setup in setups for each in world.related(key, setup))
    return [task for task in found if task is not None and not task.state.final]


def unit_of(world: View, key: TaskKey) -> Unit | None:
    """What is to be expanded for this instance; None where it stands for nothing but itself."""
    return world.blueprint(key.run).units.get(key.task_id) if key.map_index == UNMAPPED else None


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
    return instance_name(key.task_id, key.map_index)


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


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
