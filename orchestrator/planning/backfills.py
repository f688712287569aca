"""Backfills: the runs of a range of logical dates, made or cleared a few at a time (spec scheduling 6).

What a dry run shows and what is then done is one plan, by one pure function.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from orchestrator.errors import TimetableError
from orchestrator.ids import RunKey, VersionId
from orchestrator.planning import rerun
from orchestrator.planning.blueprint import Blueprint
from orchestrator.planning.changes import Answered, LookBack, PutBackfill
from orchestrator.planning.draft import Draft
from orchestrator.planning.events import Seen
from orchestrator.planning.history import BackfillStep, PastRun, RunsBetween
from orchestrator.planning.reruns import is_news
from orchestrator.planning.rows import Answer, Backfill, Pending, Request, Run
from orchestrator.planning.runs import make_backfill, start
from orchestrator.planning.view import View
from orchestrator.spec.conf import conf_problem
from orchestrator.spec.interval import Interval
from orchestrator.spec.value import Value
from orchestrator.states import Reprocess, RunState, RunType
from orchestrator.timetables import read_date, zone_named

_TICK = timedelta(microseconds=1)
#: How many runs one backfill may come to.
MOST = 10_000


class StepKind(StrEnum):
    """What a backfill does about an interval."""

    MAKE = "make"
    CLEAR = "clear"
    LEAVE = "leave"


class Step(Value, frozen=True, kw_only=True):
    """One interval of a backfill; `run` is the run it has already. What runs does so with this version of the DAG,
    and these images, by name (None: what the name means when it begins)."""

    kind: StepKind
    interval: Interval
    run: RunKey | None = None
    version: VersionId | None = None
    images: dict[str, str | None] = {}


class Asked(Value, frozen=True, kw_only=True):
    """What a backfill is asked to be: the payload of its request. `as_run`: runs that are there keep the version
    and images they had, where they run again; None: as the site has it."""

    dag_id: str
    start: str
    end: str
    reprocess: Reprocess = Reprocess.NONE
    backwards: bool = False
    max_active_runs: int = 1
    conf: dict[str, Any] = {}
    as_run: bool | None = None


def plan_of(asked: Asked, blueprint: Blueprint, runs: Iterable[PastRun]) -> tuple[Step, ...]:
    """What would be done, in order. An interval never gets a second run."""
    having = {past.run.interval.start: past.run for past in runs if _stands(past.run)}
    first, last = dates_of(asked, blueprint)
    intervals = list(blueprint.timetable.starting_in(first, last))
    ordered = reversed(intervals) if asked.backwards else intervals
    return tuple(_planned(asked, blueprint, interval, having.get(interval.start)) for interval in ordered)


def dates_of(asked: Asked, blueprint: Blueprint) -> tuple[datetime, datetime]:
    """First and last logical date, both included. `TimetableError` for what is no date."""
    zone = zone_named(blueprint.spec.timezone)
    return read_date(asked.start, zone), read_date(asked.end, zone)


def wanted_by(asked: Asked, blueprint: Blueprint) -> RunsBetween:
    """What to ask the database for. `TimetableError` as `dates_of`."""
    first, last = dates_of(asked, blueprint)
    return RunsBetween(dag_id=asked.dag_id, start=first, end=last + _TICK)


def doubts_of(asked: Asked, blueprint: Blueprint) -> tuple[str, ...]:
    """Warnings: what lies before the DAG's start date, or after its end date, is not filled in."""
    (first, last), timetable = dates_of(asked, blueprint), blueprint.timetable
    found = []
    if timetable.start is not None and first < timetable.start:
        found.append(f"nothing before the DAG's start_date, {timetable.start.isoformat()}, is filled in")
    if timetable.end is not None and last > timetable.end:
        found.append(f"nothing after the DAG's end_date, {timetable.end.isoformat()}, is filled in")
    return tuple(found)


def problem_of(asked: Asked, blueprint: Blueprint) -> str | None:
    """Why there can be no such backfill."""
    try:
        first, last = dates_of(asked, blueprint)
    except TimetableError as error:
        return error.message
    if last < first:
        return f"the range ends ({asked.end}) before it starts ({asked.start})"
    if asked.backwards and blueprint.past:
        return "tasks that depend on the past cannot be filled in backwards"
    if asked.max_active_runs < 1:
        return "at least one run must be active at a time"
    if problem := conf_problem(blueprint.spec, asked.conf):
        return f"conf does not fit the params of {asked.dag_id}: {problem}"
    return None


