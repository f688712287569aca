"""Admission: which of the ready task instances get their try now. Highest first by effective priority, then
logical date, then topological order; never past a limit, since each intent counts before the next is looked at.

What does not fit may be passed by what does, for a while; then what it lacks is kept for it (spec scheduling 4).
Sensors that look again stand in a line of their own: where both wait for one limit, they take turns (`turns`).
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from orchestrator.ids import TaskKey, TryKey
from orchestrator.planning import transitions
from orchestrator.planning.changes import DropTry, Launch
from orchestrator.planning.draft import Draft, PlanSettings
from orchestrator.planning.flow import fail
from orchestrator.planning.lanes import Head, Turn
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
        self._kept_for: set[Head] = set()

    def first_binding(self, lane: Lane) -> Reason | None:
        """The first limit that holds back what makes these claims, None if it fits now."""
        return next((self._told(claim, cap) for claim, cap in self._binding(lane)), None)

    def keep(self, head: Head) -> None:
        """Keep for who waits at the head of its lane what it lacks of what is shared, where nothing else is in its
        way and it has waited long enough."""
        (*_, key), lane = head
        if head not in self._kept_for and self._now - self._world.ready[key].since >= PATIENCE:
            lacking = self._lacking_shared(lane)
            self._kept_for |= {head} if lacking else set()
            for claim in lacking or ():
                self._kept[claim.scope] = self._kept.get(claim.scope, 0) + claim.need

    def is_kept_for(self, head: Head) -> bool:
        """Whether who stands there has been looked at, and waits for what is kept for it."""
        return head in self._kept_for

    def wanted(self) -> dict[Scope, int]:
        """How much of each limit those that begin would take next, one by one at most: what a sensor that looks
        again may take from them. Those that other limits hold back are left out."""
        found: dict[Scope, int] = {}
        for (*_, key), lane in self._world.ready.heads(again=False):
            if not self._world.dags[key.dag_id].held and self._lacking_shared(lane) is not None:
                for claim in lane:
                    found[claim.scope] = max(found.get(claim.scope, 0), claim.need)
        return found

    def gives_way(self, lane: Lane, wanted: Mapping[Scope, int]) -> bool:
        """Whether what looks again would take from those that begin, of a limit of which a look was the last to
        take."""
        return any(
            claim.scope in wanted
            and claim.scope in self._world.looked
            and self._over(claim, need=claim.need + wanted[claim.scope])
            for claim in lane
        )

    def _lacking_shared(self, lane: Lane) -> list[Claim] | None:
        """What these claims lack now, all of it shared with others; None where something else is in their way."""
        lacking = [claim for claim, _ in self._binding(lane)]
        return lacking if all(claim.scope.kind in SHARED for claim in lacking) else None

    def _over(self, claim: Claim, *, need: int) -> bool:
        cap = cap_of(self._world, claim, self._settings)
        return cap is not None and self._world.used[claim.scope] + self._kept.get(claim.scope, 0) + need > cap

    def _binding(self, lane: Lane) -> Iterator[tuple[Claim, int | None]]:
        for claim in lane:
            cap = cap_of(self._world, claim, self._settings)
            unknown = cap is None and claim.scope.kind in _ENGINE
            if unknown or self._over(claim, need=claim.need):
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
    ready, room = draft.world.ready, Room(draft.world, draft.settings, draft.now)
    if ready.first(again=True) is not None:
        _let_in(draft, room, again=True, wanted=room.wanted())
    _let_in(draft, room, again=False)
    _let_in(draft, room, again=True)


def _let_in(draft: Draft, room: Room, *, again: bool, wanted: Mapping[Scope, int] = MappingProxyType({})) -> None:
    """Of those that look `again` or of the others, in order, all that fit; who has to give way waits."""
    world = draft.world
    head = world.ready.first(again=again)
    while head is not None:
        (*_, key), lane = head
        impossible = never_fits(world, lane, draft.settings)
        if impossible is not None:
            fail(draft, world.tasks[key], Failure(reason=impossible, ran=False))
        elif not world.dags[key.dag_id].held and not room.is_kept_for(head) and not room.gives_way(lane, wanted):
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
    again, *_ = ready.turn
    wanted = room.wanted()
    _keep_for_those_before(world, room, ready.turn if again else None, again=True, wanted=wanted)
    if not again or room.gives_way(ready.lane, wanted):
        _keep_for_those_before(world, room, None if again else ready.turn, again=False)
    return room.first_binding(ready.lane)


def _keep_for_those_before(
    world: View, room: Room, turn: Turn | None, *, again: bool, wanted: Mapping[Scope, int] = MappingProxyType({})
) -> None:
    """Keep for those of one line who stand before this turn, or for all of it."""
    for head in world.ready.heads(again=again):
        each, lane = head
        if turn is not None and each >= turn:
            return
        held = world.dags[each[-1].dag_id].held
        if not held and not room.gives_way(lane, wanted) and room.first_binding(lane) is not None:
            room.keep(head)


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
