"""What faces ask of the leader, and its answers. A request told of twice is answered once."""

from collections.abc import Callable, Mapping

import msgspec

from orchestrator.errors import TimetableError
from orchestrator.ids import RunKey
from orchestrator.planning.changes import Answered, PutDag
from orchestrator.planning.draft import Draft
from orchestrator.planning.events import Requested
from orchestrator.planning.rows import Answer, Dag, Reason, Request, RequestKind
from orchestrator.planning.runs import doom, make_manual
from orchestrator.spec.interval import Interval
from orchestrator.states import ReasonCode
from orchestrator.timetables import interval_by_hand, zone_named


def on_requested(draft: Draft, event: Requested) -> None:
    request = event.request
    if request.id in draft.world.answered:
        return
    answer = _ANSWERS[request.kind](draft, request)
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
    try:
        interval = _asked_interval(draft, dag, request)
    except TimetableError as error:
        return _refused(str(error))
    run = make_manual(draft, dag, interval, request.created_at, conf=conf, note=note, actor=request.actor)
    warnings = list(draft.world.current(dag.dag_id).timetable.doubts(interval, request.created_at))
    return Answer(ok=True, data={"dag_id": dag.dag_id, "run_id": run.key.run_id, "warnings": warnings})


def _asked_interval(draft: Draft, dag: Dag, request: Request) -> Interval:
    """What a date given by hand names; none is the newest complete interval."""
    blueprint = draft.world.current(dag.dag_id)
    date, zone = request.payload.get("logical_date"), zone_named(blueprint.spec.timezone)
    return interval_by_hand(blueprint.timetable, None if date is None else str(date), zone, request.created_at)


def _pause(draft: Draft, request: Request) -> Answer:
    return _set_paused(draft, request, paused=True)


def _unpause(draft: Draft, request: Request) -> Answer:
    return _set_paused(draft, request, paused=False)


def _set_paused(draft: Draft, request: Request, *, paused: bool) -> Answer:
    dag = _dag(draft, request)
    if dag is None:
        return _unknown_dag(request)
    if dag.paused is not paused:
        draft.do(PutDag(dag=msgspec.structs.replace(dag, paused=paused)))
        draft.stir(dag.dag_id)
    warnings = [] if dag.active else [f"{_inactive(dag)}; nothing of it runs until one does"]
    return Answer(ok=True, data={"dag_id": dag.dag_id, "paused": paused, "warnings": warnings})


def _cancel(draft: Draft, request: Request) -> Answer:
    key = RunKey(str(request.payload.get("dag_id")), str(request.payload.get("run_id")))
    run = draft.world.runs.get(key)
    if run is None:
        return _refused(f"no open run {key.run_id!r} of {key.dag_id!r}: it has ended, or never was")
    if run.reason is None:
        doom(draft, run, Reason(code=ReasonCode.KILLED_BY, text=f"cancelled by {request.actor}"))
    return Answer(ok=True, data={"dag_id": key.dag_id, "run_id": key.run_id})


def _dag(draft: Draft, request: Request) -> Dag | None:
    return draft.world.dags.get(str(request.payload.get("dag_id")))


def _inactive(dag: Dag) -> str:
    return f"the DAG {dag.dag_id!r} is inactive: its file {dag.file} no longer defines it"


def _unknown_dag(request: Request) -> Answer:
    return _refused(f"no DAG {request.payload.get('dag_id')!r}; `orchestrator dags list` shows all")


def _refused(error: str) -> Answer:
    return Answer(ok=False, error=error)


_ANSWERS: Mapping[RequestKind, Callable[[Draft, Request], Answer]] = {
    RequestKind.TRIGGER: _trigger,
    RequestKind.PAUSE: _pause,
    RequestKind.UNPAUSE: _unpause,
    RequestKind.CANCEL: _cancel,
}
