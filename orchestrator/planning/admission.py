"""Admission: which of the ready task instances get their try now. Highest first by effective priority, then
logical date, then topological order; never past a limit, since each intent counts before the next is looked at.

What does not fit may be passed by what does, for a while; then what it lacks is kept for it (spec scheduling 4).
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

from orchestrator.ids import TaskKey, TryKey
from orchestrator.planning import transitions
from orchestrator.planning.changes import DropTry, Launch
from orchestrator.planning.draft import Draft, PlanSettings
from orchestrator.planning.flow import fail
from orchestrator.planning.lanes import Head
from orchestrator.planning.limits import SHARED, Claim, Lane, LimitKind, Scope
from orchestrator.planning.retry import Failure
from orchestrator.planning.rows import Reason, Try
from orchestrator.planning.view import View
from orchestrator.spec.finalize import with_try
from orchestrator.states import ReasonCode

#: The pool of a task that names none; there without a row, with the settings' slots.
DEFAULT_POOL = "default_pool"
#: How long what does not fit may be passed by what does.
PATIENCE = timedelta(seconds=60)

_CODES = {
    LimitKind.PARALLELISM: ReasonCode.PARALLELISM,
    LimitKind.MAX_ACTIVE_TASKS: ReasonCode.MAX_ACTIVE_TASKS,
    LimitKind.POOL: ReasonCode.POOL_FULL,
    LimitKind.MAX_ACTIVE_TIS_PER_DAG: ReasonCode.MAX_ACTIVE_TIS,
    LimitKind.MAX_ACTIVE_TIS_PER_DAGRUN: ReasonCode.MAX_ACTIVE_TIS,
    LimitKind.CONCURRENCY_KEY: ReasonCode.CONCURRENCY_KEY,
    LimitKind.ENGINE_CPUS: ReasonCode.ENGINE_FULL,
    LimitKind.ENGINE_MEMORY: ReasonCode.ENGINE_FULL,
}
_MILLI = 1000
_MIB = 1024 * 1024


class Room:
    """What the limits leave, for those who are looked at in their order: open tries take of it, and what is kept
    for those who waited too long."""

    def __init__(self, world: View, settings: PlanSettings, now: datetime) -> None:
        self._world = world
        self._settings = settings
        self._now = now
        self._kept: dict[Scope, int] = {}

    def first_binding(self, lane: Lane) -> Reason | None:
        """The first limit that holds back what makes these claims, None if it fits now."""
        return next((self._told(claim, cap) for claim, cap in self._binding(lane)), None)

    def keep(self, head: Head) -> None:
        """Keep for who waits at the head of its lane what it lacks of what is shared, where nothing else is in its
        way and it has waited long enough."""
        (*_, key), lane = head
        if self._now - self._world.ready[key].since < PATIENCE:
            return
        lacking = [claim for claim, _ in self._binding(lane)]
        if all(claim.scope.kind in SHARED for claim in lacking):
            for claim in lacking:
                self._kept[claim.scope] = self._kept.get(claim.scope, 0) + claim.need

    def _binding(self, lane: Lane) -> Iterator[tuple[Claim, int | None]]:
        for claim in lane:
            cap = cap_of(self._world, claim, self._settings)
            taken = self._world.used[claim.scope] + self._kept.get(claim.scope, 0)
            unknown = cap is None and claim.scope.kind in _ENGINE
            if unknown or (cap is not None and taken + claim.need > cap):
                yield claim, cap

    def _told(self, claim: Claim, cap: int | None) -> Reason:
        used, kept = self._world.used[claim.scope], self._kept.get(claim.scope, 0)
        if cap is None:
            return Reason(code=ReasonCode.ENGINE_DOWN, text="the engine has not told yet how much it has")
        show = _SHOWN.get(claim.scope.kind, str)
        what = f"{claim.scope.kind} {' '.join(claim.scope.name)}".rstrip()
        kept_text = f", {show(kept)} kept for what has waited longer" if kept else ""
        need = "" if claim.need == 1 else f", {show(claim.need)} needed"
        return Reason(
            code=_CODES[claim.scope.kind], text=f"{what}: {show(used)} of {show(cap)} taken{kept_text}{need}"
        )


def admit(draft: Draft) -> None:
    """Intend a try for every ready task instance that the limits let through. Limits only fill up meanwhile, so
    what was held back once need not be looked at again, nor anything behind it in its lane."""
    world, room = draft.world, Room(draft.world, draft.settings, draft.now)
    head = world.ready.first()
    while head is not None:
        (*_, key), lane = head
        impossible = never_fits(world, lane, draft.settings)
        if impossible is not None:
            fail(draft, world.tasks[key], Failure(reason=impossible, ran=False))
        elif not world.dags[key.dag_id].held:
            binding = room.first_binding(lane)
            if binding is None:
                _intend(draft, key)
            elif binding.code is ReasonCode.PARALLELISM:
                return  # nor does anything else fit
            else:
                room.keep(head)
        head = world.ready.after(head)


def binding_limit(world: View, key: TaskKey, settings: PlanSettings, now: datetime) -> Reason | None:
    """What holds back a task instance that is ready; None if its turn comes with the next look."""
    room, ready = Room(world, settings, now), world.ready[key]
    for head in world.ready.heads():
        turn, lane = head
        if turn >= ready.turn:
            break
        if not world.dags[turn[-1].dag_id].held and room.first_binding(lane) is not None:
            room.keep(head)
    return room.first_binding(ready.lane)


def never_fits(world: View, lane: Lane, settings: PlanSettings) -> Reason | None:
    """Why these claims could not be met even if nothing else ran: no such pool, or one too small; an engine that
    is too small."""
    for claim in lane:
        cap = cap_of(world, claim, settings)
        if claim.scope.kind is LimitKind.POOL and (cap is None or claim.need > cap):
            return _pool_missing(claim, cap)
        if claim.scope.kind in _ENGINE and cap is not None and claim.need > cap:
            show = _SHOWN[claim.scope.kind]
            text = f"it asks for {show(claim.need)}, and the engine has {show(cap)}"
            return Reason(code=ReasonCode.ENGINE_TOO_SMALL, text=text)
    return None


def cap_of(world: View, claim: Claim, settings: PlanSettings) -> int | None:
    """How much of a limit there is; None where that is not known, or there is none."""
    match claim.scope.kind:
        case LimitKind.PARALLELISM:
            return settings.parallelism
        case LimitKind.POOL:
            (name,) = claim.scope.name
            pool = world.pools.get(name)
            if pool is not None:
                return pool.slots
            return settings.default_pool_slots if name == DEFAULT_POOL else None
        case LimitKind.ENGINE_CPUS:
            cpus = settings.engine_cpus or (None if world.capacity is None else world.capacity.cpus)
            return None if cpus is None else round(cpus * _MILLI)
        case LimitKind.ENGINE_MEMORY:
            return settings.engine_memory or (None if world.capacity is None else world.capacity.memory)
        case _:
            return claim.cap


_ENGINE = frozenset({LimitKind.ENGINE_CPUS, LimitKind.ENGINE_MEMORY})


def _cores(milli: int) -> str:
    return f"{milli / _MILLI:g} cpus"


def _mebibytes(number: int) -> str:
    return f"{number / _MIB:g} MiB of memory"


_SHOWN: Mapping[LimitKind, Callable[[int], str]] = {
    LimitKind.ENGINE_CPUS: _cores,
    LimitKind.ENGINE_MEMORY: _mebibytes,
}


def _pool_missing(claim: Claim, cap: int | None) -> Reason:
    (pool,) = claim.scope.name
    if cap is None:
        text = f"there is no pool {pool!r}; `orchestrator pools set {pool} SLOTS` makes it"
    else:
        text = f"it needs {claim.need} slots, and the pool {pool!r} has {cap}"
    return Reason(code=ReasonCode.POOL_MISSING, text=text)


def _intend(draft: Draft, key: TaskKey) -> None:
    """Write ahead: the try, its random id and its container's whole description, before anything is created."""
    prepared, cache = draft.world.ready[key].spec, draft.world.ready[key].cache
    looks, spec = draft.world.tasks[key].pokes, draft.world.task_spec(key)
    task = transitions.starting(draft.world.tasks[key], draft.now, sensor=spec.sensor is not None)
    settings, try_key, try_id = draft.settings, TryKey(key, task.tries), draft.next_id()
    attempt = Try(
        key=try_key,
        try_id=try_id,
        epoch=settings.epoch,
        spec=with_try(prepared, deployment=settings.deployment, key=try_key, try_id=try_id, epoch=settings.epoch),
        intended_at=draft.now,
        look=looks + 1,
        cache_key=None if cache is None else cache.key,
        cache_parts={} if cache is None else cache.parts,
        note="" if cache is None else cache.note,
    )
    draft.put_task(task)
    if looks:
        draft.do(DropTry(key=try_key))
    draft.put_try(attempt)
    draft.do(Launch(attempt=attempt))
