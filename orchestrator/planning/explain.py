"""Why something is not running: the first thing that hinders it, from what the leader knows now. No reason where
nothing does: it runs, it has ended, or its turn comes with the next look.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice

from orchestrator.ids import UNMAPPED, RunKey, TaskKey, instance_name
from orchestrator.planning.admission import binding_limit
from orchestrator.planning.draft import PlanSettings
from orchestrator.planning.dues import gathered_by
from orchestrator.planning.past import hindrance
from orchestrator.planning.rows import Dag, Reason, Run, TaskInstance
from orchestrator.planning.rules import Verdict
from orchestrator.planning.runs import may_start
from orchestrator.planning.timers import TimerKind
from orchestrator.planning.verdicts import judgement_of, name_of, setups_waited_for, unit_of
from orchestrator.planning.waits import story
from orchestrator.planning.world import World
from orchestrator.spec.assets import in_words
from orchestrator.spec.dag import ManualSchedule, TaskSpec
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode, RunState, TaskState
from orchestrator.timetables import Past, due_in_words, zone_named

#: Runs and tasks that a sentence names.
_NAMED = 3
#: Task instances of a run that an answer tells of: the loop has better to do than to look at thousands.
_MOST_TASKS = 200
_UPSTREAM = ReasonCode.UPSTREAM
#: How a task ends that keeps those after it from running, by itself.
_STOPPED = (TaskState.FAILED, TaskState.SKIPPED)


class Question(Value, frozen=True, kw_only=True):
    """What is asked about: a DAG, one of its runs, or a task instance."""

    dag_id: str
    run_id: str | None = None
    task_id: str | None = None
    map_index: int = UNMAPPED

    @property
    def instance(self) -> str | None:
        """The task instance as people name it."""
        return None if self.task_id is None else instance_name(self.task_id, self.map_index)


class Behind(Value, frozen=True, kw_only=True):
    """Another task instance of the same run, and what happened to it or hinders it."""

    task_id: str
    map_index: int = UNMAPPED
    reason: Reason


class Explained(Value, frozen=True, kw_only=True):
    """The answer. `reason` None: nothing hinders it. `behind`: the first of all, where the reason is another task.
    `tasks`: of a run, what hinders its open task instances, the first 200 in topological order."""

    reason: Reason | None = None
    behind: Behind | None = None
    tasks: dict[str, Reason] = {}


class Present(Value, frozen=True, kw_only=True):
    """What an answer depends on beside the world. `engine_away`: why nothing is heard of the engine now."""

    now: datetime
    settings: PlanSettings
    engine_away: str | None = None


def explain(world: World, question: Question, present: Present) -> Explained:
    """The answer to a question about what is open; of what is not, nothing hinders it."""
    if question.run_id is None:
        return Explained(reason=explain_dag(world, question.dag_id, present))
    if question.task_id is None:
        return explain_run(world, RunKey(question.dag_id, question.run_id), present)
    key = TaskKey(question.dag_id, question.run_id, question.task_id, question.map_index)
    reason = explain_task(world, key, present)
    return Explained(reason=reason, behind=_behind(world, key, reason, present))


def explain_dag(world: World, dag_id: str, present: Present) -> Reason | None:
    """Why no scheduled run of a DAG is made now; None also for an unknown DAG."""
    dag = world.dags.get(dag_id)
    if dag is None:
        return None
    if (held := _held(dag)) is not None:
        return held
    if isinstance(world.current(dag_id).spec.schedule, ManualSchedule):
        return Reason(code=ReasonCode.UNSCHEDULED, text="it has no schedule: it runs when it is asked to")
    if world.schedule_waits(dag_id):
        return _max_active_runs(world, dag_id)
    if world.timers.at(TimerKind.ASSETS, dag_id) is not None:
        return None  # the updates are there
    lacking = _lacking(world, dag_id)
    if world.timers.at(TimerKind.SCHEDULE, dag_id) is None:
        return lacking or _schedule_over(world, dag_id)
    due = _not_due(world, dag, present)
    if due is None or lacking is None:
        return due
    return Reason(code=due.code, text=f"{due.text}; before that {lacking.text}")


def explain_run(world: World, key: RunKey, present: Present) -> Explained:
    """Why an open run has not started, will fail, or stands still: then by its first task that is hindered."""
    run = world.runs.get(key)
    if run is None:
        return Explained()
    if run.state is RunState.QUEUED:
        return Explained(reason=_why_queued(world, run))
    hindered = list(islice(_hindered(world, key, present), _MOST_TASKS))
    tasks = {name_of(each): why for each, why in hindered}
    first = _first(hindered)
    if run.reason is not None or first is None or _moves(world, world.tasks_of.entries(key)):
        return Explained(reason=run.reason, tasks=tasks)
    each, why = first
    reason = Reason(code=why.code, text=f"{name_of(each)}: {why.text}")
    return Explained(reason=reason, behind=behind(each, why), tasks=tasks)


def explain_task(world: World, key: TaskKey, present: Present) -> Reason | None:
    """Why a task instance of an open run does not run, or is being stopped."""
    task, run = world.tasks.get(key), world.runs.get(key.run)
    if run is not None and run.state is RunState.QUEUED and (task is None or not task.state.final):
        return _why_queued(world, run)
    if task is None:
        return None
    match task.state:
        case TaskState.WAITING:
            return _waits_for(world, key)
        case TaskState.QUEUED:
            return _why_not_begun(world, key, present)
        case TaskState.UP_FOR_RETRY:
            return _delay(task)
        case TaskState.UP_FOR_RESCHEDULE:
            return _next_look(task) if task.awaits is None else story(world, task)
        case TaskState.STARTING | TaskState.RUNNING:
            return world.tries[world.open_try[key]].stop_reason or _engine_down(task, present)
        case _:
            return task.reason


def first_cause(
    tasks: Mapping[str, TaskSpec], instances: Iterable[TaskInstance], task_id: str
) -> TaskInstance | None:
    """The task before `task_id` that failed or was skipped by itself, the first in the order of `tasks`; None where
    there is none."""
    before = _ancestors(tasks, task_id)
    found = [
        each
        for each in instances
        if each.key.task_id in before
        and each.state in _STOPPED
        and each.reason is not None
        and each.reason.code is not _UPSTREAM
    ]
    order = {name: place for place, name in enumerate(tasks)}
    return min(found, key=lambda each: order[each.key.task_id], default=None)


def _ancestors(tasks: Mapping[str, TaskSpec], task_id: str) -> set[str]:
    found: set[str] = set()
    look = list(tasks[task_id].upstream)
    while look:
        name = look.pop()
        if name not in found:
            found.add(name)
            look += tasks[name].upstream
    return found


# --- DAGs and runs ------------------------------------------------------------------------------------


def _held(dag: Dag) -> Reason | None:
    if not dag.active:
        text = f"the DAG is inactive: its file {dag.file} no longer defines it"
        return Reason(code=ReasonCode.DAG_INACTIVE, text=text)
    if dag.paused:
        why = "" if dag.pause_reason is None else f" ({dag.pause_reason.text})"
        return Reason(code=ReasonCode.PAUSED, text=f"the DAG is paused: no scheduled run of it starts{why}")
    return None


def _max_active_runs(world: World, dag_id: str) -> Reason:
    blueprint = world.current(dag_id)
    running = [run for run, row in world.runs.items() if run.dag_id == dag_id and row.state is RunState.RUNNING]
    names = ", ".join(run.run_id for run in running[:_NAMED]) + (", ..." if len(running) > _NAMED else "")
    if blueprint.timetable.one_at_a_time:
        text = f"its schedule wants one run at a time, and one is open: {names}".removesuffix(": ")
    else:
        text = f"{len(running)} of max_active_runs={blueprint.spec.max_active_runs} are running: {names}"
    return Reason(code=ReasonCode.MAX_ACTIVE_RUNS, text=text)


def _lacking(world: World, dag_id: str) -> Reason | None:
    """Which updates of assets the next run waits for; None where it waits for none."""
    condition = world.current(dag_id).spec.condition
    if condition is None:
        return None
    gathered = gathered_by(world, dag_id)
    counts = ((name, each.count, each.first.isoformat(timespec="seconds")) for name, each in gathered.items())
    had = ", ".join(f"{name} ({count} since {first})" for name, count, first in counts)
    text = f"it waits for updates of the assets {in_words(condition, gathered)}"
    return Reason(code=ReasonCode.ASSETS, text=f"{text}; it has had {had}" if had else text)


def _schedule_over(world: World, dag_id: str) -> Reason:
    end = world.current(dag_id).timetable.end
    text = "its schedule has no further run"
    if end is not None:
        text += f": its end_date is {end.isoformat()}"
    return Reason(code=ReasonCode.OUTSIDE_SCHEDULE, text=text)


def _not_due(world: World, dag: Dag, present: Present) -> Reason | None:
    """When the next run is due; None where that is now."""
    blueprint = world.current(dag.dag_id)
    wished = blueprint.spec.catchup
    catchup = present.settings.catchup_by_default if wished is None else wished
    past = Past(last=dag.last, since=dag.since or blueprint.version.created_at, catchup=catchup)
    interval = blueprint.timetable.next(past, present.now)
    if interval is None or interval.end <= present.now:
        return None
    words = due_in_words(interval, zone_named(blueprint.spec.timezone), present.now)
    which = "first" if dag.last is None else "next"
    return Reason(code=ReasonCode.NOT_DUE, text=f"its {which} run is {words}")


def _why_queued(world: World, run: Run) -> Reason:
    dag = world.dags[run.key.dag_id]
    held = None if may_start(dag, run) else _held(dag)
    return held or _max_active_runs(world, dag.dag_id)


# --- task instances -----------------------------------------------------------------------------------


def _hindered(world: World, key: RunKey, present: Present) -> Iterator[tuple[TaskKey, Reason]]:
    place = world.blueprint(key).place
    keys = sorted(world.tasks_of.entries(key), key=lambda each: (place[each.task_id], each.map_index))
    for each in keys:
        if not world.tasks[each].state.final and (why := explain_task(world, each, present)) is not None:
            yield each, why


def _first(hindered: Iterable[tuple[TaskKey, Reason]]) -> tuple[TaskKey, Reason] | None:
    """The first that is hindered by something else than another task."""
    return next((each for each in hindered if each[1].code is not _UPSTREAM), None)


def _moves(world: World, keys: Iterable[TaskKey]) -> bool:
    return any(world.tasks[key].state.holds_slot for key in keys)


def _waits_for(world: World, key: TaskKey) -> Reason:
    unit = unit_of(world, key)
    if unit is not None and unit.is_group:
        sources = [each for source in unit.sources for each in world.instances(key.run, source)]
        waits = [name_of(each) for each in sources if not world.tasks[each].state.final]
        more = len(waits) - _NAMED
        text = f"its group {unit.name} is expanded when these have ended: {', '.join(waits[:_NAMED])}"
        return Reason(code=_UPSTREAM, text=f"{text} and {more} more" if more > 0 else text)
    if judgement_of(world, key).verdict is Verdict.READY and (why := hindrance(world, key)) is not None:
        return why
    spec, counts = world.task_spec(key), world.parent_counts(key)
    unfinished = (name_of(parent.key) for parent in world.parents_of(key) if not parent.state.final)
    named = list(islice(unfinished, _NAMED))
    if not named and (setups := setups_waited_for(world, key)):
        text = f"it waits for the setups of its scope: {', '.join(name_of(setup.key) for setup in setups[:_NAMED])}"
        return Reason(code=_UPSTREAM, text=text)
    more = counts.total - counts.finished - len(named)
    text = f"its rule {spec.trigger_rule} waits for {', '.join(named)}{f' and {more} more' if more else ''}"
    return Reason(code=_UPSTREAM, text=text)


def _behind(world: World, key: TaskKey, reason: Reason | None, present: Present) -> Behind | None:
    """Of a task that another one keeps waiting, failed or skipped: the first of all. None where that one runs."""
    if reason is None or reason.code is not _UPSTREAM or key not in world.tasks:
        return None
    tasks = world.blueprint(key.run).tasks
    if world.tasks[key].state.final:
        instances = [world.tasks[each] for each in world.tasks_of.entries(key.run)]
        cause = first_cause(tasks, instances, key.task_id)
        return None if cause is None or cause.reason is None else behind(cause.key, cause.reason)
    before = _ancestors(tasks, key.task_id)
    if _moves(world, (each for each in world.tasks_of.entries(key.run) if each.task_id in before)):
        return None
    first = _first(each for each in _hindered(world, key.run, present) if each[0].task_id in before)
    return None if first is None else behind(*first)


def behind(key: TaskKey, reason: Reason) -> Behind:
    """A task instance as what stands behind another's reason."""
    return Behind(task_id=key.task_id, map_index=key.map_index, reason=reason)


