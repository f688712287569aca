"""Admission: which of the ready task instances get their try now. Highest first by effective priority, then
logical date, then topological order; never past a limit, since each intent counts before the next is looked at.
"""

from orchestrator.ids import TaskKey, TryKey
from orchestrator.planning import transitions
from orchestrator.planning.changes import Launch
from orchestrator.planning.draft import Draft, PlanSettings
from orchestrator.planning.flow import fail
from orchestrator.planning.limits import Claim, Lane, LimitKind
from orchestrator.planning.retry import Failure
from orchestrator.planning.rows import Reason, Try
from orchestrator.planning.world import World
from orchestrator.spec.finalize import with_try
from orchestrator.states import ReasonCode

#: The pool of a task that names none; there without a row, with the settings' slots.
DEFAULT_POOL = "default_pool"

_CODES = {
    LimitKind.PARALLELISM: ReasonCode.PARALLELISM,
    LimitKind.MAX_ACTIVE_TASKS: ReasonCode.MAX_ACTIVE_TASKS,
    LimitKind.POOL: ReasonCode.POOL_FULL,
    LimitKind.MAX_ACTIVE_TIS_PER_DAG: ReasonCode.MAX_ACTIVE_TIS,
    LimitKind.MAX_ACTIVE_TIS_PER_DAGRUN: ReasonCode.MAX_ACTIVE_TIS,
}


def admit(draft: Draft) -> None:
    """Intend a try for every ready task instance that the limits let through. Limits only fill up meanwhile, so
    what was held back once need not be looked at again, nor anything behind it in its lane."""
    world = draft.world
    head = world.ready.first()
    while head is not None:
        (*_, key), lane = head
        impossible = never_fits(world, lane, draft.settings)
        if impossible is not None:
            fail(draft, world.tasks[key], Failure(reason=impossible, ran=False))
        else:
            binding = binding_limit(world, lane, draft.settings)
            if binding is None:
                _intend(draft, key)
            elif binding.code is ReasonCode.PARALLELISM:
                return  # nor does anything else fit
        head = world.ready.after(head)


def binding_limit(world: World, lane: Lane, settings: PlanSettings) -> Reason | None:
    """The first limit that holds back what makes these claims, None if it fits now."""
    for claim in lane:
        cap = _cap(world, claim, settings)
        used = world.used[claim.scope]
        if cap is not None and used + claim.need > cap:
            text = f"{claim.scope.kind} {' '.join(claim.scope.name)}".rstrip()
            need = "" if claim.need == 1 else f", {claim.need} needed"
            return Reason(code=_CODES[claim.scope.kind], text=f"{text}: {used} of {cap} taken{need}")
    return None


def never_fits(world: World, lane: Lane, settings: PlanSettings) -> Reason | None:
    """Why these claims could not be met even if nothing else ran: no such pool, or one too small."""
    for claim in lane:
        if claim.scope.kind is LimitKind.POOL:
            (pool,) = claim.scope.name
            cap = _cap(world, claim, settings)
            if cap is None:
                return Reason(
                    code=ReasonCode.POOL_MISSING, text=f"there is no pool {pool!r}; create it, or name another"
                )
            if claim.need > cap:
                text = f"it needs {claim.need} slots, and the pool {pool!r} has {cap}"
                return Reason(code=ReasonCode.POOL_MISSING, text=text)
    return None


def _cap(world: World, claim: Claim, settings: PlanSettings) -> int | None:
    match claim.scope.kind:
        case LimitKind.PARALLELISM:
            return settings.parallelism
        case LimitKind.POOL:
            (name,) = claim.scope.name
            pool = world.pools.get(name)
            if pool is not None:
                return pool.slots
            return settings.default_pool_slots if name == DEFAULT_POOL else None
        case _:
            return claim.cap


def _intend(draft: Draft, key: TaskKey) -> None:
    """Write ahead: the try, its random id and its container's whole description, before anything is created."""
    prepared = draft.world.ready[key].spec
    task = transitions.starting(draft.world.tasks[key])
    settings, try_key, try_id = draft.settings, TryKey(key, task.tries), draft.next_id()
    attempt = Try(
        key=try_key,
        try_id=try_id,
        epoch=settings.epoch,
        spec=with_try(prepared, deployment=settings.deployment, key=try_key, try_id=try_id, epoch=settings.epoch),
        intended_at=draft.now,
    )
    draft.put_task(task)
    draft.put_try(attempt)
    draft.do(Launch(attempt=attempt))
