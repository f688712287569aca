"""Requests to clear, mark and kill: the runs that are meant are read from the database, since most have ended."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta

import msgspec

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning import rerun
from orchestrator.planning.blueprint import Blueprint, blueprint_of
from orchestrator.planning.changes import Answered, LookBack
from orchestrator.planning.draft import Draft
from orchestrator.planning.events import Seen
from orchestrator.planning.history import PastRun, RunsBetween, RunsNamed, Wanted
from orchestrator.planning.rows import Answer, Request, RequestKind, TaskInstance
from orchestrator.planning.selection import (
    Selection,
    added_by_clearing,
    nearest_task,
    run_keys,
    selected,
    still_up,
    with_setups,
)
from orchestrator.planning.verdicts import name_of
from orchestrator.states import TaskState

_TICK = timedelta(microseconds=1)
#: How many task instances an answer names.
_NAMED = 1000
_Change = Callable[[Draft, Request, RunKey, tuple[TaskKey, ...]], None]


def look(draft: Draft, request: Request) -> Answer | None:
    """Have the runs looked up that a request means; an answer at once where it cannot be done."""
    try:
        selection = selection_of(request)
    except msgspec.ValidationError as error:
        return Answer(ok=False, error=f"this names no task instances: {error}")
    if selection.dag_id not in draft.world.dags:
        return Answer(ok=False, error=f"no DAG {selection.dag_id!r}; `orchestrator dags list` shows all")
    if request.kind is RequestKind.MARK and request.payload.get("state") not in rerun.MARKS:
        known = ", ".join(rerun.MARKS)
        return Answer(
            ok=False, error=f"a task cannot be marked {request.payload.get('state')!r}; choose of {known}"
        )
    try:
        re.compile(selection.tasks or "")
    except re.error as error:
        return Answer(ok=False, error=f"{selection.tasks!r} is no regular expression: {error}")
    draft.do(LookBack(asker=request, wanted=wanted_by(selection)))
    return None


def on_seen(draft: Draft, request: Request, event: Seen) -> None:
    """Do what was asked for, and answer."""
    if is_news(draft, request, event):
        answer = _answer(draft, request, selection_of(request), event.runs)
        draft.do(Answered(request=request, answer=answer, at=draft.now))


def is_news(draft: Draft, request: Request, event: Seen) -> bool:
    """Whether this answers the question of a request; where that was overtaken, it is put again."""
    question, runs = draft.world.questions.get(request.id), draft.world.runs
    if question is None:
        return False
    ended_since = any(not past.run.state.final and past.run.key not in runs for past in event.runs)
    if question.overtaken or ended_since:
        draft.do(LookBack(asker=request, wanted=event.wanted))
        return False
    return True


def selection_of(request: Request) -> Selection:
    """`msgspec.ValidationError` where there is none."""
    return msgspec.convert(request.payload.get("selection"), Selection)


def wanted_by(selection: Selection) -> Wanted:
    """What to ask the database for."""
    if selection.start is not None and selection.end is not None:
        return RunsBetween(dag_id=selection.dag_id, start=selection.start, end=selection.end + _TICK)
    return RunsNamed(keys=run_keys(selection))


def chosen_of(kind: RequestKind, selection: Selection, past: PastRun) -> tuple[TaskKey, ...]:
    """The task instances of one run that are meant, as the database has it."""
    return _meant(kind, selection, blueprint_of(past.version), {task.key: task for task in past.tasks})


def spared_in(kind: RequestKind, selection: Selection, past: PastRun) -> str:
    """What is to be said of teardowns that a mark of a whole run leaves alone; empty where there are none."""
    tasks = {task.key: task for task in past.tasks}
    spared = _spared(kind, selection, blueprint_of(past.version), tasks)
    names = [name_of(key) for key in spared if not tasks[key].state.final]
    text = (
        f"in {past.run.key.run_id} what was set up is still taken down, by {', '.join(names)}: name that to mark it"
    )
    return text if names else ""


def added_of(past: PastRun, keys: Collection[TaskKey]) -> tuple[TaskKey, ...]:
    """What of one run runs again besides, where these are cleared, as the database has it."""
    return added_by_clearing(blueprint_of(past.version), keys, {task.key: task for task in past.tasks})


def unmeant(selection: Selection, runs: Iterable[PastRun], *, killing: bool = False) -> str:
    """What is said where nothing of these runs is meant."""
    if nearest := nearest_task(selection, (blueprint_of(past.version) for past in runs)):
        return f"no task instance is meant: no task is named {selection.tasks!r}; did you mean {nearest!r}?"
    if killing:
        return "nothing that runs is meant; `orchestrator runs list` tells what is open"
    return "no task instance is meant: see `orchestrator runs show`, and widen what you name"


def _meant(
    kind: RequestKind, selection: Selection, blueprint: Blueprint, tasks: Mapping[TaskKey, TaskInstance]
) -> tuple[TaskKey, ...]:
    """A kill means what has not ended; a mark that names no task leaves alone what is up, to be taken down."""
    keys = selected(selection, blueprint, tasks.values())
    if kind is RequestKind.KILL:
        return tuple(key for key in keys if not tasks[key].state.final)
    spared = _spared(kind, selection, blueprint, tasks)
    return tuple(key for key in keys if key not in spared)


def _spared(
    kind: RequestKind, selection: Selection, blueprint: Blueprint, tasks: Mapping[TaskKey, TaskInstance]
) -> tuple[TaskKey, ...]:
    marks_whole = kind is RequestKind.MARK and selection.tasks is None
    return still_up(blueprint, selected(selection, blueprint, tasks.values()), tasks) if marks_whole else ()


def _answer(draft: Draft, request: Request, selection: Selection, runs: Collection[PastRun]) -> Answer:
    doomed, chosen = [], {}
    for past in runs:
        known = draft.world.runs.get(past.run.key)
        if known is not None and known.reason is not None:
            doomed.append(past.run.key.run_id)
        elif keys := _chosen(draft, request.kind, selection, past):
            chosen[past.run.key] = (past, keys)
    if doomed:
        return Answer(ok=False, error=f"{', '.join(doomed)}: being ended; ask again once it has")
    if not chosen:
        return Answer(ok=False, error=unmeant(selection, runs, killing=request.kind is RequestKind.KILL))
    named, added = [], list[str]()
    told_of = [spared for past, _ in chosen.values() if (spared := spared_in(request.kind, selection, past))]
    for key, (past, keys) in chosen.items():
        rerun.recall(draft, past)
        besides = _added(draft, key, keys) if request.kind is RequestKind.CLEAR else ()
        _DO[request.kind](draft, request, key, keys)
        named += _names((*keys, *besides))
        added += _names(besides)
    told = {"tasks": named[:_NAMED], "added": added[:_NAMED], "warnings": told_of[:_NAMED]}
    return Answer(ok=True, data={"dag_id": selection.dag_id, "runs": len(chosen), **told})


def _names(keys: Iterable[TaskKey]) -> list[str]:
    return [f"{key.run_id}: {name_of(key)}" for key in keys]


def _chosen(draft: Draft, kind: RequestKind, selection: Selection, past: PastRun) -> tuple[TaskKey, ...]:
    """Of an open run by what the world knows, which is newer."""
    if past.run.key not in draft.world.runs:
        return chosen_of(kind, selection, past)
    return _meant(kind, selection, draft.world.blueprint(past.run.key), _tasks(draft, past.run.key))


def _added(draft: Draft, run: RunKey, keys: Collection[TaskKey]) -> tuple[TaskKey, ...]:
    return added_by_clearing(draft.world.blueprint(run), keys, _tasks(draft, run))


def _tasks(draft: Draft, run: RunKey) -> dict[TaskKey, TaskInstance]:
    return {key: draft.world.tasks[key] for key in draft.world.tasks_of.entries(run)}


def _clear(draft: Draft, request: Request, run: RunKey, keys: tuple[TaskKey, ...]) -> None:
    wider = with_setups(draft.world.blueprint(run), keys, _tasks(draft, run))
    wished = request.payload.get("as_run")
    as_run = draft.settings.rerun_recorded if wished is None else bool(wished)
    rerun.clear(draft, run, wider, request.actor, as_run=as_run)


def _mark(draft: Draft, request: Request, run: RunKey, keys: tuple[TaskKey, ...]) -> None:
    rerun.mark(draft, run, keys, TaskState(request.payload["state"]), request.actor)


def _kill(draft: Draft, request: Request, run: RunKey, keys: tuple[TaskKey, ...]) -> None:
    rerun.kill(draft, run, keys, request.actor)


_DO: Mapping[RequestKind, _Change] = {
    RequestKind.CLEAR: _clear,
    RequestKind.MARK: _mark,
    RequestKind.KILL: _kill,
}
