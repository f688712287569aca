"""Making runs of other DAGs (spec authoring 4). The run and what becomes of the task are decided in one turn, so no
crash between them can make a second run."""

import re

import msgspec

from orchestrator.errors import TimetableError
from orchestrator.ids import RunKey
from orchestrator.planning import rerun
from orchestrator.planning.awaits import RunWait, TriggerWait
from orchestrator.planning.draft import Draft
from orchestrator.planning.history import PastRun
from orchestrator.planning.resting import fail_with, rest, skip_with, succeed
from orchestrator.planning.rows import Dag, Reason, TaskInstance
from orchestrator.planning.runs import make_manual
from orchestrator.planning.verdicts import name_of
from orchestrator.spec.conf import conf_problem
from orchestrator.spec.control import Trigger
from orchestrator.spec.interval import Interval
from orchestrator.states import ReasonCode, RunType, TaskState
from orchestrator.timetables import interval_by_hand, zone_named

_RUN_ID = re.compile(r"[A-Za-z0-9_.~:+-]{1,250}")
_OURS = tuple(f"{each}__" for each in RunType)


def begin(draft: Draft, task: TaskInstance, control: Trigger) -> None:
    """Make the run; where one may be there already, ask first. A test makes none, and succeeds: it has one DAG."""
    dag = draft.world.dags.get(control.dag_id)
    if draft.settings.alone:
        kept = TriggerWait(control=control, interval=draft.world.runs[task.key.run].interval)
        succeed(draft, msgspec.structs.replace(task, awaits=kept), {"dag_id": control.dag_id, "run_id": None})
    elif dag is None or not dag.active:
        why = "there is no DAG" if dag is None else "no file defines the DAG any more:"
        fail_with(draft, task, ReasonCode.DAG_MISSING, f"{why} {control.dag_id!r} to trigger")
    elif problem := _problem(draft, control):
        fail_with(draft, task, ReasonCode.RUN_REFUSED, problem)
    elif isinstance(interval := _interval(draft, dag, control), str):
        fail_with(draft, task, ReasonCode.RUN_REFUSED, interval)
    elif control.run_id is not None or (control.logical_date and (control.reset or control.skip_when_exists)):
        reason = Reason(
            code=ReasonCode.TRIGGERED_RUN, text=f"it looks whether {control.dag_id} has this run already"
        )
        rest(draft, task, TriggerWait(control=control, interval=interval), reason)
    else:
        _make(draft, task, control, interval)


def on_looked(draft: Draft, task: TaskInstance, wait: TriggerWait, found: PastRun | None) -> None:
    """The database has said whether the run is there; the world may know a newer one."""
    control, run_id = wait.control, wait.control.run_id
    open_run = None if run_id is None else draft.world.runs.get(RunKey(control.dag_id, run_id))
    there = open_run if open_run is not None else None if found is None else found.run
    if there is None:
        _make(draft, task, control, wait.interval)
    elif control.skip_when_exists:
        skip_with(draft, task, ReasonCode.RUN_EXISTS, _exists(there.key))
    elif not control.reset:
        fail_with(draft, task, ReasonCode.RUN_EXISTS, _exists(there.key))
    elif there.key == task.key.run:
        fail_with(draft, task, ReasonCode.RUN_REFUSED, "it cannot reset the run that it is part of")
    elif open_run is not None and open_run.reason is not None:
        fail_with(draft, task, ReasonCode.RUN_REFUSED, f"the run {open_run.key.run_id} is being ended")
    else:
        if open_run is None and found is not None:
            rerun.recall(draft, found)
        _reset(draft, task, control, there.key)


def on_ended(draft: Draft, task: TaskInstance, wait: RunWait, found: PastRun | None) -> None:
    """The run that it made may have ended; in a state that says nothing it goes on waiting."""
    if found is None:
        fail_with(draft, task, ReasonCode.TRIGGERED_RUN, f"{_spoken(wait.run)} is not there any more")
    elif found.run.state in wait.allowed_states:
        succeed(draft, task, msgspec.structs.asdict(wait.run))
    elif found.run.state in wait.failed_states:
        state, why = found.run.state, f": {found.run.reason.text}" if found.run.reason else ""
        text = f"{_spoken(wait.run)}, which it made, ended as {state}{why}"
        fail_with(draft, task, ReasonCode.TRIGGERED_RUN, text)


def decides(wait: RunWait, found: PastRun | None) -> bool:
    """Whether what the database says of the run ends the wait."""
    return found is None or found.run.state in (*wait.allowed_states, *wait.failed_states)


def _problem(draft: Draft, control: Trigger) -> str | None:
    """Why no such run can be made, in words."""
    if not isinstance(control.conf, dict):
        return f"conf must be an object, and comes to {msgspec.json.encode(control.conf).decode()[:80]}"
    if problem := conf_problem(draft.world.current(control.dag_id).spec, control.conf):
        return f"conf does not fit the params of {control.dag_id}: {problem}"
    if control.run_id is None:
        return None
    if not _RUN_ID.fullmatch(control.run_id):
        return f"{control.run_id!r} cannot be a run_id: use letters, digits and _.~:+-, at most 250"
    if control.run_id.startswith(_OURS):
        return f"{control.run_id!r} cannot be a run_id: what begins like {_OURS[0]} is given by the scheduler"
    return None


def _interval(draft: Draft, dag: Dag, control: Trigger) -> Interval | str:
    """What the run stands for; why it cannot be told."""
    blueprint = draft.world.current(dag.dag_id)
    zone = zone_named(blueprint.spec.timezone)
    try:
        return interval_by_hand(blueprint.timetable, control.logical_date or None, zone, draft.now)
    except TimetableError as error:
        return f"logical_date: {error.message}"


def _make(draft: Draft, task: TaskInstance, control: Trigger, interval: Interval) -> None:
    dag, asker = draft.world.dags[control.dag_id], task.key
    run = make_manual(
        draft,
        dag,
        interval,
        draft.now,
        name=control.run_id,
        conf=control.conf,
        actor=f"{asker.dag_id}.{name_of(asker)}",
        triggered_by=asker,
    )
    _go_on(draft, task, control, run.key)


def _reset(draft: Draft, task: TaskInstance, control: Trigger, key: RunKey) -> None:
    """Have all of a run that is there run again, with the conf that is given now, if any."""
    actor = f"{task.key.dag_id}.{name_of(task.key)}"
    tasks = (draft.world.tasks[each] for each in draft.world.tasks_of.entries(key))
    keys = [each.key for each in tasks if each.state is not TaskState.REMOVED]
    rerun.clear(draft, key, keys, actor, as_run=draft.settings.rerun_recorded)
    run = draft.world.runs[key]
    draft.put_run(msgspec.structs.replace(run, triggered_by=task.key, conf=control.conf or run.conf))
    _go_on(draft, task, control, key)


def _go_on(draft: Draft, task: TaskInstance, control: Trigger, run: RunKey) -> None:
    wait = RunWait(run=run, allowed_states=control.allowed_states, failed_states=control.failed_states)
    if control.wait:
        reason = Reason(code=ReasonCode.TRIGGERED_RUN, text=f"it waits for {_spoken(run)}, which it made")
        since = task.since or draft.now
        due_at = None if control.timeout is None else since + control.timeout
        rest(draft, task, wait, reason, due_at=due_at)
    else:
        succeed(draft, msgspec.structs.replace(task, awaits=wait), msgspec.structs.asdict(run))


def _exists(run: RunKey) -> str:
    return f"{_spoken(run)} is there already"


def _spoken(run: RunKey) -> str:
    return f"the run {run.run_id} of {run.dag_id}"