def look(draft: Draft, request: Request) -> Answer | None:
    """Have the runs of the range looked up; an answer at once where there can be no such backfill."""
    try:
        asked = msgspec.convert(request.payload, Asked)
    except msgspec.ValidationError as error:
        return Answer(ok=False, error=f"this is no backfill: {error}")
    dag = draft.world.dags.get(asked.dag_id)
    if dag is None or not dag.active:
        return Answer(ok=False, error=f"no active DAG {asked.dag_id!r}; `orchestrator dags list` shows all")
    blueprint = draft.world.current(asked.dag_id)
    if problem := problem_of(asked, blueprint):
        return Answer(ok=False, error=problem)
    draft.do(LookBack(asker=request, wanted=wanted_by(asked, blueprint)))
    return None


def on_seen(draft: Draft, request: Request, event: Seen) -> None:
    """Begin, and answer."""
    if is_news(draft, request, event):
        draft.do(Answered(request=request, answer=_begin(draft, request, event.runs), at=draft.now))


def change(draft: Draft, request: Request) -> Answer:
    """Pause a backfill, go on with it, or have it make no more runs."""
    backfill = draft.world.backfills.get(int(request.payload.get("id", 0)))
    if backfill is None:
        return Answer(
            ok=False, error=f"no open backfill {request.payload.get('id')!r}; see `orchestrator backfill list`"
        )
    match request.payload.get("to"):
        case "paused":
            changed = msgspec.structs.replace(backfill, paused=True)
        case "running":
            changed = msgspec.structs.replace(backfill, paused=False)
        case "cancelled":
            changed = msgspec.structs.replace(backfill, pending=(), cancelled_by=request.actor)
        case other:
            return Answer(ok=False, error=f"a backfill cannot be {other!r}: choose of paused, running, cancelled")
    draft.do(PutBackfill(backfill=changed))
    advance(draft, backfill.id)
    return Answer(ok=True, data={"id": backfill.id, "dag_id": backfill.dag_id})


def advance(draft: Draft, number: int) -> None:
    """Look for the runs of as many of the intervals to come as may be active, and end a backfill that has none
    left. Whether an interval has a run is looked up when its turn comes: others make runs too."""
    backfill = draft.world.backfills.get(number)
    while backfill is not None and (step := next_step(draft.world, backfill)) is not None:
        draft.do(_look_for(backfill, step))
    if backfill is not None and not backfill.pending and not draft.world.backfilling[number]:
        draft.do(PutBackfill(backfill=msgspec.structs.replace(backfill, ended_at=draft.now)))


def on_run_seen(draft: Draft, asker: BackfillStep, event: Seen) -> None:
    """The runs of the interval that comes next: make one, have it run again as a part of the backfill, or leave it.
    An answer to an earlier process, or one that was overtaken, is asked for again."""
    backfill, question = draft.world.backfills.get(asker.backfill), draft.world.questions.get(asker)
    step = next((each for each in backfill.pending if each.date == asker.date), None) if backfill else None
    if backfill is None or step is None:
        return
    if question is not None and question.overtaken:
        draft.do(_look_for(backfill, step))
    elif question is not None:
        _take(draft, backfill, step, event.runs)
    advance(draft, backfill.id)


def resumed(world: View) -> Iterator[LookBack]:
    """The looks of an earlier process whose answers may never come: any answer has a backfill go on."""
    for backfill in world.backfills.values():
        if backfill.pending and not backfill.paused:
            yield _look_for(backfill, backfill.pending[0])


def next_step(world: View, backfill: Backfill) -> Pending | None:
    """What a backfill does next; None while it may not go on."""
    looking = [step for step in backfill.pending if _asker(backfill, step) in world.questions]
    if backfill.paused or world.backfilling[backfill.id] + len(looking) >= backfill.max_active_runs:
        return None
    return next((step for step in backfill.pending if step not in looking), None)


