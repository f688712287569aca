"""What may be read of a selection: the task instances that it means, by the rules by which the leader takes it, and
what whoever asks for a change should know beforehand."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from orchestrator.errors import RequestRefusedError
from orchestrator.ids import TaskKey
from orchestrator.planning import reruns
from orchestrator.planning.blueprint import blueprint_of
from orchestrator.planning.rows import RequestKind
from orchestrator.planning.selection import Selection
from orchestrator.planning.volumes import LostVolume, lost_volume
from orchestrator.ports import Store
from orchestrator.spec.value import Value
from orchestrator.states import RunState, TaskState

#: Runs that warnings name, one by one.
_NAMED = 3
#: Tasks that a command to copy names.
_MOST_TASKS = 8


class Meant(Value, frozen=True, kw_only=True):
    """A task instance that somebody means, and its state now. `added`: not named, but tied to one that is."""

    key: TaskKey
    state: TaskState
    added: bool = False


def meant_by(store: Store, selection: Selection, kind: RequestKind) -> tuple[Meant, ...]:
    """In each run what is named, in topological order; where it is to be cleared, then what runs again with it.
    `RequestRefusedError` where what is to name the tasks is no regular expression."""
    try:
        re.compile(selection.tasks or "")
    except re.error as error:
        fix = "give a task id, or a regular expression for whole ids, as in `load_.*`"
        raise RequestRefusedError(f"{selection.tasks!r} is no regular expression: {error}", fix=fix) from error
    found = []
    for past in store.past_runs(reruns.wanted_by(selection)):
        states = {task.key: task.state for task in past.tasks}
        chosen = reruns.chosen_of(kind, selection, past)
        added = reruns.added_of(past, chosen) if kind is RequestKind.CLEAR else ()
        found += [Meant(key=key, state=states[key]) for key in chosen]
        found += [Meant(key=key, state=states[key], added=True) for key in added]
    return tuple(found)


def why_none(store: Store, selection: Selection, kind: RequestKind) -> str:
    """What is to be said of a selection that means nothing."""
    runs = store.past_runs(reruns.wanted_by(selection))
    return reruns.unmeant(selection, runs, killing=kind is RequestKind.KILL)


def warnings_of(
    store: Store, selection: Selection, kind: RequestKind, kept: Mapping[RunState, timedelta], now: datetime
) -> tuple[str, ...]:
    """Warnings: of runs to be cleared, what was in a volume that is gone; of runs to be marked, what is taken down
    all the same. `kept`: how long the volumes of runs stay after their end."""
    if kind is RequestKind.CLEAR:
        found = [_told(lost, kept) for lost in _lost(store, selection, kept, now)]
    else:
        runs = store.past_runs(reruns.wanted_by(selection))
        found = [spared for past in runs if (spared := reruns.spared_in(kind, selection, past))]
    more = [f"so it is with {len(found) - _NAMED} runs more"] if len(found) > _NAMED else []
    return (*found[:_NAMED], *more)


def _lost(
    store: Store, selection: Selection, kept: Mapping[RunState, timedelta], now: datetime
) -> Iterator[tuple[LostVolume, RunState]]:
    for past in store.past_runs(reruns.wanted_by(selection)):
        chosen = reruns.chosen_of(RequestKind.CLEAR, selection, past)
        again = (*chosen, *reruns.added_of(past, chosen))
        lost = lost_volume(past, blueprint_of(past.version), again, kept, now)
        if lost is not None:
            yield lost, past.run.state


def _told(found: tuple[LostVolume, RunState], kept: Mapping[RunState, timedelta]) -> str:
    lost, state = found
    run, since = lost.run, lost.gone_at.isoformat(timespec="seconds")
    users, writers = ", ".join(lost.users), ", ".join(lost.writers)
    tasks = (*lost.writers, *lost.users)
    named = "|".join(tasks) if len(tasks) <= _MOST_TASKS else ".*"
    return (
        f"the volume of the run {run.run_id}, which ended as {state}, was kept for {kept[state]} and is gone since "
        f"{since}: {users} will find it empty, and what wrote into it does not run again ({writers}). Clear both: "
        f"`orchestrator tasks clear {run.dag_id} '{named}' {run.run_id}`"
    )
