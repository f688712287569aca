"""Why a DAG, a run or a task does not run, was skipped or failed, and what to do about it; for every face alike.

Of what is open the leader is asked, which alone knows what waits in its memory; where none runs, or none answers,
the database tells as far as it goes. Of what has ended its rows tell all.
"""

from collections.abc import Iterable
from pathlib import Path

from orchestrator.clock import Clock
from orchestrator.errors import NotFoundError
from orchestrator.ids import Epoch, RunKey, TaskKey, instance_named
from orchestrator.next_steps import next_step, with_run_again
from orchestrator.planning.draft import PlanSettings
from orchestrator.planning.explain import Behind, Explained, Present, Question, behind, explain, first_cause
from orchestrator.planning.outcome import remarks_on
from orchestrator.planning.rows import Reason, TaskInstance
from orchestrator.planning.verdicts import name_of
from orchestrator.planning.world import World
from orchestrator.ports import ArtifactStore, Page, Store
from orchestrator.queries import DagView, Queries, RunView
from orchestrator.scheduler.local_socket import ask
from orchestrator.scheduler.scheduler import plan_of
from orchestrator.settings import Settings
from orchestrator.spec.dag import Problem, Severity
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode, RunState, TaskState

#: Seconds to wait for the leader's answer: of one thing, and of what a list of tasks shows by the way.
ANSWER_SECONDS, GLANCE_SECONDS = 5.0, 1.0
#: Open runs of a DAG that are named.
_NAMED = 5

#: What is said of a task instance that nothing hinders.
_TASK_WORDS = {
    TaskState.SUCCESS: "it succeeded",
    TaskState.RUNNING: "it runs",
    TaskState.STARTING: "its container is being created and started",
    TaskState.REMOVED: "its DAG has it no more",
}
_NOTHING = "nothing hinders it: its turn comes now"


class TaskWord(Value, frozen=True, kw_only=True):
    """A task of a run, and what hinders or ended it."""

    task_id: str
    state: TaskState
    reason: Reason


class Explanation(Value, frozen=True, kw_only=True):
    """The answer to "why". `reason` None: nothing hinders it, and `text` says how it stands. `behind`: the first
    of all, where the reason is another task. `tasks`: of a run, each that does not simply run or succeed. `notes`:
    what else should be known. `scheduler`: whether a scheduler told this; else it is what the database tells."""

    dag_id: str
    run_id: str | None = None
    task_id: str | None = None
    state: str
    text: str
    reason: Reason | None = None
    behind: Behind | None = None
    next_step: str = ""
    tasks: tuple[TaskWord, ...] = ()
    notes: tuple[str, ...] = ()
    scheduler: bool = True


class _Told(Value, frozen=True, kw_only=True):
    """What was answered; `silence`: why it was not by a scheduler."""

    explained: Explained
    scheduler: bool = True
    silence: str = ""


