"""What templates may know of a task instance (spec authoring 7), gathered from the run and its timetable."""

from collections.abc import Callable

from msgspec.structs import replace

from orchestrator.planning.rows import Run, TaskInstance
from orchestrator.planning.units import units_of
from orchestrator.ports import RenderFacts
from orchestrator.spec.dag import DagSpec, TaskSpec
from orchestrator.timetables import timetable_for


def render_facts(
    dag: DagSpec,
    run: Run,
    task: TaskInstance,
    spec: TaskSpec,
    *,
    previous_success: Run | None,
    result_count: Callable[[str], int],
    test_mode: bool,
) -> RenderFacts:
    """Facts for one rendering. `previous_success` is the newest successful run before this one's logical date,
    `result_count` tells how many results a mapped task of the run has."""
    around = timetable_for(dag).neighbours(run.interval)
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
        test_mode=test_mode,
        pins=run.images or {},
        map=None if unit is None else unit.map,
        mapped={task_id: each.name for task_id, each in units.items()},
        counts={
            source: result_count(source) for source in (() if unit is None else unit.sources) if source in units
        },
    )
