"""From queued to ready: image names are looked up once a run, then each try's container is prepared outside.
Answers that are late or said twice are told by the task's state and the try's number.
"""

from orchestrator.planning import transitions
from orchestrator.planning.caching import reuse
from orchestrator.planning.changes import Readied
from orchestrator.planning.draft import Draft
from orchestrator.planning.events import ControlPrepared, ImagesPinned, Prepared, PrepareDelayed, PrepareFailed
from orchestrator.planning.flow import fail, prepare
from orchestrator.planning.retry import Failure
from orchestrator.planning.rows import TaskInstance
from orchestrator.states import TaskState


def on_images_pinned(draft: Draft, event: ImagesPinned) -> None:
    """The first look-up of a run counts; its queued task instances can now be prepared."""
    run = draft.world.runs.get(event.run)
    if run is None or run.images is not None:
        return
    draft.put_run(transitions.run_pinned(run, event.pins))
    for key in draft.world.tasks_of.entries(event.run):
        task = draft.world.tasks[key]
        if task.state is TaskState.QUEUED:
            prepare(draft, task)


def on_prepared(draft: Draft, event: Prepared) -> None:
    """Its container is decided; from now on only limits hold it back. One made of an image that the run knows
    under another reference is made again."""
    task = preparing(draft, event)
    if task is None:
        return
    run = draft.world.runs[event.task.run]
    known = run.images or {}
    if any(known.get(name, pinned) != pinned for name, pinned in event.pins.items()):
        prepare(draft, task)
        return
    if not event.pins.keys() <= known.keys():
        draft.put_run(transitions.run_pinned(run, event.pins))
    if task.label != event.spec.map_label:
        draft.put_task(transitions.labelled(task, event.spec.map_label))
    if event.cache is not None and event.cache.reused is not None:
        reuse(draft, draft.world.tasks[event.task], event.spec, event.cache, event.cache.reused)
    else:
        draft.do(Readied(task=event.task, spec=event.spec, at=draft.now, cache=event.cache))


def on_prepare_failed(draft: Draft, event: PrepareFailed) -> None:
    """It gets no container: no try is written, but it may spend a retry."""
    task = preparing(draft, event)
    if task is not None:
        fail(draft, task, Failure(reason=event.reason, ran=False))


def on_prepare_delayed(draft: Draft, event: PrepareDelayed) -> None:
    task = draft.world.tasks.get(event.task)
    if task is None or task.state is not TaskState.QUEUED or event.task in draft.world.ready:
        return
    if task.reason != event.reason:
        draft.put_task(transitions.delayed(task, event.reason))


def preparing(draft: Draft, event: Prepared | ControlPrepared | PrepareFailed) -> TaskInstance | None:
    """The task instance, if it still waits for this preparation."""
    task = draft.world.tasks.get(event.task)
    if task is None or task.state is not TaskState.QUEUED or event.task in draft.world.ready:
        return None
    return task if (task.next_number, task.queued_at) == (event.number, event.queued_at) else None
