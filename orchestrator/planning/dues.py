"""When a DAG's next run may be made: the timers of its schedule and of the assets that it waits for, and what it
has gathered of their events. Part of `World.apply`, and of nothing else."""

from collections.abc import Iterable
from datetime import datetime

from orchestrator.planning.changes import PutAssetEvent, PutGathered
from orchestrator.planning.rows import Dag, Stretch
from orchestrator.planning.timers import TimerKind
from orchestrator.planning.view import View
from orchestrator.spec.assets import assets_in, is_met
from orchestrator.spec.dag import DagSpec
from orchestrator.timetables import Past
from orchestrator.timetables.zones import EARLIEST


def take_rows(view: View, gathered: Iterable[PutGathered], newest_event: datetime | None) -> None:
    """Take in what the database has, before the DAGs."""
    for row in gathered:
        _keep(view, row)
    if newest_event is not None:
        view.newest_event.put(None, newest_event)


def take_event(view: View, change: PutAssetEvent) -> None:
    view.newest_event.put(None, change.event.at)


def take_gathered(view: View, change: PutGathered) -> None:
    _keep(view, change)
    set_timers(view, change.dag_id)


def dag_put(view: View, dag: Dag) -> None:
    """Take in that a DAG's row is there, or another."""
    awaited = view.awaited.get(dag.dag_id) or frozenset()
    wanted = awaited_by(view.current(dag.dag_id).spec)
    for asset in sorted(awaited - wanted):
        view.consumers.remove(asset, dag.dag_id)
    for asset in sorted(wanted - awaited):
        view.consumers.add(asset, dag.dag_id)
    view.awaited.put(dag.dag_id, wanted)
    set_timers(view, dag.dag_id)


def set_timers(view: View, dag_id: str) -> None:
    """Wait for what may have a DAG's next run made, where one may be made at all."""
    dag = view.dags[dag_id]
    due = None
    if dag.active and not dag.paused and not view.schedule_waits(dag_id):
        blueprint = view.current(dag_id)
        past = Past(last=dag.last, since=dag.since or blueprint.version.created_at, catchup=True)
        due = blueprint.timetable.due_at(past)
    view.timers.set(TimerKind.SCHEDULE, dag_id, due)
    view.timers.set(TimerKind.ASSETS, dag_id, EARLIEST if _updated(view, dag) else None)


def awaited_by(spec: DagSpec) -> frozenset[str]:
    """The names of the assets that a DAG's schedule waits for."""
    return frozenset() if spec.condition is None else frozenset(each.name for each in assets_in(spec.condition))


def gathered_by(view: View, dag_id: str) -> dict[str, Stretch]:
    """What a DAG has not consumed yet of each asset that it waits for, by name."""
    names = sorted(view.awaited.get(dag_id) or ())
    return {name: events for name in names if (events := view.gathered.get((dag_id, name))) is not None}


def _updated(view: View, dag: Dag) -> bool:
    """Whether the updates are there that the next run waits for, and it may be made. That is due at once, whatever
    the clock says: the events' instants may be ahead of it."""
    condition = view.current(dag.dag_id).spec.condition
    if condition is None or not dag.active or dag.paused or view.schedule_waits(dag.dag_id):
        return False
    return is_met(condition, gathered_by(view, dag.dag_id))


def _keep(view: View, row: PutGathered) -> None:
    if row.events is None:
        view.gathered.drop((row.dag_id, row.asset))
    else:
        view.gathered.put((row.dag_id, row.asset), row.events)
