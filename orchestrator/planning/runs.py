"""The life of a run: made, held back, started, doomed. (Its end is in `flow`.)"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning import transitions
from orchestrator.planning.changes import PinImages, PutDag
from orchestrator.planning.draft import Draft
from orchestrator.planning.flow import end_if_over, spread
from orchestrator.planning.rows import Backfill, Dag, Reason, Run, Stretch, TaskInstance, Try, run_id
from orchestrator.planning.stopping import request_stop
from orchestrator.spec.interval import Interval
from orchestrator.states import ReasonCode, RunState, RunType, TaskState
from orchestrator.timetables import Past
from orchestrator.timetables.zones import TICK


def make_scheduled(draft: Draft, dag_id: str) -> None:
    """Make the scheduled runs that are due, but for intervals that a backfill came to first. Of a long past to
    catch up with only as many at a time as may run together: the rest is due still, and made as those start."""
    limit, made = draft.world.current(dag_id).spec.max_active_runs, 0
    while made < limit:
        dag = draft.world.dags[dag_id]
        interval = _due(draft, dag)
        if interval is None:
            return
        if interval.start not in dag.filled:
            _make(draft, dag, _scheduled_id(dag, interval), RunType.SCHEDULED, interval)
            made += 1
        ahead = tuple(date for date in dag.filled if date > interval.start)
        draft.do(PutDag(dag=msgspec.structs.replace(dag, last=interval, filled=ahead)))


def make_manual(
    draft: Draft, dag: Dag, interval: Interval, asked: datetime, *, name: str | None = None, **told: Any
) -> Run:
    """Make a run that somebody asked for at the instant `asked`, by which it is named (or by `name`); several may
    stand for one interval. `told` are columns of the run: conf, note, actor, triggered_by."""
    newest = draft.world.asked.get(dag.dag_id)
    if newest is not None and asked <= newest:
        asked = newest + TICK
    return _make(draft, dag, name or run_id(RunType.MANUAL, asked), RunType.MANUAL, interval, **told)


def make_backfill(draft: Draft, dag: Dag, interval: Interval, backfill: Backfill, *, free_of_past: bool) -> Run:
    """Make a run for a backfill; `free_of_past`: it does not wait for earlier ones."""
    if dag.last is None or interval.start > dag.last.start:
        filled = tuple(sorted({*dag.filled, interval.start}))
        draft.do(PutDag(dag=msgspec.structs.replace(dag, filled=filled)))
    told = {"conf": backfill.conf, "actor": backfill.actor, "backfill": backfill.id, "free_of_past": free_of_past}
    return _make(draft, dag, run_id(RunType.BACKFILL, interval.start), RunType.BACKFILL, interval, **told)


def make_triggered(draft: Draft, dag: Dag, consumed: dict[str, Stretch]) -> Run:
    """Make a run for updates of assets; it stands for the instant of the newest."""
    newest = max(events.last for events in consumed.values())
    interval = Interval(start=newest, end=newest)
    name = run_id(RunType.ASSET_TRIGGERED, newest)
    return _make(draft, dag, name, RunType.ASSET_TRIGGERED, interval, consumed=consumed)


def start_held(draft: Draft, dag_id: str) -> None:
    """Start runs that are held back, earliest logical date first, as far as `max_active_runs` allows."""
    limit = draft.world.current(dag_id).spec.max_active_runs
    while draft.world.running[dag_id] < limit:
        run = next(_startable(draft, dag_id), None)
        if run is None:
            return
        start(draft, run)


def may_start(dag: Dag, run: Run) -> bool:
    """A paused DAG, or one whose file is gone, starts no run of its schedule; what was asked for by hand runs."""
    by_hand = run.run_type not in (RunType.SCHEDULED, RunType.ASSET_TRIGGERED) or run.cleared_at is not None
    return by_hand or (dag.active and not dag.paused)


def doom(draft: Draft, run: Run, reason: Reason, *, teardowns: bool = True) -> None:
    """Have a run fail: what has not started fails now, open tries are stopped and the run ends with the last.
    `teardowns` of setups that succeeded still run."""
    if run.state is RunState.QUEUED:
        _make_tasks_once(draft, run)  # so that they can be cleared
        for key in list(draft.world.tasks_of.entries(run.key)):
            if not draft.world.tasks[key].state.final:
                draft.put_task(transitions.failed(draft.world.tasks[key], draft.now, reason))
        draft.put_run(transitions.run_failed(run, draft.now, reason))
        draft.stir(run.key.dag_id)
        return
    draft.put_run(transitions.run_doomed(run, reason))
    kept = []
    for key in list(draft.world.tasks_of.entries(run.key)):
        task = draft.world.tasks[key]
        if task.state.final:
            continue
        if teardowns and draft.world.task_spec(key).teardown is not None:
            kept.append(key)
        elif (try_id := draft.world.open_try.get(key)) is not None:
            _stop(draft, task, draft.world.tries[try_id], reason)
        else:
            draft.put_task(transitions.failed(task, draft.now, reason))
    spread(draft, kept)
    end_if_over(draft, run.key)


def _stop(draft: Draft, task: TaskInstance, attempt: Try, reason: Reason) -> None:
    """Have the open try of a doomed run's task instance ended, after which nothing follows: neither the life that
    it was cleared for, nor another try of a teardown."""
    if task.target is TaskState.WAITING or draft.world.task_spec(task.key).teardown is not None:
        draft.put_task(transitions.meant(task, TaskState.FAILED))
    request_stop(draft, attempt, reason)


def overdue(draft: Draft, key: RunKey) -> None:
    """A run took longer than its DAG allows."""
    limit = draft.world.dag_spec(key).dagrun_timeout
    reason = Reason(code=ReasonCode.TIMEOUT, text=f"the run took longer than its dagrun_timeout of {limit}")
    doom(draft, draft.world.runs[key], reason)


def _due(draft: Draft, dag: Dag) -> Interval | None:
    """The interval whose scheduled run is to be made now, of a DAG whose timer has run out."""
    if draft.world.schedule_waits(dag.dag_id):
        return None
    blueprint = draft.world.current(dag.dag_id)
    wished = blueprint.spec.catchup
    catchup = draft.settings.catchup_by_default if wished is None else wished
    past = Past(last=dag.last, since=dag.since or blueprint.version.created_at, catchup=catchup)
    interval = blueprint.timetable.next(past, draft.now)
    return interval if interval is not None and interval.end <= draft.now else None


def _scheduled_id(dag: Dag, interval: Interval) -> str:
    """Where a schedule of ticks became one of intervals, the first interval begins with the last tick, whose run
    has the name already."""
    name = run_id(RunType.SCHEDULED, interval.start)
    return f"{name}__2" if dag.last is not None and dag.last.start == interval.start else name


def _make(draft: Draft, dag: Dag, name: str, run_type: RunType, interval: Interval, **told: Any) -> Run:
    """Make a run, held back for now, and have its images' names looked up: it never changes image midway."""
    key = RunKey(dag.dag_id, name)
    images = draft.world.current(dag.dag_id).images
    run = Run(
        key=key,
        run_type=run_type,
        state=RunState.QUEUED,
        version=dag.version,
        interval=interval,
        images=None if images else {},
        created_at=draft.now,
        **told,
    )
    draft.put_run(run)
    if any(task.deadline is not None for task in draft.world.blueprint(key).spec.tasks):
        _make_tasks(draft, run)  # while it is held back, they may be late already
    if images:
        draft.do(PinImages(run=key, images=images))
    draft.stir(dag.dag_id)
    return run


def _startable(draft: Draft, dag_id: str) -> Iterator[Run]:
    dag = draft.world.dags[dag_id]
    held = (draft.world.runs[key] for _, key in draft.world.queued.entries(dag_id))
    return (run for run in held if may_start(dag, run))


def start(draft: Draft, run: Run) -> None:
    """Make its task instances; those of a run that was cleared are there."""
    draft.put_run(transitions.run_started(run, draft.now))
    _make_tasks_once(draft, run)
    spread(draft, draft.world.waiting(run.key))
    end_if_over(draft, run.key)


def _make_tasks_once(draft: Draft, run: Run) -> None:
    if draft.world.tasks_of.first(run.key) is None:
        _make_tasks(draft, run)


def _make_tasks(draft: Draft, run: Run) -> None:
    for task_id in draft.world.blueprint(run.key).tasks:
        draft.put_task(TaskInstance(key=TaskKey(run.key.dag_id, run.key.run_id, task_id)))
