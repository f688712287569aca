"""How one task instance's state moves others: verdicts of trigger rules spread down the graph until nothing more
follows, and a run ends with its last instance.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning import past, transitions
from orchestrator.planning.changes import Prepare, PutDag
from orchestrator.planning.choices import overtaken
from orchestrator.planning.draft import Draft
from orchestrator.planning.expansion import expand
from orchestrator.planning.retry import Again, Failure, after_failure
from orchestrator.planning.rows import Reason, Run, TaskInstance
from orchestrator.planning.rules import Judgement, Verdict
from orchestrator.planning.verdicts import judgement_of, name_of, unit_of
from orchestrator.spec.dag import TaskKind
from orchestrator.states import ReasonCode, RunState, TaskState

_BAD = (TaskState.FAILED, TaskState.UPSTREAM_FAILED)


def settle(draft: Draft, task: TaskInstance) -> None:
    """Take in that a task instance is final, and all that follows."""
    draft.put_task(task)
    if task.state is TaskState.SUCCESS:
        draft.update(task.key)
    if task.state is TaskState.FAILED:
        fail_fast(draft, task)
    spread(draft, draft.world.concerned(task))
    end_if_over(draft, task.key.run)


def fail(draft: Draft, task: TaskInstance, failure: Failure) -> None:
    """Try again, or fail for good. In a doomed run nothing is tried again but teardowns."""
    doom = doom_of(draft, task)
    policy, budget = draft.world.task_spec(task.key).retry, draft.settings.infrastructure_retries
    decision = after_failure(task, policy, failure, budget=budget)
    if doom is None and isinstance(decision, Again):
        due_at = draft.now + decision.delay
        draft.put_task(
            transitions.retried(
                task, draft.now, failure.reason, due_at=due_at, infrastructure=decision.infrastructure
            )
        )
    else:
        note = "" if isinstance(decision, Again) else decision.note
        settle(draft, transitions.failed(task, draft.now, doom or _with_note(failure.reason, note)))


def doom_of(draft: Draft, task: TaskInstance) -> Reason | None:
    """Why nothing more may come of a task instance: its run is doomed. Teardowns go on."""
    return draft.world.runs[task.key.run].reason if draft.world.task_spec(task.key).teardown is None else None


def spread(draft: Draft, keys: Iterable[TaskKey]) -> None:
    """Judge those that wait, and, where one becomes final at once, those after it."""
    look = deque(keys)
    while look:
        key = look.popleft()
        if not draft.world.is_waiting(key):
            continue
        judgement, unit = judgement_of(draft.world, key), unit_of(draft.world, key)
        if judgement.verdict is Verdict.READY and unit is not None:
            look.extend(expand(draft, key.run, unit))
        elif judgement.verdict is Verdict.READY and not past.lets_pass(draft, key):
            continue
        elif judgement.verdict is not Verdict.WAITING:
            _follow(draft, draft.world.tasks[key], judgement)
            if (task := draft.world.tasks[key]).state.final:
                look.extend(draft.world.concerned(task))


def queue(draft: Draft, task: TaskInstance) -> None:
    """Have a task instance prepared for its next try."""
    ready = transitions.queued(task, draft.now)
    draft.put_task(ready)
    prepare(draft, ready)


def prepare(draft: Draft, task: TaskInstance) -> None:
    """Ask for its container; later, if its run's images are not pinned yet."""
    run = draft.world.runs[task.key.run]
    if run.images is not None:
        spec = draft.world.task_spec(task.key)
        draft.do(Prepare(run=run, task=task, spec=spec, number=task.next_number))


def end_if_over(draft: Draft, key: RunKey, *, at: datetime | None = None) -> None:
    """End a run whose task instances have all ended: failed where a leaf is, or where it was doomed. `at`: when it
    ended, where that is not now."""
    if draft.world.unfinished[key]:
        return
    run = draft.world.runs[key]
    reason = run.reason or _failure_of(draft, run)
    ended = (
        transitions.run_succeeded(run, at or draft.now)
        if reason is None
        else transitions.run_failed(run, at or draft.now, reason)
    )
    draft.put_run(ended)
    _count_failures(draft, ended)
    if ended.backfill is not None:
        draft.shrink(ended.backfill)
    draft.stir(key.dag_id)


