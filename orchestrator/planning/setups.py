"""Setups and teardowns: which tasks lie in whose scope, and what becomes of a teardown (spec scheduling 2)."""

from collections.abc import Collection, Mapping

from orchestrator.planning.reach import Reach
from orchestrator.planning.rules import Verdict
from orchestrator.spec.dag import DagSpec
from orchestrator.states import TaskState


def scopes_of(spec: DagSpec, reach: Reach) -> Mapping[str, tuple[str, ...]]:
    """Of each setup the tasks that need it: all on a way from it to a teardown of its own, and where it has none,
    all after it. Setups and teardowns themselves follow their own parents."""
    closing: dict[str, list[str]] = {task.task_id: [] for task in spec.tasks if task.setup}
    plain = {task.task_id for task in spec.tasks if not task.setup and task.teardown is None}
    for task in spec.tasks:
        for setup in task.teardown.setups if task.teardown is not None else ():
            closing[setup].append(task.task_id)
    found = {}
    for setup, teardowns in closing.items():
        ways = [reach.between(setup, teardown) for teardown in teardowns] or [reach.downstream(setup)]
        found[setup] = tuple(dict.fromkeys(task_id for way in ways for task_id in way if task_id in plain))
    return found


def enclosed_by(spec: DagSpec, reach: Reach) -> Mapping[str, tuple[str, ...]]:
    """Of each teardown the tasks on a way to it from a setup of its own: they may use what it takes down."""
    return {
        task.task_id: tuple(
            dict.fromkeys(name for setup in task.teardown.setups for name in reach.between(setup, task.task_id))
        )
        for task in spec.tasks
        if task.teardown is not None
    }


def judge_setups(setups: Collection[TaskState]) -> Verdict:
    """What its setups let a task in their scope become; READY: they do not hinder it."""
    if TaskState.FAILED in setups or TaskState.UPSTREAM_FAILED in setups:
        return Verdict.UPSTREAM_FAILED
    if TaskState.SKIPPED in setups:
        return Verdict.SKIPPED
    return Verdict.READY if all(state is TaskState.SUCCESS for state in setups) else Verdict.WAITING


def judge_teardown(setups: Collection[TaskState], *, users_done: bool) -> Verdict:
    """What becomes of a teardown once all its parents, and all that may use what it takes down, are done; one
    without setups runs then."""
    if not users_done or any(not state.final for state in setups):
        return Verdict.WAITING
    if not setups or TaskState.SUCCESS in setups:
        return Verdict.READY
    if all(state is TaskState.SKIPPED for state in setups):
        return Verdict.SKIPPED
    return Verdict.UPSTREAM_FAILED
