"""What may be read of a selection: the task instances that it means, by the rules by which the leader takes it."""

import re

from orchestrator.errors import RequestRefusedError
from orchestrator.ids import TaskKey
from orchestrator.planning import reruns
from orchestrator.planning.selection import Selection
from orchestrator.ports import Store
from orchestrator.spec.value import Value
from orchestrator.states import TaskState


class Meant(Value, frozen=True, kw_only=True):
    """A task instance that somebody means, and its state now. `added`: not named, but tied to one that is."""

    key: TaskKey
    state: TaskState
    added: bool = False


def meant_by(store: Store, selection: Selection, *, clearing: bool) -> tuple[Meant, ...]:
    """In each run what is named, in topological order; with `clearing` then what runs again with it.
    `RequestRefusedError` where what is to name the tasks is no regular expression."""
    try:
        re.compile(selection.tasks or "")
    except re.error as error:
        fix = "give a task id, or a regular expression for whole ids, as in `load_.*`"
        raise RequestRefusedError(f"{selection.tasks!r} is no regular expression: {error}", fix=fix) from error
    found = []
    for past in store.past_runs(reruns.wanted_by(selection)):
        states = {task.key: task.state for task in past.tasks}
        chosen = reruns.chosen_of(selection, past)
        added = reruns.added_of(past, chosen) if clearing else ()
        found += [Meant(key=key, state=states[key]) for key in chosen]
        found += [Meant(key=key, state=states[key], added=True) for key in added]
    return tuple(found)


def why_none(store: Store, selection: Selection) -> str:
    """What is to be said of a selection that means nothing."""
    return reruns.unmeant(selection, store.past_runs(reruns.wanted_by(selection)))
