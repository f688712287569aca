"""The life of a try after its intent: started, asked to stop, ended, collected. What is said of an unknown or
closed try is late or said twice, and is ignored.
"""

from collections.abc import Mapping
from types import MappingProxyType

from orchestrator.ids import ContainerId, TryId
from orchestrator.planning import rerun, sensors, transitions
from orchestrator.planning.changes import Collect, PutResult, Stop
from orchestrator.planning.choices import choice_of
from orchestrator.planning.draft import Draft
from orchestrator.planning.events import Collected, Exited, LaunchFailed, Lost, Signalled, Silent, Started
from orchestrator.planning.flow import fail, settle
from orchestrator.planning.outcome import Ending, ending_of
from orchestrator.planning.retry import Failure
from orchestrator.planning.rows import Reason, Result, Try, TryOutcome
from orchestrator.planning.stopping import request_stop
from orchestrator.spec.mapping import sizes_of
from orchestrator.states import ReasonCode, TaskState


def on_started(draft: Draft, event: Started) -> None:
    """Its container runs. A stop that was asked for before there was one is asked for again."""
    attempt = _open(draft, event.try_id)
    first = attempt is not None and attempt.started_at is None
    if attempt is None or not (first or event.adopted):
        return
    taken = transitions.try_adopted if event.adopted else transitions.try_started
    now_running = taken(attempt, event.container_id, event.at)
    draft.put_try(now_running)
    task = draft.world.tasks[attempt.key.task]
    if task.state is TaskState.STARTING:
        draft.put_task(transitions.running(task, event.at))
    if first and now_running.stop_requested_at is not None:
        draft.do(Stop(attempt=now_running))


def on_exited(draft: Draft, event: Exited) -> None:
    attempt = _open(draft, event.try_id)
    if attempt is None or _of_another(attempt, event.container_id):
        return
    blueprint, task = draft.world.blueprint(attempt.key.task.run), draft.world.task_spec(attempt.key.task)
    ending, skips = choice_of(blueprint, task, event.result, ending_of(event, attempt, task))
    ended = transitions.try_exited(
        attempt, draft.now, event.container_id, event.exit, ending.outcome, ending.reason
    )
    meant = draft.world.tasks[attempt.key.task].target is not None
    if ending.outcome is TryOutcome.SUCCESS and event.result is not None and not meant:
        result = Result(key=attempt.key.task, data=event.result, created_at=draft.now)
        draft.do(PutResult(result=result))
    sizes = sizes_of(event.result, draft.world.sizes_wanted(attempt.key.task))
    exit_code = event.exit.exit_code if ending.own_exit else None
    _close(draft, ended, exit_code=exit_code, sizes=sizes, skips=skips)


def on_silent(draft: Draft, event: Silent) -> None:
    attempt = _open(draft, event.try_id)
    if attempt is not None:
        limit = draft.world.task_spec(attempt.key.task).idle_timeout
        text = f"it said nothing for its idle_timeout of {limit}"
        request_stop(draft, attempt, Reason(code=ReasonCode.IDLE_TIMEOUT, text=text))


def on_signalled(draft: Draft, event: Signalled) -> None:
    attempt = _open(draft, event.try_id)
    if attempt is not None and attempt.stop_requested_at is not None and attempt.kill_at is None:
        draft.put_try(transitions.try_signalled(attempt, event.kill_at))


def on_launch_failed(draft: Draft, event: LaunchFailed) -> None:
    attempt = _open(draft, event.try_id)
    if attempt is not None:
        ending = Ending(outcome=TryOutcome.FAILED, reason=event.reason)
        _end_without_exit(draft, attempt, ending, event.container_id, ran=False)


def on_lost(draft: Draft, event: Lost) -> None:
    attempt = _open(draft, event.try_id)
    if attempt is not None:
        ending = Ending(outcome=TryOutcome.LOST, reason=event.reason)
        _end_without_exit(draft, attempt, ending, event.container_id, ran=event.ran)


