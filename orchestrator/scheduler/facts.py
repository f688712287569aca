"""What templates may know of a task instance (spec authoring 7), gathered from the run and its timetable."""

from collections.abc import Callable

from msgspec.structs import replace

from orchestrator.planning.rows import AssetEvent, Run, TaskInstance
from orchestrator.planning.units import units_of
from orchestrator.ports import RenderFacts, Store
from orchestrator.spec.dag import DagSpec, TaskSpec
from orchestrator.states import RunType
from orchestrator.timetables import timetable_for
from orchestrator.timetables.timetable import Neighbours

#: Of each asset, how many of a run's events templates see, and how many bytes all that is told with them may have.
_EVENTS, _EVENTS_SIZE = 1000, 8 * 1024 * 1024


def consumed_events(store: Store, run: Run) -> tuple[AssetEvent, ...]:
    """The events that a run was made for: of very many, or very large ones, the newest."""
    return store.events_in(run.consumed, _EVENTS, _EVENTS_SIZE) if run.consumed else ()


def render_facts(
    dag: DagSpec,
    run: Run,
    task: TaskInstance,
    spec: TaskSpec,
    *,
    previous_success: Run | None,
    asset_events: tuple[AssetEvent, ...],
    result_count: Callable[[str], int],
    test_mode: bool,
) -> RenderFacts:
    """Facts for one rendering. `previous_success` is the newest successful run before this one's logical date,
    `asset_events` as `consumed_events`, `result_count` tells how many results a mapped task of the run has."""
    around = _around(dag, run)
    units = units_of(dag)
    unit = units.get(spec.task_id)
    return RenderFacts(
        run=run,
        task=task.key,
        spec=spec,
        dag=replace(dag, tasks=(), groups=(), edge_labels=()),
        try_number=task.failures + 1,
        next_start=around.next,
        previous_start=around.previous,
        previous_success=previous_success,
        asset_events=asset_events,
        test_mode=test_mode,
        pins=run.images or {},
        map=None if unit is None else unit.map,
        mapped={task_id: each.name for task_id, each in units.items()},
        counts={
            source: result_count(source) for source in (() if unit is None else unit.sources) if source in units
        },
    )


def _around(dag: DagSpec, run: Run) -> Neighbours:
    """A run that assets made stands for an instant, whatever else the schedule says."""
    if run.run_type is RunType.ASSET_TRIGGERED:
        return Neighbours(previous=run.interval.start, next=run.interval.start)
    return timetable_for(dag).neighbours(run.interval)
