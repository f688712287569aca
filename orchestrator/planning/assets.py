"""Assets: that one was updated is recorded, and counted for each DAG that waits for it, in the turn of what updated
it; a run is made once what a DAG has gathered is what its schedule asks for (spec scheduling 1).

What a DAG has gathered of an asset is a stretch of its events, from the first that no run of the DAG has consumed
to the newest, so it stays small however long the rest is waited for; a run takes over the stretches of all assets.
A DAG gathers from the moment that its schedule names the asset, also while it is paused or its file is gone.
"""

import difflib
from collections.abc import Iterator

import msgspec

from orchestrator.ids import TaskKey
from orchestrator.planning.changes import PutAssetEvent, PutGathered, PutResult
from orchestrator.planning.draft import Draft
from orchestrator.planning.dues import gathered_by
from orchestrator.planning.rows import Answer, AssetEvent, Request, Stretch
from orchestrator.planning.runs import make_triggered
from orchestrator.planning.view import View
from orchestrator.spec.assets import assets_in
from orchestrator.timetables.zones import TICK

#: Bytes of JSON that may be told with an update.
MOST = 1024 * 1024


def record(draft: Draft) -> None:
    """Record the updates by tasks that have succeeded; the result of each is what its events tell."""
    updated = list(draft.updated())
    if not updated:
        return
    results = {each.result.key: each.result.data for each in draft.changes if isinstance(each, PutResult)}
    for task, asset in updated:
        _update(draft, asset, extra=results.get(task, b"null"), source=task)


def emit(draft: Draft, request: Request) -> Answer:
    """Record an update that somebody tells of."""
    asset, extra = str(request.payload.get("asset")), msgspec.json.encode(request.payload.get("extra"))
    known = set(_named(draft.world))
    if asset not in known:
        near = difflib.get_close_matches(asset, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return Answer(
            ok=False, error=f"no DAG names an asset {asset!r}{hint}; `orchestrator assets list` shows all"
        )
    if len(extra) > MOST:
        return Answer(
            ok=False, error=f"extra has {len(extra)} B, the limit is {MOST} B: name the data, not all of it"
        )
    event = _update(draft, asset, extra=extra, actor=request.actor)
    dag_ids = list(draft.world.consumers.entries(asset))
    return Answer(ok=True, data={"asset": asset, "at": event.at.isoformat(), "dag_ids": dag_ids})


def make_run(draft: Draft, dag_id: str) -> None:
    """Make the run whose updates are all there; it consumes everything that its DAG has gathered."""
    consumed = gathered_by(draft.world, dag_id)
    make_triggered(draft, draft.world.dags[dag_id], consumed)
    for asset in consumed:
        draft.do(PutGathered(dag_id=dag_id, asset=asset, events=None))


def forget_others(draft: Draft, dag_id: str) -> None:
    """Forget what a DAG has gathered of assets that its schedule names no more."""
    awaited = draft.world.awaited.get(dag_id) or frozenset()
    for owner, asset in [key for key, _ in draft.world.gathered.items()]:
        if owner == dag_id and asset not in awaited:
            draft.do(PutGathered(dag_id=dag_id, asset=asset, events=None))


def _update(
    draft: Draft, asset: str, *, extra: bytes, source: TaskKey | None = None, actor: str = "scheduler"
) -> AssetEvent:
    newest = draft.world.newest_event.get(None)
    at = draft.now if newest is None else max(draft.now, newest + TICK)
    event = AssetEvent(asset=asset, at=at, extra=extra, source=source, actor=actor)
    draft.do(PutAssetEvent(event=event))
    for dag_id in list(draft.world.consumers.entries(asset)):
        before = draft.world.gathered.get((dag_id, asset))
        first, count = (at, 0) if before is None else (before.first, before.count)
        events = Stretch(first=first, last=at, count=count + 1)
        draft.do(PutGathered(dag_id=dag_id, asset=asset, events=events))
    return event


def _named(view: View) -> Iterator[str]:
    """Every asset that the newest version of a DAG names."""
    for dag_id in [key for key, _ in view.dags.items()]:
        spec = view.current(dag_id).spec
        if spec.condition is not None:
            yield from (each.name for each in assets_in(spec.condition))
        for task in spec.tasks:
            yield from (each.name for each in (*task.inlets, *task.outlets))