def _count_failures(draft: Draft, run: Run) -> None:
    """Pause a DAG of which too many runs failed one after the other."""
    dag = draft.world.dags[run.key.dag_id]
    limit = draft.world.current(dag.dag_id).spec.max_consecutive_failed_dag_runs
    failures = dag.failed_in_row + 1 if limit and run.state is RunState.FAILED else 0
    if failures == dag.failed_in_row:
        return
    counted = msgspec.structs.replace(dag, failed_in_row=failures)
    if failures >= limit and failures and not dag.paused:
        text = f"{failures} runs failed one after the other, the last one {run.key.run_id}"
        reason = Reason(code=ReasonCode.FAILED_IN_ROW, text=text)
        counted = msgspec.structs.replace(counted, paused=True, pause_reason=reason)
    draft.do(PutDag(dag=counted))


def _follow(draft: Draft, task: TaskInstance, judgement: Judgement) -> None:
    reason = judgement.reason or Reason(code=ReasonCode.UPSTREAM)
    match judgement.verdict:
        case Verdict.READY:
            _begin(draft, task)
        case Verdict.SKIPPED:
            draft.put_task(transitions.skipped(task, draft.now, reason))
        case Verdict.UPSTREAM_FAILED:
            draft.put_task(transitions.upstream_failed(task, draft.now, reason))
        case Verdict.FAILED:
            draft.put_task(transitions.failed(task, draft.now, reason))
            fail_fast(draft, task)
        case Verdict.WAITING:
            pass


def _begin(draft: Draft, task: TaskInstance) -> None:
    """Do what is decided here at once; have everything else prepared."""
    spec = draft.world.task_spec(task.key)
    match spec.kind:
        case TaskKind.EMPTY:
            draft.put_task(transitions.succeeded(task, draft.now, started_at=draft.now))
            draft.update(task.key)
        case TaskKind.LATEST_ONLY:
            blueprint, run = draft.world.blueprint(task.key.run), draft.world.runs[task.key.run]
            skips = overtaken(blueprint, spec, run, draft.now)
            draft.put_task(transitions.succeeded(task, draft.now, started_at=draft.now, skips=skips))
            draft.update(task.key)
        case TaskKind.CONTAINER | TaskKind.TRIGGER | TaskKind.EXTERNAL | TaskKind.APPROVAL:
            queue(draft, task)


def fail_fast(draft: Draft, task: TaskInstance) -> None:
    """Where its DAG says so, have the run of a task instance that has failed end, once this turn's events are taken
    in. A teardown that fails ends nothing."""
    if draft.world.dag_spec(task.key.run).fail_fast and draft.world.task_spec(task.key).teardown is None:
        text = f"{name_of(task.key)} failed, and the DAG says fail_fast"
        draft.condemn(task.key.run, Reason(code=ReasonCode.FAIL_FAST, text=text))


def _failure_of(draft: Draft, run: Run) -> Reason | None:
    """Why a run failed: the first task that did; None if it did not."""
    blueprint = draft.world.blueprint(run.key)
    if not any(task.state in _BAD for leaf in blueprint.leaves for task in _instances(draft, run, leaf)):
        return None
    for task_id in blueprint.tasks:
        for task in _instances(draft, run, task_id):
            if task.state is TaskState.FAILED and task.reason is not None:
                return Reason(code=task.reason.code, text=f"{name_of(task.key)}: {task.reason.text}")
    return Reason(code=ReasonCode.UPSTREAM, text="a last task did not succeed")


def _instances(draft: Draft, run: Run, task_id: str) -> Iterator[TaskInstance]:
    return (draft.world.tasks[key] for key in draft.world.instances(run.key, task_id))


def _with_note(reason: Reason, note: str) -> Reason:
    return msgspec.structs.replace(reason, text=f"{reason.text}; {note}") if note else reason
