"""What is lost with the volume of a run that ended long ago, where only some of its tasks run again."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.blueprint import Blueprint
from orchestrator.planning.history import PastRun
from orchestrator.spec.container import MountType
from orchestrator.spec.dag import TaskSpec
from orchestrator.spec.value import Value
from orchestrator.states import RunState, TaskState


class LostVolume(Value, frozen=True, kw_only=True):
    """The volume of a run is gone since `gone_at`. `users` are tasks that run again and mount it, `writers` those
    before them that may have written into it, succeeded, and do not run again; all in topological order."""

    run: RunKey
    gone_at: datetime
    users: tuple[str, ...]
    writers: tuple[str, ...]


def lost_volume(
    past: PastRun,
    blueprint: Blueprint,
    again: Collection[TaskKey],
    kept: Mapping[RunState, timedelta],
    now: datetime,
) -> LostVolume | None:
    """What tasks of an ended run that are to run `again` would miss; None where they miss nothing. `kept`: how long
    a volume stays after a run that ended so."""
    ended_at, cleared = past.run.ended_at, {key.task_id for key in again}
    if ended_at is None or now < ended_at + kept[past.run.state]:
        return None
    users = [task_id for task_id in blueprint.tasks if task_id in cleared and _mounts(blueprint.tasks[task_id])]
    before = set().union(*(blueprint.reach.upstream(task_id) for task_id in users)) - cleared
    done = {task.key.task_id for task in past.tasks if task.state is TaskState.SUCCESS}
    writers = [each for each in blueprint.tasks if each in before & done and _writes(blueprint.tasks[each])]
    if not writers:
        return None
    gone_at = ended_at + kept[past.run.state]
    return LostVolume(run=past.run.key, gone_at=gone_at, users=tuple(users), writers=tuple(writers))


def _mounts(task: TaskSpec) -> bool:
    return task.container is not None and any(mount.type is MountType.RUN for mount in task.container.mounts)


def _writes(task: TaskSpec) -> bool:
    mounts = task.container.mounts if task.container is not None else ()
    return any(mount.type is MountType.RUN and not mount.read_only for mount in mounts)
