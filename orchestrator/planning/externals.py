"""Waiting for a run of another DAG (spec authoring 4). Nothing looks again and again: the end of a task instance or
of a run has those asked for that wait for it, and they judge by what the database then says.

Several runs may have one logical date. It is enough that one of them came to what is wanted; what is not
wanted is judged of the one that was made last.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from orchestrator.errors import TimetableError
from orchestrator.planning.awaits import ExternalWait
from orchestrator.planning.draft import Draft
from orchestrator.planning.history import PastRun
from orchestrator.planning.resting import fail_with, rest, skip_with, succeed, wake
from orchestrator.planning.rows import Reason, TaskInstance
from orchestrator.planning.view import View
from orchestrator.spec.control import External
from orchestrator.spec.dag import CronSchedule, DagSpec, DeltaSchedule
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode, TaskState
from orchestrator.timetables import read_date, zone_named

#: Task ids that a sentence names.
_NAMED = 3


class Outcome(Value, frozen=True, kw_only=True):
    """How a wait ends: success, skipped or failed."""

    state: TaskState
    reason: Reason


def begin(draft: Draft, task: TaskInstance, control: External) -> None:
    """Wait; a test, which has one DAG, does not, and succeeds."""
    date = _date(draft, task, control)
    if isinstance(date, str):
        fail_with(draft, task, ReasonCode.RENDER_ERROR, date)
        return
    wait = ExternalWait(control=control, date=date)
    missing = _missing(draft.world, control) if control.check_existence else None
    since = task.since or draft.now
    if draft.settings.alone:
        succeed(draft, msgspec.structs.replace(task, awaits=wait), None)
    elif missing is not None:
        _end(draft, task, control, Outcome(state=TaskState.FAILED, reason=missing))
    else:
        rest(draft, task, wait, story(draft.world, wait), due_at=since + control.timeout)


def on_looked(draft: Draft, task: TaskInstance, wait: ExternalWait, runs: Sequence[PastRun]) -> None:
    """The database has told of the runs of the date."""
    outcome = judged(wait, runs)
    if outcome is None and not runs:
        outcome = _never(draft.world, wait)
    if outcome is not None:
        _end(draft, wake(draft, task), wait.control, outcome)


def judged(wait: ExternalWait, runs: Sequence[PastRun]) -> Outcome | None:
    """What these runs come to; None while that is open."""
    control = wait.control
    for past in runs:
        states = _states(control, past)
        if states and all(state in control.allowed_states for _, state in states):
            return Outcome(state=TaskState.SUCCESS, reason=Reason(code=ReasonCode.EXTERNAL))
    newest = max(runs, key=lambda past: (past.run.created_at, past.run.key), default=None)
    return None if newest is None else _unmet(control, newest)


def story(world: View, wait: ExternalWait) -> Reason:
    """What it waits for, and how that stands, as far as the world knows."""
    control = wait.control
    what = f"{_named(control)} for {wait.date.isoformat()}"
    missing = _missing(world, control)
    if missing is not None:
        return Reason(code=ReasonCode.EXTERNAL, text=f"it waits for {what}; {missing.text}")
    here = [run for key, run in world.runs.items() if key.dag_id == control.dag_id]
    runs = [run for run in here if run.interval.start == wait.date]
    found = f"its run {runs[-1].key.run_id} is {runs[-1].state}" if runs else "no open run of it has that date"
    paused = "; the DAG is paused" if not runs and world.dags[control.dag_id].paused else ""
    return Reason(code=ReasonCode.EXTERNAL, text=f"it waits for {what}; {found}{paused}")


def _end(draft: Draft, task: TaskInstance, control: External, outcome: Outcome) -> None:
    reason = outcome.reason
    if outcome.state is TaskState.SUCCESS:
        succeed(draft, task, None)
    elif outcome.state is TaskState.SKIPPED or control.soft_fail:
        skip_with(draft, task, reason.code, reason.text)
    else:
        fail_with(draft, task, reason.code, reason.text)


def _date(draft: Draft, task: TaskInstance, control: External) -> datetime | str:
    """The logical date it waits for; why it is none."""
    if control.date is None:
        return draft.world.runs[task.key.run].interval.start - control.delta
    try:
        return read_date(control.date, zone_named(draft.world.dag_spec(task.key.run).timezone))
    except TimetableError as error:
        return f"execution_date_fn: {error.message}"


def _states(control: External, past: PastRun) -> list[tuple[str, str]]:
    """By name, what the run or the tasks have come to; nothing where there is no such task."""
    if not control.task_ids and control.group is None:
        return [(past.run.key.run_id, past.run.state.value)]
    wanted = set(_wanted(control, past.version.spec))
    return [
        (task.key.task_id, task.state.value)
        for task in past.tasks
        if task.key.task_id in wanted and task.state is not TaskState.REMOVED
    ]


def _unmet(control: External, past: PastRun) -> Outcome | None:
    """What is not wanted: a failure at once, a skip when all have ended and none failed, so that it does not matter
    who ended first. A state that is allowed is none of these."""
    states = [(name, state) for name, state in _states(control, past) if state not in control.allowed_states]
    all_ended = past.run.state.final or all(TaskState(state).final for _, state in states)
    for outcome, named in ((TaskState.FAILED, control.failed_states), (TaskState.SKIPPED, control.skipped_states)):
        bad = [(name, state) for name, state in states if state in named]
        if bad and (all_ended or outcome is TaskState.FAILED):
            text = f"{bad[0][0]} of {control.dag_id} is {bad[0][1]} (run {past.run.key.run_id})"
            return Outcome(state=outcome, reason=Reason(code=ReasonCode.EXTERNAL, text=text))
    if past.run.state.final and not _states(control, past):
        text = f"the run {past.run.key.run_id} of {control.dag_id} has ended, and has no {_named(control)}"
        return Outcome(state=TaskState.FAILED, reason=Reason(code=ReasonCode.NEVER_MEETS, text=text))
    return None


def _missing(world: View, control: External) -> Reason | None:
    """Why nothing like it is known now."""
    dag = world.dags.get(control.dag_id)
    if dag is None or not dag.active:
        why = "there is no DAG" if dag is None else "no file defines the DAG any more:"
        return Reason(code=ReasonCode.DAG_MISSING, text=f"{why} {control.dag_id!r}")
    spec = world.current(control.dag_id).spec
    known = {task.task_id for task in spec.tasks}
    absent = [task_id for task_id in control.task_ids if task_id not in known]
    if control.group is not None and control.group not in {group.group_id for group in spec.groups}:
        absent.append(control.group)
    if absent:
        return Reason(code=ReasonCode.DAG_MISSING, text=f"the DAG {control.dag_id!r} has no {_few(absent)}")
    return None


def _never(world: View, wait: ExternalWait) -> Outcome | None:
    """Where no run has the date, and the schedule of the other DAG never comes to it."""
    if wait.control.dag_id not in world.dags:
        return None
    blueprint = world.current(wait.control.dag_id)
    if not isinstance(blueprint.spec.schedule, CronSchedule | DeltaSchedule):
        return None
    if any(True for _ in blueprint.timetable.starting_in(wait.date, wait.date)):
        return None
    text = (
        f"no run of {wait.control.dag_id} can ever have the logical date {wait.date.isoformat()}: "
        "its schedule has none there"
    )
    return Outcome(state=TaskState.FAILED, reason=Reason(code=ReasonCode.NEVER_MEETS, text=text))


def _wanted(control: External, spec: DagSpec) -> Iterator[str]:
    yield from control.task_ids
    parents = {group.group_id: group.parent for group in spec.groups}
    for task in spec.tasks if control.group is not None else ():
        group = task.group
        while group is not None and group != control.group:
            group = parents[group]
        if group is not None:
            yield task.task_id


def _named(control: External) -> str:
    if control.group is not None:
        return f"the group {control.group} of {control.dag_id}"
    return f"{_few(control.task_ids)} of {control.dag_id}" if control.task_ids else f"a run of {control.dag_id}"


def _few(names: Iterable[str]) -> str:
    named = list(dict.fromkeys(names))
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more
