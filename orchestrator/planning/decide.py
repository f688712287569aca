"""`decide`: from the world, the events of a turn and the time to the changes that follow. Pure.

Each event sees the changes of those before it. After the events come the timers that have run out, so an exit
that is told of in the turn of its time-out is an exit; then admission; last the start of runs that were held back,
since each of the others may end one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from orchestrator.ids import RunKey, TaskKey, TryId
from orchestrator.planning import (
    assets,
    attempts,
    backfills,
    deadlines,
    files,
    flow,
    preparation,
    requests,
    reruns,
    runs,
    sensors,
    timeouts,
    waits,
)
from orchestrator.planning.admission import admit
from orchestrator.planning.changes import Change, Collect, Effect, PinImages, Prepare, Sized, Spared, Stop
from orchestrator.planning.draft import Draft
from orchestrator.planning.draft import PlanSettings as PlanSettings
from orchestrator.planning.events import (
    Collected,
    ControlPrepared,
    EngineSized,
    Event,
    Exited,
    FileGone,
    FileParsed,
    ImagesPinned,
    Lapsed,
    LaunchFailed,
    Lost,
    Prepared,
    PrepareDelayed,
    PrepareFailed,
    Requested,
    Seen,
    Signalled,
    Silent,
    Started,
    Tick,
)
from orchestrator.planning.history import BackfillStep
from orchestrator.planning.rows import Request, RequestKind
from orchestrator.planning.timers import TimerKind
from orchestrator.planning.world import World
from orchestrator.states import TaskState


def decide(
    world: World, events: Sequence[Event], now: datetime, ids: Iterator[TryId], settings: PlanSettings
) -> tuple[Change, ...]:
    """What follows from these events at this instant. Changes nothing: the caller commits the rows, applies the
    changes to the world and sends out the effects, in this order."""
    draft = Draft(world, now, ids, settings)
    for event in events:
        _HANDLERS[type(event)](draft, event)
    assets.record(draft)
    for timer in draft.world.timers.due(now):
        due, kind, of = timer
        if draft.world.timers.at(kind, of) == due and timeouts.strikes(draft.world, timer):
            _TIMERS[kind](draft, of)
    _doom_condemned(draft)
    if draft.changes:
        admit(draft)
    _start_and_tell(draft)
    waits.ask(draft)
    return tuple(draft.changes)


def _doom_condemned(draft: Draft) -> None:
    for key, reason in draft.condemned():
        if (run := draft.world.runs.get(key)) is not None and run.reason is None:
            runs.doom(draft, run, reason)


def _start_and_tell(draft: Draft) -> None:
    """Start what was held back, and tell those that depend on earlier runs, until nothing follows any more."""
    while True:
        _doom_condemned(draft)
        for dag_id in draft.stirred():
            runs.start_held(draft, dag_id)
        for number in draft.shrunk():
            backfills.advance(draft, number)
        assets.record(draft)
        news = draft.news()
        if not news:
            return
        waits.tell(draft, news)


def resume(world: World) -> tuple[Effect, ...]:
    """The effects of earlier turns whose answers may never come, for a process that starts with this world.
    Open tries are the engine's to tell of."""
    return (
        *_look_ups(world),
        *_preparations(world),
        *_stops_and_collections(world),
        *backfills.resumed(world),
        *waits.questions(world),
    )


def _look_ups(world: World) -> Iterator[PinImages]:
    for key, run in world.runs.items():
        if run.images is None:
            yield PinImages(run=key, images=world.blueprint(key).images)


def _preparations(world: World) -> Iterator[Prepare]:
    for key, task in world.tasks.items():
        run = world.runs[key.run]
        if task.state is TaskState.QUEUED and run.images is not None:
            yield Prepare(run=run, task=task, spec=world.task_spec(key), number=task.next_number)


def _stops_and_collections(world: World) -> Iterator[Stop | Collect]:
    for attempt in world.tries.values():
        if attempt.outcome is not None:
            yield Collect(attempt=attempt)
        elif attempt.stop_requested_at is not None:
            yield Stop(attempt=attempt)


def _on_tick(_draft: Draft, _event: Tick) -> None:
    """Every turn looks at the time."""


def _on_engine_sized(draft: Draft, event: EngineSized) -> None:
    if event.capacity != draft.world.capacity:
        draft.do(Sized(capacity=event.capacity))


def _on_lapsed(draft: Draft, event: Lapsed) -> None:
    if event.sparing != draft.world.spared:
        draft.do(Spared(sparing=event.sparing))


def _on_seen(draft: Draft, event: Seen) -> None:
    match event.asker:
        case Request(kind=RequestKind.BACKFILL):
            backfills.on_seen(draft, event.asker, event)
        case Request():
            reruns.on_seen(draft, event.asker, event)
        case BackfillStep():
            backfills.on_run_seen(draft, event.asker, event)
        case RunKey():
            waits.on_past_seen(draft, event.asker, event)
        case TaskKey():
            waits.on_seen(draft, event.asker, event)


def _on_retry(draft: Draft, key: TaskKey) -> None:
    """The looks of a sensor share a log: the next one waits until the last one's is whole."""
    task = draft.world.tasks[key]
    if task.state is TaskState.UP_FOR_RESCHEDULE and task.awaits is not None:
        waits.overdue(draft, task)
    elif not (task.pokes and key in draft.world.collecting):
        flow.queue(draft, task)


_HANDLERS: Mapping[type[Event], Callable[[Draft, Any], None]] = {
    Tick: _on_tick,
    FileParsed: files.on_file_parsed,
    FileGone: files.on_file_gone,
    Requested: requests.on_requested,
    ImagesPinned: preparation.on_images_pinned,
    Prepared: preparation.on_prepared,
    ControlPrepared: waits.on_control_prepared,
    PrepareFailed: preparation.on_prepare_failed,
    PrepareDelayed: preparation.on_prepare_delayed,
    Started: attempts.on_started,
    Exited: attempts.on_exited,
    Signalled: attempts.on_signalled,
    Silent: attempts.on_silent,
    LaunchFailed: attempts.on_launch_failed,
    Lost: attempts.on_lost,
    Collected: attempts.on_collected,
    EngineSized: _on_engine_sized,
    Lapsed: _on_lapsed,
    Seen: _on_seen,
}

_TIMERS: Mapping[TimerKind, Callable[[Draft, Any], None]] = {
    TimerKind.SCHEDULE: runs.make_scheduled,
    TimerKind.ASSETS: assets.make_run,
    TimerKind.RETRY: _on_retry,
    TimerKind.SENSOR: sensors.overdue,
    TimerKind.TIMEOUT: attempts.overdue,
    TimerKind.RUN_TIMEOUT: runs.overdue,
    TimerKind.RUN_DEADLINE: deadlines.run_late,
    TimerKind.TASK_DEADLINE: deadlines.task_late,
}
