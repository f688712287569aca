"""A try that need not run: an earlier one came to the same, and its result stands for it. It takes no slot, since
nothing of it ever runs."""

from orchestrator.ids import TryKey
from orchestrator.planning import transitions
from orchestrator.planning.attempts import conclude
from orchestrator.planning.changes import PutResult
from orchestrator.planning.choices import choice_of
from orchestrator.planning.draft import Draft
from orchestrator.planning.outcome import Ending
from orchestrator.planning.rows import CacheFacts, Reason, Result, Reused, TaskInstance, Try, TryOutcome
from orchestrator.spec.container import ContainerSpec
from orchestrator.spec.finalize import with_try
from orchestrator.spec.mapping import sizes_of
from orchestrator.states import ReasonCode


def reuse(draft: Draft, task: TaskInstance, spec: ContainerSpec, cache: CacheFacts, reused: Reused) -> None:
    """Have a queued task instance end with what an earlier try came to. What follows from its choice or from the
    length of its result follows as if it had run."""
    begun = transitions.starting(task, draft.now)
    blueprint, result = draft.world.blueprint(task.key.run), reused.result
    done = Ending(outcome=TryOutcome.SUCCESS, reason=Reason(code=ReasonCode.CACHED, text=cache.note))
    ending, skips = choice_of(blueprint, draft.world.task_spec(task.key), result, done)
    draft.put_task(begun)
    if ending.outcome is TryOutcome.SUCCESS and result is not None:
        draft.do(PutResult(result=Result(key=task.key, data=result, created_at=draft.now)))
    attempt = _without_container(draft, TryKey(task.key, begun.tries), spec, cache, ending)
    conclude(draft, attempt, sizes=sizes_of(result, draft.world.sizes_wanted(task.key)), skips=skips)


def _without_container(draft: Draft, key: TryKey, spec: ContainerSpec, cache: CacheFacts, ending: Ending) -> Try:
    settings, try_id = draft.settings, draft.next_id()
    return Try(
        key=key,
        try_id=try_id,
        epoch=settings.epoch,
        spec=with_try(spec, deployment=settings.deployment, key=key, try_id=try_id, epoch=settings.epoch),
        intended_at=draft.now,
        started_at=draft.now,
        ended_at=draft.now,
        outcome=ending.outcome,
        reason=ending.reason,
        log_complete=True,
        removed_at=draft.now,
        cache_key=cache.key,
        cache_parts=cache.parts,
        note=cache.note,
    )