class Explanations:
    """Explains what one deployment has. Raises `NotFoundError` naming the nearest known, and `StoreError`."""

    def __init__(
        self,
        store: Store,
        artifacts: ArtifactStore,
        queries: Queries,
        socket: Path,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._queries = queries
        self._socket = socket
        self._clock = clock
        self._settings = settings

    def dag(self, dag_id: str) -> Explanation:
        """Why no run of it is made now."""
        view = self._known_dag(dag_id)
        about = Question(dag_id=dag_id)
        told = self._ask(about, ANSWER_SECONDS)
        state = "inactive" if not view.dag.active else "paused" if view.dag.paused else "active"
        notes = (*_broken(view, self._queries.problems()), *self._runs_of(view))
        return _made(about, state, told, _NOTHING, notes=notes)

    def run(self, key: RunKey) -> Explanation:
        """Why it has not started, stands still, or failed."""
        view = self._queries.run(key)
        about = Question(dag_id=key.dag_id, run_id=key.run_id)
        if view.run.state.final:
            told, failed = _Told(explained=_of_ended_run(view)), view.run.state is RunState.FAILED
            words = _words(view.tasks, {})
            return _made(about, view.run.state, told, "it succeeded", tasks=words, failed_for_good=failed)
        told = self._ask(about, ANSWER_SECONDS)
        words = _words(view.tasks, told.explained.tasks)
        return _made(about, view.run.state, told, _how_it_runs(view), tasks=words)

    def task(self, run: RunKey, task_id: str, map_index: int) -> Explanation:
        """Why it does not run, was skipped, or failed."""
        task_id, map_index = instance_named(task_id, map_index)
        view = self._queries.run(run)
        about = Question(dag_id=run.dag_id, run_id=run.run_id, task_id=task_id, map_index=map_index)
        if not view.tasks and any(task.task_id == task_id for task in view.spec.tasks):
            state, row = TaskState.WAITING, None  # its run has not begun
        else:
            key = self._queries.task_key(run, task_id, map_index)
            row = next(each for each in view.tasks if each.key == key)
            state = row.state
        words = _TASK_WORDS.get(state, _NOTHING)
        if row is not None and state.final:
            told = _Told(explained=_of_ended_task(view, row))
            over = view.run.state.final and state in (TaskState.FAILED, TaskState.UPSTREAM_FAILED)
            return _made(about, state, told, words, notes=self._files(row.key), failed_for_good=over)
        return _made(about, state, self._ask(about, ANSWER_SECONDS), words)

    def _files(self, key: TaskKey) -> tuple[str, ...]:
        """What is to be said of its newest try besides, and of the files that it wrote."""
        tries = self._store.tries(key)
        harvest = self._artifacts.harvest(tries[-1].key) if tries else None
        remarks = remarks_on(tries[-1]) if tries else ()
        return (*remarks, *(harvest.sentences if harvest else ()))

    def glance(self, key: RunKey) -> Explained:
        """What hinders an open run and each of its open tasks, by the leader; nothing where none answers soon."""
        try:
            answer = ask(self._socket, Question(dag_id=key.dag_id, run_id=key.run_id), GLANCE_SECONDS)
        except OSError:
            return Explained()
        return answer or Explained()

    def _known_dag(self, dag_id: str) -> DagView:
        try:
            return self._queries.dag(dag_id, self._clock.now())
        except NotFoundError as unknown:
            broken = sorted({problem.file for problem in _errors(self._queries.problems())})
            if broken:
                files = ", ".join(broken)
                unknown.fix = f"it may be in a file that cannot be read now: {files}; see `orchestrator dags check`"
            raise

    def _runs_of(self, view: DagView) -> Iterable[str]:
        dag_id = view.dag.dag_id
        running = self._store.runs(dag_id, Page(limit=_NAMED), (RunState.RUNNING,))
        if running:
            yield f"running now: {', '.join(run.key.run_id for run in running)}"
        last = view.last_run
        if last is not None and last.state is RunState.FAILED:
            why = f": {last.reason.text}" if last.reason else ""
            yield f"its last run failed{why} (`orchestrator runs explain {dag_id} {last.key.run_id}`)"

    # --- asking -----------------------------------------------------------------------------------------

    def _ask(self, question: Question, seconds: float) -> _Told:
        """The leader, or in its stead the database."""
        try:
            answer = ask(self._socket, question, seconds)
        except OSError:
            return self._told_by_rows(question)
        if answer is not None:
            return _Told(explained=answer)
        silence = f"the scheduler gave no answer for {seconds:g} s; this is what the database tells"
        return _Told(explained=self._from_rows(question), scheduler=False, silence=silence)

    def _told_by_rows(self, question: Question) -> _Told:
        """Where no scheduler can be asked: none leads, or one of another machine."""
        explained, led = self._from_rows(question), self._store.led()
        if led is None:
            return _Told(explained=_waits_for_scheduler(explained), scheduler=False)
        silence = f"{led.owner} leads, which cannot be asked from here; this is what the database tells"
        return _Told(explained=explained, scheduler=False, silence=silence)

    def _from_rows(self, question: Question) -> Explained:
        present = Present(now=self._clock.now(), settings=self._plan())
        return explain(World.of(self._store.load()), question, present)

    def _plan(self) -> PlanSettings:
        return plan_of(self._settings, self._store.deployment(), Epoch(0))


def _made(
    about: Question,
    state: str,
    told: _Told,
    words: str,
    *,
    tasks: tuple[TaskWord, ...] = (),
    notes: tuple[str, ...] = (),
    failed_for_good: bool = False,
) -> Explanation:
    """`failed_for_good`: in a run that has ended, so that it is not tried again by itself."""
    reason, root = told.explained.reason, told.explained.behind
    step = _next_step(about, reason, root)
    return Explanation(
        dag_id=about.dag_id,
        run_id=about.run_id,
        task_id=about.instance,
        state=str(state),
        text=words if reason is None else reason.text,
        reason=reason,
        behind=root,
        next_step=with_run_again(step, about) if failed_for_good else step,
        tasks=tasks,
        notes=(told.silence, *notes) if told.silence else notes,
        scheduler=told.scheduler,
    )


def _next_step(about: Question, reason: Reason | None, root: Behind | None) -> str:
    """What helps is to be done where it all began; but nothing helps where nobody schedules."""
    if reason is None:
        return ""
    if root is None or reason.code is ReasonCode.NO_SCHEDULER:
        return next_step(reason.code, about)
    there = Question(dag_id=about.dag_id, run_id=about.run_id, task_id=root.task_id, map_index=root.map_index)
    return next_step(root.reason.code, there)


def _waits_for_scheduler(explained: Explained) -> Explained:
    besides = "" if explained.reason is None else f"; besides, {explained.reason.text}"
    reason = Reason(code=ReasonCode.NO_SCHEDULER, text=f"no scheduler runs here{besides}")
    return Explained(reason=reason, behind=explained.behind, tasks=explained.tasks)


def _of_ended_run(view: RunView) -> Explained:
    failed = [task for task in view.tasks if task.state is TaskState.FAILED and task.reason is not None]
    first = min(failed, key=lambda task: _place(view, task), default=None)
    if view.run.reason is None or first is None or first.reason is None or first.reason == view.run.reason:
        return Explained(reason=view.run.reason)
    return Explained(reason=view.run.reason, behind=behind(first.key, first.reason))


def _of_ended_task(view: RunView, task: TaskInstance) -> Explained:
    if task.reason is None or task.reason.code is not ReasonCode.UPSTREAM:
        return Explained(reason=task.reason)
    specs = {each.task_id: each for each in view.spec.tasks}
    cause = first_cause(specs, view.tasks, task.key.task_id)
    root = None if cause is None or cause.reason is None else behind(cause.key, cause.reason)
    return Explained(reason=task.reason, behind=root)


def _place(view: RunView, task: TaskInstance) -> int:
    return next((n for n, each in enumerate(view.spec.tasks) if each.task_id == task.key.task_id), -1)


def _how_it_runs(view: RunView) -> str:
    running = [name_of(task.key) for task in view.tasks if task.state.holds_slot]
    return f"it runs: {', '.join(running)}" if running else _NOTHING


def _words(tasks: Iterable[TaskInstance], waits: dict[str, Reason]) -> tuple[TaskWord, ...]:
    """Of those that wait, what the answer says; of those that ended otherwise than well, why."""
    told = (
        (task, task.reason if task.state.final else waits.get(name_of(task.key), task.reason)) for task in tasks
    )
    return tuple(
        TaskWord(task_id=name_of(task.key), state=task.state, reason=why) for task, why in told if why is not None
    )


def _broken(view: DagView, problems: Iterable[Problem]) -> Iterable[str]:
    for problem in _errors(problems):
        if problem.file == view.dag.file:
            yield f"its file is broken now, and its last good version counts: {problem}"


def _errors(problems: Iterable[Problem]) -> Iterable[Problem]:
    return (problem for problem in problems if problem.severity is Severity.ERROR)
