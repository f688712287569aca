"""What faces ask of the leader, and its answers. A request told of twice is answered once; one that first has the
database asked is answered when that has answered."""

from collections.abc import Callable, Mapping

import msgspec

from orchestrator.errors import TimetableError
from orchestrator.ids import RunKey, is_identifier
from orchestrator.planning import approvals, assets, backfills, reruns, waits
from orchestrator.planning.admission import DEFAULT_POOL
from orchestrator.planning.changes import Answered, DropPool, PutDag, PutPool
from orchestrator.planning.draft import Draft
from orchestrator.planning.events import Requested
from orchestrator.planning.rows import Answer, Dag, Pool, Reason, Request, RequestKind
from orchestrator.planning.runs import doom, make_manual
from orchestrator.spec.conf import conf_doubts, conf_problem
from orchestrator.spec.interval import Interval
from orchestrator.states import ReasonCode
from orchestrator.timetables import interval_by_hand, zone_named


def on_requested(draft: Draft, event: Requested) -> None:
    request = event.request
    if request.id in draft.world.answered or request.id in draft.world.questions:
        return
    answer = _ANSWERS[request.kind](draft, request)
    if answer is not None:
        draft.do(Answered(request=request, answer=answer, at=draft.now))


def _trigger(draft: Draft, request: Request) -> Answer:
    dag = _dag(draft, request)
    if dag is None:
        return _unknown_dag(request)
    if not dag.active:
        return _refused(f"{_inactive(dag)}. Put it back, or see what became of it: `orchestrator dags check`")
    conf, note = request.payload.get("conf") or {}, request.payload.get("note")
    if not isinstance(conf, dict):
        return _refused("conf must be a JSON object")
    current = draft.world.current(dag.dag_id)
    if problem := conf_problem(current.spec, conf):
        return _refused(f"conf does not fit the params of {dag.dag_id}: {problem}")
    try:
        interval = _asked_interval(draft, dag, request)
    except TimetableError as error:
        return _refused(str(error))
    run = make_manual(draft, dag, interval, request.created_at, conf=conf, note=note, actor=request.actor)
    warnings = [*conf_doubts(current.spec, conf), *current.timetable.doubts(interval, request.created_at)]
    return Answer(ok=True, data={"dag_id": dag.dag_id, "run_id": run.key.run_id, "warnings": warnings})


def _asked_interval(draft: Draft, dag: Dag, request: Request) -> Interval:
    """What a date given by hand names; none is the newest complete interval."""
    blueprint = draft.world.current(dag.dag_id)
    date, zone = request.payload.get("logical_date"), zone_named(blueprint.spec.timezone)
    return interval_by_hand(blueprint.timetable, None if date is None else str(date), zone, request.created_at)


def _pause(draft: Draft, request: Request) -> Answer:
    return _set_paused(draft, request, paused=True, held=bool(request.payload.get("hold")))


def _unpause(draft: Draft, request: Request) -> Answer:
    return _set_paused(draft, request, paused=False, held=False)


def _set_paused(draft: Draft, request: Request, *, paused: bool, held: bool) -> Answer:
    dag = _dag(draft, request)
    if dag is None:
        return _unknown_dag(request)
    wanted = msgspec.structs.replace(dag, paused=paused, held=held, failed_in_row=0, pause_reason=None)
    if wanted != dag:
        draft.do(PutDag(dag=wanted))
        draft.stir(dag.dag_id)
    if dag.held and not held:
        waits.unheld(draft, dag.dag_id)
    warnings = [] if dag.active else [f"{_inactive(dag)}; nothing of it runs until one does"]
    return Answer(ok=True, data={"dag_id": dag.dag_id, "paused": paused, "warnings": warnings})


def _cancel(draft: Draft, request: Request) -> Answer:
    key = RunKey(str(request.payload.get("dag_id")), str(request.payload.get("run_id")))
    run = draft.world.runs.get(key)
    if run is None:
        return _refused(f"no open run {key.run_id!r} of {key.dag_id!r}: it has ended, or never was")
    teardowns = bool(request.payload.get("teardowns", True))
    if run.reason is None or not teardowns:
        reason = run.reason or Reason(code=ReasonCode.KILLED_BY, text=f"cancelled by {request.actor}")
        doom(draft, run, reason, teardowns=teardowns)
    return Answer(ok=True, data={"dag_id": key.dag_id, "run_id": key.run_id})


def _set_pool(draft: Draft, request: Request) -> Answer:
    name, slots = str(request.payload.get("name")), request.payload.get("slots")
    if not is_identifier(name):
        return _refused(f"{name!r} cannot be the name of a pool: use letters, digits and ._- only")
    if not isinstance(slots, int) or isinstance(slots, bool) or slots < 0:
        return _refused(f"a pool has 0 or more slots, not {slots!r}")
    draft.do(PutPool(pool=Pool(name=name, slots=slots)))
    return Answer(ok=True, data={"name": name, "slots": slots})


def _drop_pool(draft: Draft, request: Request) -> Answer:
    name = str(request.payload.get("name"))
    if name not in draft.world.pools and name == DEFAULT_POOL:
        slots = draft.settings.default_pool_slots
        return _refused(
            f"the pool {name!r} is built in, with the {slots} slots of the setting scheduling.default_pool_slots; "
            f"`orchestrator pools set {name} SLOTS` gives it another number"
        )
    if name not in draft.world.pools:
        return _refused(f"no pool {name!r}; `orchestrator pools list` shows all")
    users = sorted(
        {dag_id for dag_id, dag in draft.world.dags.items() if dag.active and _uses(draft, dag_id, name)}
    )
    if users and name != DEFAULT_POOL:
        return _refused(f"the pool {name!r} is used by {', '.join(users)}; have their tasks name another one first")
    draft.do(DropPool(name=name))
    return Answer(ok=True, data={"name": name})


def _uses(draft: Draft, dag_id: str, pool: str) -> bool:
    return any(task.pool == pool for task in draft.world.current(dag_id).spec.tasks)


def _dag(draft: Draft, request: Request) -> Dag | None:
    return draft.world.dags.get(str(request.payload.get("dag_id")))


def _inactive(dag: Dag) -> str:
    return f"the DAG {dag.dag_id!r} is inactive: its file {dag.file} no longer defines it"


def _unknown_dag(request: Request) -> Answer:
    return _refused(f"no DAG {request.payload.get('dag_id')!r}; `orchestrator dags list` shows all")


def _refused(error: str) -> Answer:
    return Answer(ok=False, error=error)


_ANSWERS: Mapping[RequestKind, Callable[[Draft, Request], Answer | None]] = {
    RequestKind.TRIGGER: _trigger,
    RequestKind.APPROVE: approvals.answer,
    RequestKind.PAUSE: _pause,
    RequestKind.UNPAUSE: _unpause,
    RequestKind.CANCEL: _cancel,
    RequestKind.SET_POOL: _set_pool,
    RequestKind.DROP_POOL: _drop_pool,
    RequestKind.CLEAR: reruns.look,
    RequestKind.MARK: reruns.look,
    RequestKind.KILL: reruns.look,
    RequestKind.EMIT: assets.emit,
    RequestKind.BACKFILL: backfills.look,
    RequestKind.CHANGE_BACKFILL: backfills.change,
}
