"""What a branch, a short circuit or a latest-only task chooses: which tasks after it are skipped. The choice is
kept with the task instance, so those that are cleared later are skipped again (spec authoring 4)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from orchestrator.planning.blueprint import Blueprint
from orchestrator.planning.outcome import Ending
from orchestrator.planning.rows import Reason, Run, TryOutcome
from orchestrator.spec.dag import BranchChoice, ShortCircuitChoice, TaskSpec
from orchestrator.states import ReasonCode, RunType
from orchestrator.timetables import Past

#: Direct children that a sentence names.
_NAMED = 8


def choice_of(
    blueprint: Blueprint, task: TaskSpec, result: bytes | None, ending: Ending
) -> tuple[Ending, tuple[str, ...]]:
    """What follows from how a try ended and from its result (JSON): the ids of the tasks that are skipped by its
    choice, none for a task that chooses nothing. A result that is no choice fails the try."""
    match ending.outcome:
        case TryOutcome.SUCCESS:
            skips = _chosen(blueprint, task, result)
            if isinstance(skips, Reason):
                return Ending(outcome=TryOutcome.FAILED, reason=skips), ()
            return ending, skips
        case TryOutcome.SKIPPED:
            return ending, _cut_off(blueprint, task)
        case _:
            return ending, ()


def _chosen(blueprint: Blueprint, task: TaskSpec, result: bytes | None) -> tuple[str, ...] | Reason:
    match task.choice:
        case None:
            return ()
        case BranchChoice():
            return _branched(blueprint, task, _value(result))
        case ShortCircuitChoice():
            return () if _read(_value(result)) else _cut_off(blueprint, task)


def _cut_off(blueprint: Blueprint, task: TaskSpec) -> tuple[str, ...]:
    """What a short circuit that does not go on skips; nothing for any other task."""
    match task.choice:
        case ShortCircuitChoice(ignore_downstream_trigger_rules=True):
            return _without_teardowns(blueprint, blueprint.reach.downstream(task.task_id))
        case ShortCircuitChoice():
            return _without_teardowns(blueprint, blueprint.children[task.task_id])
        case _:
            return ()


def overtaken(blueprint: Blueprint, task: TaskSpec, run: Run, now: datetime) -> tuple[str, ...]:
    """The direct children that a latest-only task skips: all, in a run that a newer one should stand in for."""
    if run.run_type is RunType.MANUAL:
        return ()
    past = Past(last=run.interval, since=blueprint.version.created_at, catchup=True)
    newer_due = blueprint.timetable.due_at(past)
    if newer_due is None or newer_due > now:
        return ()
    return _without_teardowns(blueprint, blueprint.children[task.task_id])


def _branched(blueprint: Blueprint, task: TaskSpec, result: Any) -> tuple[str, ...] | Reason:
    children = blueprint.children[task.task_id]
    choices = _choices(blueprint, children)
    read = result if isinstance(result, str) and result in choices else _read(result)
    names = [] if read is None else [read] if isinstance(read, str) else read
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        text = f"a branch chooses by a task id, a list of them, or null; its result is {_short(result)}"
        return Reason(code=ReasonCode.CHOICE_INVALID, text=text)
    unknown = [name for name in names if name not in choices]
    if unknown:
        known = ", ".join(list(choices)[:_NAMED]) or "none"
        text = f"it chose {', '.join(map(repr, unknown))}, and may choose among what follows it directly: {known}"
        return Reason(code=ReasonCode.CHOICE_INVALID, text=text)
    taken = {child for name in names for child in choices[name]}
    reached = taken.union(*(blueprint.reach.downstream(child) for child in taken))
    return _without_teardowns(blueprint, [child for child in children if child not in reached])


def _choices(blueprint: Blueprint, children: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """What may be chosen, and which direct children that means: a child, or a group with all children in it."""
    found: dict[str, tuple[str, ...]] = {child: (child,) for child in children}
    for child in children:
        for group_id in blueprint.groups_around(child):
            found[group_id] = (*found.get(group_id, ()), child)
    return found


def _value(result: bytes | None) -> Any:
    return None if result is None else msgspec.json.decode(result)


def _read(value: Any) -> Any:
    """What a text says that is JSON, as a line on stdout may be; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value


def _without_teardowns(blueprint: Blueprint, task_ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(task_id for task_id in task_ids if blueprint.tasks[task_id].teardown is None)


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - as much as a line takes
