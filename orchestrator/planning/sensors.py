"""Sensors: a try is a series of looks, each its own short container. Between two of them it holds nothing, and its
timer is a column of its row, so it survives restarts (spec authoring 4)."""

from datetime import timedelta

from orchestrator.ids import TaskKey
from orchestrator.planning import transitions
from orchestrator.planning.draft import Draft
from orchestrator.planning.flow import doom_of, settle
from orchestrator.planning.rows import Reason, TaskInstance
from orchestrator.planning.stopping import request_stop
from orchestrator.spec.dag import SensorSpec, TaskSpec
from orchestrator.states import ReasonCode, TaskState

#: The longest wait where looks grow rarer without a limit.
_LONGEST = timedelta(days=1)


def look_again_later(draft: Draft, task: TaskInstance, code: int) -> None:
    """It found nothing yet; in a doomed run that is the end of it."""
    if (doom := doom_of(draft, task)) is not None:
        settle(draft, transitions.failed(task, draft.now, doom))
        return
    sensor = _sensor(draft.world.task_spec(task.key))
    due_at = draft.now + wait_after(sensor, task.pokes)
    text = f"not yet (exit code {code}, look {task.pokes + 1} of try {task.tries})"
    reason = Reason(code=ReasonCode.NOT_READY, text=text)
    draft.put_task(transitions.rescheduled(task, draft.now, reason, due_at=due_at))


def wait_after(sensor: SensorSpec, pokes: int) -> timedelta:
    """How long to wait after `pokes` looks that found nothing, and one more."""
    longest = sensor.max_wait or _LONGEST
    wait = sensor.poke_interval
    if sensor.exponential_backoff:
        for _ in range(pokes):
            if wait >= longest:
                break
            wait *= 2
    return wait if sensor.max_wait is None and not sensor.exponential_backoff else min(wait, longest)


def overdue(draft: Draft, key: TaskKey) -> None:
    """A sensor has looked for as long as it may: no retry follows."""
    task, sensor = draft.world.tasks[key], _sensor(draft.world.task_spec(key))
    text = f"it did not find what it waits for within its timeout of {sensor.timeout}"
    reason = Reason(code=ReasonCode.SENSOR_TIMEOUT, text=text)
    try_id = draft.world.open_try.get(key)
    if try_id is not None:
        request_stop(draft, draft.world.tries[try_id], reason)
    elif task.state is not TaskState.WAITING:
        settle(draft, given_up(draft, task, reason))


def given_up(draft: Draft, task: TaskInstance, reason: Reason) -> TaskInstance:
    """A sensor whose time is over: failed, or with `soft_fail` skipped."""
    soft = _sensor(draft.world.task_spec(task.key)).soft_fail
    ended = transitions.skipped if soft else transitions.failed
    return ended(task, draft.now, reason)


def _sensor(spec: TaskSpec) -> SensorSpec:
    if spec.sensor is None:
        raise ValueError(f"{spec.task_id} is no sensor")
    return spec.sensor