def _why_not_begun(world: World, key: TaskKey, present: Present) -> Reason | None:
    """What needs no container is held back by nothing but a hold."""
    if world.task_spec(key).control is None:
        return _why_not_admitted(world, key, present)
    text = "what it is to do is being rendered"
    told = world.tasks[key].reason or Reason(code=ReasonCode.PREPARING, text=text)
    return _held_back(world.dags[key.dag_id]) or told


def _why_not_admitted(world: World, key: TaskKey, present: Present) -> Reason | None:
    if key in world.ready:
        return _held_back(world.dags[key.dag_id]) or binding_limit(world, key, present.settings, present.now)
    if (told := world.tasks[key].reason) is not None:
        return told
    looked_up = world.runs[key.run].images is not None
    text = "its container is being prepared" if looked_up else "the images of its run are being looked up"
    return Reason(code=ReasonCode.PREPARING, text=text)


def _held_back(dag: Dag) -> Reason | None:
    if not dag.held:
        return None
    text = f"nothing new starts in runs of a DAG on hold; `orchestrator dags unpause {dag.dag_id}` ends that"
    return Reason(code=ReasonCode.HELD, text=text)


def _engine_down(task: TaskInstance, present: Present) -> Reason | None:
    if present.engine_away is None:
        return None
    waits = "its container cannot be started" if task.state is TaskState.STARTING else "it may run on, unseen"
    return Reason(code=ReasonCode.ENGINE_DOWN, text=f"{waits}: the engine is away ({present.engine_away})")


def _next_look(task: TaskInstance) -> Reason:
    last = "" if task.reason is None else f"; the last one: {task.reason.text}"
    text = f"it waits between two looks: look {task.pokes + 1} comes{_at(task)}{last}"
    return Reason(code=ReasonCode.NOT_READY, text=text)


def _at(task: TaskInstance) -> str:
    return "" if task.due_at is None else f" at {task.due_at.isoformat(timespec='seconds')}"


def _delay(task: TaskInstance) -> Reason:
    last = "" if task.reason is None else f"; the last try: {task.reason.text}"
    return Reason(code=ReasonCode.RETRY_DELAY, text=f"its next try comes{_at(task)}{last}")
