"""The life of a task that the scheduler does itself (spec authoring 4): rendered, begun, resting until what
it waits for has come, its time is over, or somebody decides. And who is told of what a turn has brought about."""

from collections.abc import Iterable, Iterator
from typing import assert_never

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning import approvals, externals, past, triggers
from orchestrator.planning import transitions as moves
from orchestrator.planning.awaits import ApprovalWait, ExternalWait, RunWait, TriggerWait
from orchestrator.planning.changes import Change, LookBack, PutRun, PutTask, PutVersion
from orchestrator.planning.draft import Draft
from orchestrator.planning.events import ControlPrepared, Seen
from orchestrator.planning.flow import end_if_over, prepare, settle, spread
from orchestrator.planning.history import PastRun
from orchestrator.planning.preparation import preparing
from orchestrator.planning.resting import begin, wake, wanted_of
from orchestrator.planning.rows import Reason, Run, TaskInstance
from orchestrator.planning.view import Moment, View
from orchestrator.planning.world import World
from orchestrator.spec.control import Approval, External, Trigger
from orchestrator.states import ReasonCode, RunState, RunType, TaskState


def on_control_prepared(draft: Draft, event: ControlPrepared) -> None:
    """It needs no slot, so its try begins at once, unless its DAG is on hold."""
    task = preparing(draft, event)
    if task is None or draft.world.dags[event.task.dag_id].held:
        return
    control, begun = event.control, begin(draft, task)
    match control:
        case Trigger():
            triggers.begin(draft, begun, control)
        case External():
            externals.begin(draft, begun, control)
        case Approval():
            approvals.begin(draft, begun, control)
        case _:
            assert_never(control)


def unheld(draft: Draft, dag_id: str) -> None:
    """A DAG is on hold no more: what did not begin for that is prepared anew."""
    for key, run in list(draft.world.runs.items()):
        if key.dag_id == dag_id and run.state is RunState.RUNNING:
            for each in list(draft.world.tasks_of.entries(key)):
                task = draft.world.tasks[each]
                if task.state is TaskState.QUEUED and draft.world.task_spec(each).control is not None:
                    prepare(draft, task)


def on_seen(draft: Draft, key: TaskKey, event: Seen) -> None:
    """The database has told of what a task instance waits for, if it still does."""
    task = draft.world.tasks.get(key)
    if task is None or not _rests(task) or wanted_of(task.awaits) != event.wanted:
        return
    match task.awaits:
        case TriggerWait() if (question := draft.world.questions.get(key)) is None or question.overtaken:
            draft.do(_question(task))  # said to an earlier process, or of what has moved since
        case TriggerWait() as wait:
            triggers.on_looked(draft, wake(draft, task), wait, _newest(event.runs))
        case RunWait() as wait if triggers.decides(wait, _newest(event.runs)):
            triggers.on_ended(draft, wake(draft, task), wait, _newest(event.runs))
        case ExternalWait() as wait:
            externals.on_looked(draft, task, wait, event.runs)
        case _:
            pass


def on_past_seen(draft: Draft, run: RunKey, event: Seen) -> None:
    """The database has told which run was before this one."""
    if past.take_answer(draft, run, event):
        _judge_anew(draft, past.waiting_ones(draft.world, run))


def overdue(draft: Draft, task: TaskInstance) -> None:
    """What it rests for has not come in time; no retry follows."""
    control = draft.world.task_spec(task.key).control
    what = "nobody decided" if isinstance(control, Approval) else "what it waits for did not come"
    limit = None if control is None else control.timeout
    reason = Reason(code=ReasonCode.WAIT_TIMEOUT, text=f"{what} within its timeout of {limit}")
    soft = isinstance(control, External) and control.soft_fail
    settle(draft, (moves.skipped if soft else moves.failed)(task, draft.now, reason))


def story(world: View, task: TaskInstance) -> Reason | None:
    """What one that rests waits for, and how that stands."""
    match task.awaits:
        case ExternalWait() as wait:
            return externals.story(world, wait)
        case ApprovalWait() as wait:
            return approvals.story(wait)
        case _:
            return task.reason


def tell(draft: Draft, news: Iterable[Change]) -> None:
    """Have those judged anew that depend on the past, where these changes moved what they depend on."""
    for change in news:
        match change:
            case PutTask(task=task) if task.state.final:
                _judge_anew(draft, past.followers_of(draft.world, task.key.run, (task.key.task_id,)))
            case PutRun(run=run, before=None) if run.run_type is not RunType.MANUAL:
                _judge_anew(draft, _later(draft.world, run))
            case _:
                pass


def ask(draft: Draft) -> None:
    """Have the database asked for those that wait for what this turn has moved."""
    sought: dict[TaskKey, None] = {}
    for watched in dict.fromkeys(_moved(draft.world, draft.changes)):
        sought |= dict.fromkeys(draft.world.watchers.entries(watched))
    for dag_id in {change.version.dag_id for change in draft.changes if isinstance(change, PutVersion)}:
        for watched in draft.world.watchers.groups():
            if watched.dag_id == dag_id:
                sought |= dict.fromkeys(draft.world.watchers.entries(watched))
    for key in sought:
        draft.do(_question(draft.world.tasks[key]))


def questions(world: World) -> Iterator[LookBack]:
    """What to ask the database for when a process starts with this world."""
    for key, task in world.tasks.items():
        if _rests(task) and wanted_of(task.awaits) is not None:
            yield _question(world.tasks[key])
    for of, run in world.runs.items():
        if run.run_type is not RunType.MANUAL and any(True for _ in past.waiting_ones(world, of)):
            yield past.question(world, of)


def _rests(task: TaskInstance) -> bool:
    return task.state is TaskState.UP_FOR_RESCHEDULE and task.awaits is not None


def _question(task: TaskInstance) -> LookBack:
    wanted = wanted_of(task.awaits)
    if wanted is None:
        raise ValueError(f"{task.key} waits for nothing that the database knows")
    return LookBack(asker=task.key, wanted=wanted)


def _newest(runs: Iterable[PastRun]) -> PastRun | None:
    return max(runs, key=lambda found: (found.run.created_at, found.run.key), default=None)


def _judge_anew(draft: Draft, keys: Iterable[TaskKey]) -> None:
    """Instances that wait, and may have waited for nothing but the past."""
    found = list(keys)
    spread(draft, found)
    for run in dict.fromkeys(key.run for key in found):
        if run in draft.world.runs:
            end_if_over(draft, run)


def _later(world: View, made: Run) -> Iterator[TaskKey]:
    """The instances that depend on the past in runs after a new one: it may now be the one before theirs."""
    for key, run in list(world.runs.items()):
        later = key.dag_id == made.key.dag_id and run.interval.start > made.interval.start
        if later and run.state is RunState.RUNNING:
            yield from past.waiting_ones(world, key)


def _moved(world: View, changes: Iterable[Change]) -> Iterator[RunKey | Moment]:
    """The runs, and the dates of DAGs, of which something has ended."""
    for change in changes:
        match change:
            case PutTask(task=task) if task.state.final and (run := world.runs.get(task.key.run)) is not None:
                yield Moment(run.key.dag_id, run.interval.start)
            case PutRun(run=run) if run.state.final:
                yield run.key
                yield Moment(run.key.dag_id, run.interval.start)
            case _:
                pass
