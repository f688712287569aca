"""Which task instances of a run a person means: one pure function for what is shown beforehand and for what is then
done (spec scheduling 6)."""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.blueprint import Blueprint
from orchestrator.planning.rows import TaskInstance
from orchestrator.spec.value import Value
from orchestrator.states import TaskState

_BAD = (TaskState.FAILED, TaskState.UPSTREAM_FAILED)


class Selection(Value, frozen=True, kw_only=True):
    """Task instances of runs of one DAG. The runs are named, or those with a logical date from `start` to `end`
    (both included). `tasks` is a regular expression for whole task ids, None for all; `map_indexes` are those meant
    of mapped ones, none for all. `upstream` and `downstream` add what comes before and after; `only_failed` leaves
    out what neither failed nor was kept from running by a failure."""

    dag_id: str
    run_ids: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    tasks: str | None = None
    map_indexes: tuple[int, ...] = ()
    upstream: bool = False
    downstream: bool = False
    only_failed: bool = False


def selected(selection: Selection, blueprint: Blueprint, tasks: Iterable[TaskInstance]) -> tuple[TaskKey, ...]:
    """The instances of one run that are meant, in topological order; removed ones never are. `re.error` where the
    expression is none."""
    named = _named(selection, blueprint)
    related = _related(selection, blueprint, named)
    found = [
        task.key
        for task in tasks
        if _stands(task)
        and (not selection.only_failed or task.state in _BAD)
        and (task.key.task_id in related or (task.key.task_id in named and _meant(selection, task.key)))
    ]
    return _in_order(blueprint, found)


def still_up(
    blueprint: Blueprint, keys: Iterable[TaskKey], tasks: Mapping[TaskKey, TaskInstance]
) -> tuple[TaskKey, ...]:
    """Of these the teardowns that have something to take down yet, and the setups that did it: whoever marks a
    whole run does not mean them."""
    found: dict[TaskKey, None] = {}
    for key in keys:
        teardown = blueprint.tasks[key.task_id].teardown
        if teardown is not None and not tasks[key].state.final:
            setups = [each for each in tasks if each.task_id in teardown.setups and _belongs(blueprint, key, each)]
            done = [each for each in setups if tasks[each].state is TaskState.SUCCESS]
            found |= dict.fromkeys((key, *done) if done else ())
    return tuple(found)


def added_by_clearing(
    blueprint: Blueprint, keys: Collection[TaskKey], tasks: Mapping[TaskKey, TaskInstance]
) -> tuple[TaskKey, ...]:
    """What of one run runs again besides, where these are cleared, in topological order: setups and teardowns that
    are tied to them, and what is expanded over something that runs again. `tasks`: all of the run."""
    again = with_setups(blueprint, keys, tasks)
    names = {key.task_id for key in again}
    for task_id in sorted(blueprint.units, key=lambda each: blueprint.place[each]):  # sources come first
        if not names.isdisjoint(blueprint.units[task_id].sources):
            names.add(task_id)
            again |= {key for key, task in tasks.items() if key.task_id == task_id and _stands(task)}
    return _in_order(blueprint, again.difference(keys))


def with_setups(
    blueprint: Blueprint, keys: Iterable[TaskKey], tasks: Mapping[TaskKey, TaskInstance]
) -> set[TaskKey]:
    """These instances with the setups that they need and the teardowns that follow: to clear the one is to clear
    the others."""
    found = set(keys)
    for key in tuple(found):
        tied = (*blueprint.setups.get(key.task_id, ()), *_teardowns(blueprint, key.task_id))
        found |= {each for each in tasks if each.task_id in tied and _belongs(blueprint, key, each)}
    return {key for key in found if tasks[key].state is not TaskState.REMOVED}


def _belongs(blueprint: Blueprint, key: TaskKey, other: TaskKey) -> bool:
    """Whether two instances of a run have to do with each other: those that are expanded together, by index."""
    unit = blueprint.units.get(key.task_id)
    together = unit is not None and unit is blueprint.units.get(other.task_id)
    return key.run == other.run and (not together or key.map_index == other.map_index)


def run_keys(selection: Selection) -> tuple[RunKey, ...]:
    """The runs that are named."""
    return tuple(RunKey(selection.dag_id, run_id) for run_id in selection.run_ids)


def nearest_task(selection: Selection, blueprints: Iterable[Blueprint]) -> str | None:
    """The task id that comes nearest to the one that is named, where none of these versions has that."""
    known = {task_id: None for blueprint in blueprints for task_id in blueprint.tasks}
    if selection.tasks is None or any(re.fullmatch(selection.tasks, task_id) for task_id in known):
        return None
    return next(iter(difflib.get_close_matches(selection.tasks, known, n=1)), None)


def _in_order(blueprint: Blueprint, keys: Iterable[TaskKey]) -> tuple[TaskKey, ...]:
    return tuple(sorted(keys, key=lambda key: (blueprint.place.get(key.task_id, 0), key.map_index)))


def _stands(task: TaskInstance) -> bool:
    return task.state is not TaskState.REMOVED


def _named(selection: Selection, blueprint: Blueprint) -> set[str]:
    if selection.tasks is None:
        return set(blueprint.tasks)
    pattern = re.compile(selection.tasks)
    return {task_id for task_id in blueprint.tasks if pattern.fullmatch(task_id)}


def _related(selection: Selection, blueprint: Blueprint, named: set[str]) -> set[str]:
    before = [blueprint.reach.upstream(task_id) for task_id in named] if selection.upstream else []
    after = [blueprint.reach.downstream(task_id) for task_id in named] if selection.downstream else []
    return set().union(*before, *after)


def _meant(selection: Selection, key: TaskKey) -> bool:
    return not selection.map_indexes or key.map_index in selection.map_indexes


def _teardowns(blueprint: Blueprint, task_id: str) -> list[str]:
    return [teardown for teardown, enclosed in blueprint.enclosed.items() if task_id in enclosed]
