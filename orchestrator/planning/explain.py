"""Why something is not running: the first thing that hinders it, from what the leader knows now. None where
nothing does: it runs, it has ended, or its turn comes with the next look.
"""

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.admission import binding_limit
from orchestrator.planning.draft import PlanSettings
from orchestrator.planning.rows import Dag, Reason, Run, TaskInstance
from orchestrator.planning.runs import may_start
from orchestrator.planning.world import TimerKind, World
from orchestrator.states import ReasonCode, RunState, TaskState


def explain_dag(world: World, dag_id: str) -> Reason | None:
    """Why no scheduled run of a DAG is made; None also for an unknown DAG."""
    dag = world.dags.get(dag_id)
    if dag is None:
        return None
    if (held := _held(dag)) is not None:
        return held
    if world.schedule_waits(dag_id):
        return _max_active_runs(world, dag_id)
    if world.waits_until(TimerKind.SCHEDULE, dag_id) is None:
        return Reason(code=ReasonCode.OUTSIDE_SCHEDULE, text="its schedule has no further run")
    return None


def explain_run(world: World, key: RunKey) -> Reason | None:
    """Why an open run has not started, or will fail."""
    run = world.runs.get(key)
    if run is None or run.state is not RunState.QUEUED:
        return None if run is None else run.reason
    return _why_queued(world, run)


def explain_task(world: World, key: TaskKey, settings: PlanSettings) -> Reason | None:
    """Why a task instance of an open run does not run, or is being stopped."""
    task = world.tasks.get(key)
    if task is None:
        return explain_run(world, key.run)
    match task.state:
        case TaskState.WAITING:
            return _waits_for(world, key)
        case TaskState.QUEUED:
            return _why_not_admitted(world, key, settings)
        case TaskState.UP_FOR_RETRY:
            return _delay(task)
        case TaskState.STARTING | TaskState.RUNNING:
            return world.tries[world.open_try[key]].stop_reason
        case _:
            return task.reason


def _held(dag: Dag) -> Reason | None:
    if not dag.active:
        text = f"the DAG is inactive: its file {dag.file} no longer defines it"
        return Reason(code=ReasonCode.DAG_INACTIVE, text=text)
    if dag.paused:
        text = f"the DAG is paused; `orchestrator dags unpause {dag.dag_id}` ends that"
        return Reason(code=ReasonCode.PAUSED, text=text)
    return None


def _max_active_runs(world: World, dag_id: str) -> Reason:
    limit, running = world.current(dag_id).spec.max_active_runs, world.running[dag_id]
    return Reason(code=ReasonCode.MAX_ACTIVE_RUNS, text=f"{running} of max_active_runs={limit} are running")


def _why_queued(world: World, run: Run) -> Reason:
    dag = world.dags[run.key.dag_id]
    held = None if may_start(dag, run) else _held(dag)
    return held or _max_active_runs(world, dag.dag_id)


def _waits_for(world: World, key: TaskKey) -> Reason:
    spec = world.task_spec(key)
    unfinished = [
        task_id
        for task_id in spec.upstream
        if not world.tasks[TaskKey(key.dag_id, key.run_id, task_id)].state.final
    ]
    text = f"its rule {spec.trigger_rule} waits for {', '.join(unfinished)}"
    return Reason(code=ReasonCode.UPSTREAM, text=text)


def _why_not_admitted(world: World, key: TaskKey, settings: PlanSettings) -> Reason | None:
    if key in world.ready:
        return binding_limit(world, world.claims(key), settings)
    if (told := world.tasks[key].reason) is not None:
        return told
    looked_up = world.runs[key.run].images is not None
    text = "its container is being prepared" if looked_up else "the images of its run are being looked up"
    return Reason(code=ReasonCode.PREPARING, text=text)


def _delay(task: TaskInstance) -> Reason:
    until = "" if task.due_at is None else f" at {task.due_at.isoformat(timespec='seconds')}"
    last = "" if task.reason is None else f"; the last try: {task.reason.text}"
    return Reason(code=ReasonCode.RETRY_DELAY, text=f"its next try comes{until}{last}")
