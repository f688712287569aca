"""Stages for tasks that the scheduler does itself: two DAGs, and all that needs no container gone on with."""

from datetime import timedelta
from typing import Any

from planning_past import look_back
from planning_sim import NOW, Leader, container, dag, prepared

from orchestrator.ids import RunKey
from orchestrator.planning.changes import LookBack, PinImages, Prepare
from orchestrator.planning.events import ImagesPinned
from orchestrator.planning.explain import Question, explain
from orchestrator.planning.rows import TaskInstance
from orchestrator.spec.dag import CronSchedule, DagSpec, ScheduleMode, TaskSpec
from orchestrator.states import TaskState

HOUR = timedelta(hours=1)
MIDNIGHT = NOW - 12 * HOUR
QUEUED, RESTING = TaskState.QUEUED, TaskState.UP_FOR_RESCHEDULE
DAILY = CronSchedule(expressions=("0 0 * * *",), mode=ScheduleMode.INTERVAL)


def other(*tasks: TaskSpec, **arguments: Any) -> DagSpec:
    return dag(*(tasks or (container("load"),)), dag_id="other", file="other.py", **arguments)


def staged(*tasks: TaskSpec, others: DagSpec | None = None, **arguments: Any) -> tuple[Leader, RunKey]:
    leader = Leader()
    leader.parse(others or other(), file="other.py")
    leader.parse(dag(*tasks, **arguments))
    key = leader.trigger()
    go_on(leader)
    return leader, key


def go_on(leader: Leader) -> None:
    """Let what needs no container go as far as it goes."""
    while True:
        leader.turn(*(ImagesPinned(run=pin.run, pins={"tools": "tools:1"}) for pin in leader.take(PinImages)))
        asked = leader.take(Prepare)
        controls = [each for each in asked if each.spec.control is not None]
        leader.effects += [each for each in asked if each.spec.control is None]
        if not controls and not any(isinstance(each, LookBack) for each in leader.effects):
            return
        leader.turn(*map(prepared, controls))
        look_back(leader)


def runs_of(leader: Leader, dag_id: str) -> list[RunKey]:
    return [key for key in leader.rows["runs"] if key.dag_id == dag_id]


def task(leader: Leader, run: RunKey, task_id: str = "t") -> TaskInstance:
    return leader.task(run, task_id)


def why(leader: Leader, run: RunKey, task_id: str = "t") -> str:
    told = explain(leader.world, Question(dag_id=run.dag_id, run_id=run.run_id, task_id=task_id), leader.present)
    assert told.reason is not None
    return f"{told.reason.code}: {told.reason.text}"