def _begin(draft: Draft, request: Request, runs: Iterable[PastRun]) -> Answer:
    asked = msgspec.convert(request.payload, Asked)
    blueprint = draft.world.current(asked.dag_id)
    steps = plan_of(asked, blueprint, runs)
    pending = tuple(
        Pending(date=step.interval.start, end=step.interval.end)
        for step in steps
        if step.kind is not StepKind.LEAVE
    )
    if len(pending) > MOST:
        return Answer(
            ok=False, error=f"that would be {len(pending)} runs, more than {MOST}: ask for less at a time"
        )
    left = len(steps) - len(pending)
    if not pending:
        return Answer(
            ok=False, error=f"nothing to do: {left} intervals, and each has a run that is to be left alone"
        )
    backfill = Backfill(
        id=request.id,
        dag_id=asked.dag_id,
        start=steps[-1 if asked.backwards else 0].interval.start,
        end=steps[0 if asked.backwards else -1].interval.start,
        reprocess=asked.reprocess,
        backwards=asked.backwards,
        max_active_runs=asked.max_active_runs,
        conf=asked.conf,
        actor=request.actor,
        created_at=draft.now,
        pending=pending,
        total=len(pending),
        as_run=draft.settings.rerun_recorded if asked.as_run is None else asked.as_run,
    )
    draft.do(PutBackfill(backfill=backfill))
    advance(draft, backfill.id)
    told = {"id": backfill.id, "dag_id": backfill.dag_id, "runs": len(pending), "left": left}
    return Answer(ok=True, data={**told, "warnings": list(doubts_of(asked, blueprint))})


def _planned(asked: Asked, blueprint: Blueprint, interval: Interval, run: Run | None) -> Step:
    """A step, and with what it runs."""
    step = _step(interval, run, asked.reprocess)
    if step.kind is StepKind.LEAVE:
        return step
    if step.kind is StepKind.CLEAR and run is not None and asked.as_run:
        return msgspec.structs.replace(step, version=run.version, images=dict(run.images or {}))
    version = blueprint.version.version
    return msgspec.structs.replace(step, version=version, images=dict.fromkeys(blueprint.images))


def _step(interval: Interval, run: Run | None, reprocess: Reprocess) -> Step:
    if run is None:
        return Step(kind=StepKind.MAKE, interval=interval)
    again = run.state.final and (
        reprocess is Reprocess.ALL or (reprocess is Reprocess.FAILED and run.state is RunState.FAILED)
    )
    return Step(kind=StepKind.CLEAR if again else StepKind.LEAVE, interval=interval, run=run.key)


def _look_for(backfill: Backfill, step: Pending) -> LookBack:
    wanted = RunsBetween(dag_id=backfill.dag_id, start=step.date, end=step.date + _TICK)
    return LookBack(asker=_asker(backfill, step), wanted=wanted)


def _asker(backfill: Backfill, step: Pending) -> BackfillStep:
    return BackfillStep(backfill=backfill.id, date=step.date)


def _take(draft: Draft, backfill: Backfill, pending: Pending, runs: Iterable[PastRun]) -> None:
    """Take the step that comes next, by the runs that its interval has."""
    left = tuple(each for each in backfill.pending if each != pending)
    draft.do(PutBackfill(backfill=msgspec.structs.replace(backfill, pending=left)))
    past = {each.run.key: each for each in runs if _stands(each.run)}
    interval = Interval(start=pending.date, end=pending.end)
    known = _open_run(draft.world, backfill, interval) or next((each.run for each in past.values()), None)
    step = _step(interval, known, backfill.reprocess)
    match step.kind:
        case StepKind.MAKE:
            first = len(backfill.pending) == backfill.total
            dag = draft.world.dags[backfill.dag_id]
            start(draft, make_backfill(draft, dag, interval, backfill, free_of_past=first))
        case StepKind.CLEAR if step.run is not None:
            _clear(draft, backfill, past[step.run])
        case _:
            pass


def _open_run(world: View, backfill: Backfill, interval: Interval) -> Run | None:
    """The run of an interval that is open, and may have been made since the database was asked."""
    found = (run for key, run in world.runs.items() if key.dag_id == backfill.dag_id)
    return next((run for run in found if run.interval.start == interval.start and _stands(run)), None)


def _stands(run: Run) -> bool:
    """Whether it is the run of its interval, and not one that somebody asked for by hand."""
    return run.run_type in (RunType.SCHEDULED, RunType.BACKFILL)


def _clear(draft: Draft, backfill: Backfill, past: PastRun) -> None:
    rerun.recall(draft, past)
    key, tasks = past.run.key, [task.key for task in past.tasks]
    rerun.clear(draft, key, tasks, backfill.actor, as_run=backfill.as_run)
    cleared = draft.world.runs[key]
    conf = backfill.conf or cleared.conf
    draft.put_run(msgspec.structs.replace(cleared, backfill=backfill.id, conf=conf))
    start(draft, draft.world.runs[key])
