"""Waiting for the past: a task that depends on the run before its own, which is the newest earlier one that nobody
asked for by hand (spec scheduling 1). Success and skipped let pass, and so does a run that has no such task,
or was cancelled before it began. Manual runs neither wait nor are waited for.

A run asks the database once which one was before it. As long as that is open, the world tells how its tasks stand;
what they came to is kept with the asker when it ends.
"""

from collections.abc import Iterable, Iterator, Mapping

from orchestrator.ids import UNMAPPED, RunKey, TaskKey
from orchestrator.planning.changes import Learnt, LookBack
from orchestrator.planning.draft import Draft
from orchestrator.planning.events import Seen
from orchestrator.planning.history import Before, RunBefore, states_of
from orchestrator.planning.rows import Reason
from orchestrator.planning.view import View
from orchestrator.states import ReasonCode, RunState, RunType, TaskState

_PASSES = (TaskState.SUCCESS, TaskState.SKIPPED)


def lets_pass(draft: Draft, key: TaskKey) -> bool:
    """Whether an instance whose rule holds may go on; asks where that is not known yet."""
    if looks_back(draft.world, key) and draft.world.before.get(key.run) is None:
        ask(draft, key.run)
    return hindrance(draft.world, key) is None


def looks_back(world: View, key: TaskKey) -> bool:
    run = world.runs[key.run]
    asked_for = run.run_type is RunType.MANUAL or run.free_of_past
    return key.task_id in world.blueprint(key.run).past and not asked_for


def ask(draft: Draft, run: RunKey) -> None:
    """Have the database say which run was before this one."""
    draft.do(question(draft.world, run))


def question(world: View, run: RunKey) -> LookBack:
    date = world.runs[run].interval.start
    return LookBack(asker=run, wanted=RunBefore(dag_id=run.dag_id, date=date))


def take_answer(draft: Draft, run: RunKey, event: Seen) -> bool:
    """Learn what was before a run; whether that is news. An answer that was overtaken is asked for again."""
    world = draft.world
    if run not in world.runs or event.wanted != question(world, run).wanted:
        return False
    known, past = world.before.get(run), next(iter(event.runs), None)
    overtaken = past is not None and not past.run.state.final and past.run.key not in world.runs
    if known is None or overtaken:
        ask(draft, run)
        return False
    if not known.asked:
        return False
    if past is None:
        before = Before()
    else:
        before = Before(run=past.run.key, date=past.run.interval.start, states=states_of(past.run, past.tasks))
    draft.do(Learnt(run=run, before=before))
    return True


def hindrance(world: View, key: TaskKey) -> Reason | None:
    """What of the past keeps an instance waiting; None where nothing does."""
    if not looks_back(world, key):
        return None
    before = world.before.get(key.run)
    if before is None or before.asked:
        return _reason("it depends on the run before its own, which is being looked up")
    if before.run is None:
        return None
    if before.run in world.runs and world.tasks_of.first(before.run) is None:
        return _reason(f"it depends on the run {before.run.run_id} before its own, which has not begun")
    bad = next(_bad(world, key, before), None)
    if bad is None:
        return None
    task_id, state = bad
    return _reason(f"it depends on {task_id} in the run {before.run.run_id} before its own, which is {state}")


def followers_of(world: View, run: RunKey, task_ids: Iterable[str]) -> Iterator[TaskKey]:
    """The instances that wait in runs after this one and depend on one of these tasks of it."""
    ended = set(task_ids)
    for follower in list(world.followers.entries(run)):
        for task_id in world.blueprint(follower).past:
            if not ended.isdisjoint(_depended_on(world, follower, task_id)):
                yield from _waiting(world, follower, task_id)


def waiting_ones(world: View, run: RunKey) -> Iterator[TaskKey]:
    """The instances of a run that wait and depend on the past."""
    for task_id in world.blueprint(run).past:
        yield from _waiting(world, run, task_id)


def _waiting(world: View, run: RunKey, task_id: str) -> list[TaskKey]:
    """Those of a task; none in a run that has not begun."""
    begun = world.runs[run].state is RunState.RUNNING
    indexes = world.waits.entries((run, task_id)) if begun else ()
    return [TaskKey(run.dag_id, run.run_id, task_id, index) for index in indexes]


def _depended_on(world: View, run: RunKey, task_id: str) -> tuple[str, ...]:
    blueprint = world.blueprint(run)
    spec = blueprint.tasks[task_id]
    return (task_id, *blueprint.children[task_id]) if spec.wait_for_downstream else (task_id,)


def _states(world: View, before: Before, task_id: str) -> Mapping[int, TaskState]:
    if before.run is None or before.run not in world.runs:
        return before.states.get(task_id, {})
    return {key.map_index: world.tasks[key].state for key in world.instances(before.run, task_id)}


def _bad(world: View, key: TaskKey, before: Before) -> Iterator[tuple[str, TaskState]]:
    """The tasks that keep it waiting. An instance of a mapped task depends on the one with its index; where either
    is not mapped, on all there are."""
    for task_id in _depended_on(world, key.run, key.task_id):
        there = _states(world, before, task_id)
        alike = task_id == key.task_id and UNMAPPED not in there and key.map_index != UNMAPPED
        found = [there[key.map_index]] if alike and key.map_index in there else [] if alike else there.values()
        yield from ((task_id, state) for state in found if state not in _PASSES)


def _reason(text: str) -> Reason:
    return Reason(code=ReasonCode.DEPENDS_ON_PAST, text=text)
