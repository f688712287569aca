"""The world: what the leader knows, and how that changes.

`apply` is the only way anything changes, one change at a time, and it needs nothing but the change: so the same
code builds the world from rows, keeps it up after a commit, and runs on a fork where `decide` tries things out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import reduce
from typing import Any, ClassVar, Protocol

from orchestrator.ids import RunKey, TaskKey, VersionId
from orchestrator.planning import dues, lateness, looks, timeouts, turns, watching
from orchestrator.planning.blueprint import blueprint_of
from orchestrator.planning.changes import (
    Answered,
    Change,
    DropPool,
    Learnt,
    LookBack,
    PutAssetEvent,
    PutBackfill,
    PutDag,
    PutFile,
    PutGathered,
    PutPool,
    PutRun,
    PutTask,
    PutTry,
    PutVersion,
    Readied,
    Recall,
    Sized,
    Spared,
)
from orchestrator.planning.history import Before
from orchestrator.planning.lanes import Ready
from orchestrator.planning.rows import Backfill, Dag, DagVersion, Pool, Run, TaskInstance, Try, instant_of
from orchestrator.planning.rules import ParentCounts
from orchestrator.planning.tables import Table
from orchestrator.planning.timers import TimerKind
from orchestrator.planning.view import DEFAULT_ENGINE, View
from orchestrator.states import RunState, RunType, TaskState

#: How many answered requests are remembered, so that one told of twice is answered once.
_REMEMBERED = 4096


class Rows(Protocol):
    """What a world is built from; a `ports.Snapshot` is one."""

    @property
    def dags(self) -> Sequence[Dag]: ...
    @property
    def versions(self) -> Sequence[DagVersion]: ...
    @property
    def runs(self) -> Sequence[Run]: ...
    @property
    def tasks(self) -> Sequence[TaskInstance]: ...
    @property
    def tries(self) -> Sequence[Try]: ...
    @property
    def pools(self) -> Sequence[Pool]: ...
    @property
    def backfills(self) -> Sequence[Backfill]: ...
    @property
    def gathered(self) -> Sequence[PutGathered]: ...
    @property
    def newest_event(self) -> datetime | None: ...


class World(View):
    """Empty until rows are applied. Read it freely; only `apply` changes it."""

    @classmethod
    def of(cls, rows: Rows) -> "World":
        """The world that these rows tell of."""
        world = cls()
        for pool in rows.pools:
            world.pools.put(pool.name, pool)
        for backfill in rows.backfills:
            world.backfills.put(backfill.id, backfill)
        dues.take_rows(world, rows.gathered, rows.newest_event)
        world.apply(PutVersion(version=version) for version in rows.versions)
        world.apply(PutDag(dag=dag) for dag in rows.dags)
        world.apply(PutRun(run=run, before=None) for run in rows.runs)
        world.apply(PutTask(task=task, before=None) for task in rows.tasks)
        world.apply(PutTry(attempt=attempt, before=None) for attempt in rows.tries)
        return world

    def fork(self) -> "World":
        """A world that starts as this one; what is applied to it leaves this one as it is."""
        fork = World()
        for name, part in vars(self).items():
            setattr(fork, name, part.fork())
        return fork

    def apply(self, changes: Iterable[Change]) -> None:
        """Take in what was decided and committed, in order. Effects change nothing here."""
        for change in changes:
            take_in = self._TAKEN_IN.get(type(change))
            if take_in is not None:
                take_in(self, change)

    # --- DAGs ---------------------------------------------------------------------------------------------

    def _put_version(self, change: PutVersion) -> None:
        version = change.version
        key = (version.dag_id, version.version)
        if key not in self.blueprints:
            self.blueprints.put(key, blueprint_of(version))

    def _put_dag(self, change: PutDag) -> None:
        dag = change.dag
        before = self.dags.get(dag.dag_id)
        self.version_uses.add((dag.dag_id, dag.version), 1)
        self.dags.put(dag.dag_id, dag)
        if before is not None:
            self._release_version(dag.dag_id, before.version)
        if before is not None and before.active:
            self.dags_of.remove(before.file, dag.dag_id)
        if dag.active:
            self.dags_of.add(dag.file, dag.dag_id)
        dues.dag_put(self, dag)

    def _release_version(self, dag_id: str, version: VersionId) -> None:
        self.version_uses.add((dag_id, version), -1)
        if not self.version_uses[dag_id, version]:
            self.blueprints.drop((dag_id, version))

    def _put_file(self, change: PutFile) -> None:
        parsed = change.parsed
        refused = not change.gone and any(
            (dag := self.dags.get(spec.dag_id)) is None or dag.file != parsed.file for spec in parsed.dags
        )
        if refused:
            self.refused.put(parsed.file, parsed)
        else:
            self.refused.drop(parsed.file)

    # --- runs ---------------------------------------------------------------------------------------------

    def _recall(self, change: Recall) -> None:
        """Know an ended run again, until it ends once more."""
        for version in change.versions:
            self._put_version(PutVersion(version=version))
        self._keep_run(change.run)
        for task in change.tasks:
            self._put_task(PutTask(task=task, before=None))

    def _put_run(self, change: PutRun) -> None:
        run, before = change.run, self.runs.get(change.run.key)
        if change.before is None:
            watching.run_made(self, run)
            looks.run_made(self, run)
        self._keep_run(run)
        timeouts.watch_run(self, run)
        lateness.watch_run(self, before, run)
        if run.state.final:
            self._drop_run(run)
        dues.set_timers(self, run.key.dag_id)

    def _keep_run(self, run: Run) -> None:
        """Replace what is known of it, and count it among those of its state and version."""
        key, dag_id = run.key, run.key.dag_id
        before = self.runs.get(key)
        self.version_uses.add((dag_id, run.version), 1)
        if before is None and run.run_type is RunType.MANUAL:
            found = [each for each in (self.asked.get(dag_id), instant_of(key)) if each is not None]
            if found:
                self.asked.put(dag_id, max(found))
        self.runs.put(key, run)
        if before is not None:
            self._release_version(dag_id, before.version)
            self._count_run(before, -1)
            if before.version != run.version:
                self._count_again(key)
        self._count_run(run, 1)

    def _count_run(self, run: Run, number: int) -> None:
        """Among those of its DAG, or of its backfill, which has a limit of its own."""
        if run.backfill is not None:
            self.backfilling.add(run.backfill, 0 if run.state.final else number)
        elif run.state is RunState.RUNNING:
            self.running.add(run.key.dag_id, number)
        elif run.state is RunState.QUEUED:
            change = self.queued.add if number > 0 else self.queued.remove
            change(run.key.dag_id, (run.interval.start, run.key))

    def _drop_run(self, run: Run) -> None:
        watching.run_left(self, run)
        looks.run_left(self, run)
        turns.run_left(self, run)
        for key in list(self.tasks_of.entries(run.key)):
            self._forget_task(key)
        self.runs.drop(run.key)
        self._release_version(run.key.dag_id, run.version)

    # --- task instances -----------------------------------------------------------------------------------

    def _put_task(self, change: PutTask) -> None:
        task, key = change.task, change.task.key
        before = self.tasks.get(key)
        if before is None:
            self.tasks_of.add(key.run, key)
        self._count_instance(before, task)
        self._count_skips(before, task)
        self.ready.drop(key)
        self.tasks.put(key, task)
        timeouts.watch_task(self, task)
        lateness.watch_task(self, task)
        watching.take_task(self, before, task)
        looks.task_put(self, key, task)
        was_open = before is not None and not before.state.final
        if was_open == task.state.final:
            self.unfinished.add(key.run, -1 if task.state.final else 1)
        self._stand_in_line(key, None if before is None else before.state, task.state)
        self._tell_children(key, None if before is None else before.state, task.state)

    def _forget_task(self, key: TaskKey) -> None:
        if self.tasks[key].state is not TaskState.REMOVED:
            self.indexes.remove((key.run, key.task_id), key.map_index)
        self._count_skips(self.tasks[key], None)
        watching.take_task(self, self.tasks[key], None)
        looks.task_put(self, key, None)
        self.tasks.drop(key)
        self.tasks_of.remove(key.run, key)
        self.came_to.drop((key.run, key.task_id))
        self.parents.drop((key.run, key.task_id))

    def _count_instance(self, before: TaskInstance | None, task: TaskInstance) -> None:
        counted = before is not None and before.state is not TaskState.REMOVED
        counts = task.state is not TaskState.REMOVED
        if counted != counts:
            change = self.indexes.add if counts else self.indexes.remove
            change((task.key.run, task.key.task_id), task.key.map_index)

    def _count_skips(self, before: TaskInstance | None, after: TaskInstance | None) -> None:
        """How many choices rule a task out: most are asked about while there is none yet."""
        for task, number in ((before, -1), (after, 1)):
            if task is not None:
                for skipped in task.skips:
                    self.ruled_out.add((task.key.run, skipped), number)

    def _stand_in_line(self, key: TaskKey, before: TaskState | None, after: TaskState) -> None:
        waited, waits = before is TaskState.WAITING, after is TaskState.WAITING
        if waited != waits:
            change = self.waits.add if waits else self.waits.remove
            change((key.run, key.task_id), key.map_index)

    def _tell_children(self, key: TaskKey, before: TaskState | None, after: TaskState) -> None:
        """Count the move of an instance for its task, and for the tasks after it: by task and not by instance,
        since a thousand instances may have a thousand parents each."""
        if before is None or before.final or after.final:
            _move(self.came_to, (key.run, key.task_id), before, after)
            for child in self.blueprint(key.run).children.get(key.task_id, ()):
                if not self.together(key, child):
                    _move(self.parents, (key.run, child), before, after)

    def _count_again(self, run: RunKey) -> None:
        """The parents of a run's tasks, after it was pinned to another version."""
        for key in self.tasks_of.entries(run):
            self.parents.drop((run, key.task_id))
        for task in self.blueprint(run).spec.tasks:
            any_key = TaskKey(run.dag_id, run.run_id, task.task_id)
            outside = [parent for parent in task.upstream if not self.together(any_key, parent)]
            counts = [self.came_to.get((run, parent)) or ParentCounts() for parent in outside]
            _keep(self.parents, (run, task.task_id), reduce(ParentCounts.plus, counts, ParentCounts()))

    def _ready(self, change: Readied) -> None:
        key, spec = change.task, change.spec
        lane, turn = self.claims(key, spec), self.turn(key)
        self.ready.add(key, Ready(spec=spec, lane=lane, turn=turn, since=change.at, cache=change.cache))

    # --- tries --------------------------------------------------------------------------------------------

    def _put_try(self, change: PutTry) -> None:
        attempt = change.attempt
        before = self.tries.get(attempt.try_id)
        self._claim(before, attempt)
        self._await_collection(attempt)
        if attempt.removed_at is not None:
            self.tries.drop(attempt.try_id)
        else:
            self.tries.put(attempt.try_id, attempt)
        if attempt.outcome is None:
            self.open_try.put(attempt.key.task, attempt.try_id)
            timeouts.watch_try(self, attempt)
        elif self.open_try.get(attempt.key.task) == attempt.try_id:
            self.open_try.drop(attempt.key.task)
            self.timers.set(TimerKind.TIMEOUT, attempt.try_id, None)

    def _await_collection(self, attempt: Try) -> None:
        """Remember the newest ended try of an instance until it is collected."""
        task = attempt.key.task
        if attempt.outcome is not None and attempt.removed_at is None:
            self.collecting.put(task, attempt.try_id)
        elif self.collecting.get(task) == attempt.try_id:
            self.collecting.drop(task)

    def _claim(self, before: Try | None, attempt: Try) -> None:
        """Take of the limits what an open try takes; give it back at its end."""
        held = before is not None and before.outcome is None
        holds = attempt.outcome is None
        if held != holds:
            claims = self.claims(attempt.key.task, attempt.spec)
            for claim in claims:
                self.used.add(claim.scope, claim.need if holds else -claim.need)
            if holds:
                turns.taken(self, attempt, claims)

    # --- the rest -----------------------------------------------------------------------------------------

    def _put_backfill(self, change: PutBackfill) -> None:
        backfill = change.backfill
        looks.backfill_put(self, backfill)
        if backfill.ended_at is None:
            self.backfills.put(backfill.id, backfill)
        else:
            self.backfills.drop(backfill.id)

    def _put_pool(self, change: PutPool) -> None:
        self.pools.put(change.pool.name, change.pool)

    def _drop_pool(self, change: DropPool) -> None:
        self.pools.drop(change.name)

    def _size(self, change: Sized) -> None:
        self.engine.put(DEFAULT_ENGINE, change.capacity)

    def _spare(self, change: Spared) -> None:
        timeouts.spare(self, change.sparing)

    def _look_back(self, change: LookBack) -> None:
        looks.asked(self, change)
        if isinstance(change.asker, RunKey) and change.asker in self.runs:
            watching.learn(self, change.asker, Before(asked=True))

    def _learn(self, change: Learnt) -> None:
        watching.learn(self, change.run, change.before)

    def _answer(self, change: Answered) -> None:
        self.answered.put(change.request.id, value=True)
        self.questions.drop(change.request.id)
        self.answered.drop(change.request.id - _REMEMBERED)

    #: How each kind of change is taken in; effects are not.
    _TAKEN_IN: ClassVar[Mapping[type[Change], Callable[["World", Any], None]]] = {
        PutTask: _put_task,
        PutTry: _put_try,
        PutRun: _put_run,
        PutDag: _put_dag,
        PutVersion: _put_version,
        PutFile: _put_file,
        PutPool: _put_pool,
        PutBackfill: _put_backfill,
        PutAssetEvent: dues.take_event,
        PutGathered: dues.take_gathered,
        DropPool: _drop_pool,
        Readied: _ready,
        Sized: _size,
        Spared: _spare,
        Recall: _recall,
        Answered: _answer,
        LookBack: _look_back,
        Learnt: _learn,
    }


_Counts = Table[tuple[RunKey, str], ParentCounts]


def _move(counts: _Counts, of: tuple[RunKey, str], before: TaskState | None, after: TaskState) -> None:
    _keep(counts, of, (counts.get(of) or ParentCounts()).moved(before, after))


def _keep(counts: _Counts, of: tuple[RunKey, str], number: ParentCounts) -> None:
    if number.total:
        counts.put(of, number)
    else:
        counts.drop(of)