def on_collected(draft: Draft, event: Collected) -> None:
    attempt = draft.world.tries.get(event.try_id)
    if attempt is not None and attempt.outcome is not None:
        draft.put_try(transitions.try_collected(attempt, event.at, log_truncated=event.log_truncated))


def overdue(draft: Draft, try_id: TryId) -> None:
    """A try took longer to start, or ran longer, than its task allows."""
    attempt = draft.world.tries[try_id]
    task = draft.world.task_spec(attempt.key.task)
    if attempt.started_at is None:
        text = f"it had not started after its start_timeout of {task.start_timeout}"
        reason = Reason(code=ReasonCode.START_TIMEOUT, text=text)
    else:
        text = f"it ran longer than its execution_timeout of {task.execution_timeout}"
        reason = Reason(code=ReasonCode.TIMEOUT, text=text)
    request_stop(draft, attempt, reason)


def _open(draft: Draft, try_id: TryId) -> Try | None:
    attempt = draft.world.tries.get(try_id)
    return attempt if attempt is not None and attempt.outcome is None else None


def _of_another(attempt: Try, container_id: ContainerId) -> bool:
    """Said of a container which this try had before it got the one that started."""
    return attempt.started_at is not None and attempt.container_id != container_id


def _end_without_exit(
    draft: Draft, attempt: Try, ending: Ending, container_id: ContainerId | None, *, ran: bool
) -> None:
    """End a try that has no exit of its own to tell of; what we asked for explains it first."""
    if attempt.stop_reason is not None:
        ending = Ending(outcome=TryOutcome.FAILED, reason=attempt.stop_reason)
    reason = ending.reason or Reason(code=ReasonCode.CONTAINER_LOST)
    ended = transitions.try_ended(attempt, draft.now, container_id, ending.outcome, reason)
    _close(draft, ended, ran=ran)


def _why_stopped(draft: Draft, ended: Try) -> Reason:
    """Why an instance comes to what it is meant to be. In a doomed run, one that was to run again cannot."""
    reason = ended.stop_reason or Reason(code=ReasonCode.CLEARED)
    doom = draft.world.runs[ended.key.task.run].reason
    return doom if doom is not None and reason.code is ReasonCode.CLEARED else reason


def _close(
    draft: Draft,
    ended: Try,
    *,
    exit_code: int | None = None,
    ran: bool = True,
    sizes: Mapping[str, int] = MappingProxyType({}),
    skips: tuple[str, ...] = (),
) -> None:
    """Move the task instance on, then have what is left of the try collected."""
    conclude(draft, ended, exit_code=exit_code, ran=ran, sizes=sizes, skips=skips)
    draft.do(Collect(attempt=ended))


def conclude(
    draft: Draft,
    ended: Try,
    *,
    exit_code: int | None = None,
    ran: bool = True,
    sizes: Mapping[str, int] = MappingProxyType({}),
    skips: tuple[str, ...] = (),
) -> None:
    """Write the end of a try, and move its task instance on."""
    draft.put_try(ended)
    task = draft.world.tasks[ended.key.task]
    at = ended.ended_at or draft.now
    if task.target is not None:
        rerun.arrive(draft, task, task.target, _why_stopped(draft, ended))
    elif ended.outcome is TryOutcome.SUCCESS:
        done = transitions.succeeded(task, at, ended.started_at, sizes=sizes, skips=skips, reason=ended.reason)
        settle(draft, done)
    elif ended.outcome is TryOutcome.SKIPPED and ended.reason is not None:
        settle(draft, transitions.skipped(task, at, ended.reason, skips))
    elif ended.outcome is TryOutcome.NOT_READY:
        sensors.look_again_later(draft, task, exit_code or 0)
    elif ended.reason is not None and ended.reason.code is ReasonCode.SENSOR_TIMEOUT:
        settle(draft, sensors.given_up(draft, task, ended.reason))
    elif ended.reason is not None:
        fail(draft, task, Failure(reason=ended.reason, exit_code=exit_code, ran=ran))
