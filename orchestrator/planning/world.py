"""The world: what the leader knows now, in memory, indexed for the questions that `decide` asks.

`apply` is the only way anything changes, one change at a time, and it needs nothing but the change: so the same
code builds the world from rows, keeps it up after a commit, and runs on a fork where `decide` tries things out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from orchestrator.ids import RunKey, TaskKey, TryId, VersionId
from orchestrator.planning.blueprint import Blueprint, blueprint_of
from orchestrator.planning.changes import (
    Answered,
    Change,
    PutDag,
    PutFile,
    PutRun,
    PutTask,
    PutTry,
    PutVersion,
    Readied,
)
from orchestrator.planning.limits import Lane, Scope, claims_of
from orchestrator.planning.rows import Dag, DagVersion, Pool, Run, TaskInstance, Try, instant_of
from orchestrator.planning.rules import ParentCounts
from orchestrator.planning.tables import Shelf, Table, Tally
from orchestrator.spec.container import ContainerSpec
from orchestrator.spec.dag import DagSpec, ParsedFile, TaskSpec
from orchestrator.states import RunState, RunType, TaskState
from orchestrator.timetables import Past

#: How many answered requests are remembered, so that one told of twice is answered once.
_REMEMBERED = 4096


class TimerKind(StrEnum):
    """What an instant may be waited for."""

    SCHEDULE = "schedule"  #: of a DAG id: its next run may be due
    RETRY = "retry"  #: of a task key: its delay ends
    TIMEOUT = "timeout"  #: of a try id: its start_timeout, then its execution_timeout
    RUN_TIMEOUT = "run_timeout"  #: of a run key: its dagrun_timeout


#: When, what, and of what (of one kind, so comparable).
Timer = tuple[datetime, TimerKind, Any]
#: Order of admission: priority (negative), logical date, topological order.
Turn = tuple[int, datetime, int, TaskKey]


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


class World:
    """All DAGs, all open runs with their task instances, all tries that are open or not fully collected. Empty
    until rows are applied. Read it freely; only `apply` changes it."""

    def __init__(self) -> None:
        self.dags: Table[str, Dag] = Table()
        self.blueprints: Table[tuple[str, VersionId], Blueprint] = Table()
        self.runs: Table[RunKey, Run] = Table()
        self.tasks: Table[TaskKey, TaskInstance] = Table()
        self.tries: Table[TryId, Try] = Table()
        self.pools: Table[str, Pool] = Table()
        # what follows from those rows
        self.dags_of: Shelf[str, str] = Shelf()  #: ids of the active DAGs of a file
        self.parents: Table[TaskKey, ParentCounts] = Table()  #: of waiting task instances
        self.unfinished: Tally[RunKey] = Tally()  #: task instances that are not final
        self.used: Tally[Scope] = Tally()  #: what open tries take of each limit
        self.running: Tally[str] = Tally()  #: runs of a DAG that are running
        self.queued: Shelf[str, tuple[datetime, RunKey]] = Shelf()  #: runs of a DAG that are held back
        self.tasks_of: Shelf[RunKey, TaskKey] = Shelf()
        self.open_try: Table[TaskKey, TryId] = Table()
        self.timers: Shelf[None, Timer] = Shelf()
        self.version_uses: Tally[tuple[str, VersionId]] = Tally()
        self._due: Table[tuple[TimerKind, Any], datetime] = Table()
        # in memory only
        self.ready: Table[TaskKey, ContainerSpec] = Table()  #: prepared, waiting for the limits
        self.lanes: Shelf[Lane, Turn] = Shelf()  #: the same in order, by claims
        self.heads: Shelf[None, tuple[Turn, Lane]] = Shelf()  #: the first of each lane
        self.refused: Table[str, ParsedFile] = Table()  #: files that claim a DAG id another file holds
        self.answered: Table[int, bool] = Table()
        self.asked: Table[str, datetime] = Table()  #: the newest instant in the id of a DAG's manual run

    # building --------------------------------------------------------------------------------------------

    @classmethod
    def of(cls, rows: Rows) -> "World":
        """The world that these rows tell of."""
        world = cls()
        for pool in rows.pools:
            world.pools.put(pool.name, pool)
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
            self._apply(change)

    # questions -------------------------------------------------------------------------------------------

    def next_due(self) -> datetime | None:
        """The earliest instant at which time alone asks for a decision; may lie in the past."""
        timer = self.timers.first(None)
        return None if timer is None else timer[0]

    def due_timers(self, now: datetime) -> list[Timer]:
        """All timers that have come, earliest first."""
        due = []
        for timer in self.timers.entries(None):
            if timer[0] > now:
                break
            due.append(timer)
        return due

    def waits_until(self, kind: TimerKind, of: Any) -> datetime | None:
        """When the one timer of this kind and thing runs out; None if there is none."""
        return self._due.get((kind, of))

    def blueprint(self, run: RunKey) -> Blueprint:
        """Of the version an open run is pinned to."""
        return self.blueprints[run.dag_id, self.runs[run].version]

    def current(self, dag_id: str) -> Blueprint:
        """Of a DAG's newest version."""
        return self.blueprints[dag_id, self.dags[dag_id].version]

    def dag_spec(self, run: RunKey) -> DagSpec:
        return self.blueprint(run).spec

    def task_spec(self, key: TaskKey) -> TaskSpec:
        """Of a task instance of an open run."""
        return self.blueprint(key.run).tasks[key.task_id]

    def claims(self, key: TaskKey) -> Lane:
        blueprint = self.blueprint(key.run)
        return claims_of(blueprint.spec, blueprint.tasks[key.task_id], key)

    def children(self, key: TaskKey) -> Iterator[TaskKey]:
        """Direct children of a task instance, in the same run."""
        for child in self.blueprint(key.run).children[key.task_id]:
            yield TaskKey(key.dag_id, key.run_id, child)

    def open_tries(self) -> tuple[Try, ...]:
        """Tries without an outcome."""
        return tuple(attempt for attempt in self.tries.values() if attempt.outcome is None)

    def schedule_waits(self, dag_id: str) -> bool:
        """Whether a next scheduled run is not even made yet: enough of them are held back as it is, or the
        schedule wants one at a time."""
        blueprint, queued = self.current(dag_id), self.queued.count(dag_id)
        if blueprint.timetable.one_at_a_time:
            return queued + self.running[dag_id] > 0
        return queued >= blueprint.spec.max_active_runs

    # changes ---------------------------------------------------------------------------------------------

    def _apply(self, change: Change) -> None:
        match change:
            case PutTask():
                self._put_task(change.task)
            case PutTry():
                self._put_try(change.attempt)
            case PutRun():
                self._put_run(change.run)
            case PutDag():
                self._put_dag(change.dag)
            case PutVersion():
                self._put_version(change.version)
            case PutFile():
                self._put_file(change)
            case Readied():
                self._ready(change)
            case Answered():
                self.answered.put(change.request.id, value=True)
                self.answered.drop(change.request.id - _REMEMBERED)
            case _:
                pass

    def _put_version(self, version: DagVersion) -> None:
        key = (version.dag_id, version.version)
        if key not in self.blueprints:
            self.blueprints.put(key, blueprint_of(version))

    def _put_dag(self, dag: Dag) -> None:
        before = self.dags.get(dag.dag_id)
        self.version_uses.add((dag.dag_id, dag.version), 1)
        self.dags.put(dag.dag_id, dag)
        if before is not None:
            self._release_version(dag.dag_id, before.version)
        if before is not None and before.active:
            self.dags_of.remove(before.file, dag.dag_id)
        if dag.active:
            self.dags_of.add(dag.file, dag.dag_id)
        self._reschedule(dag.dag_id)

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

    def _put_run(self, run: Run) -> None:
        key, dag_id = run.key, run.key.dag_id
        before = self.runs.get(key)
        if before is None:
            self.version_uses.add((dag_id, run.version), 1)
            if run.run_type is RunType.MANUAL:
                self.asked.put(dag_id, instant_of(key))
        elif before.state is RunState.QUEUED:
            self.queued.remove(dag_id, (before.interval.start, key))
        else:
            self.running.add(dag_id, -1)
        self.runs.put(key, run)
        if run.state is RunState.QUEUED:
            self.queued.add(dag_id, (run.interval.start, key))
        elif run.state is RunState.RUNNING:
            self.running.add(dag_id, 1)
        self._set_timer(TimerKind.RUN_TIMEOUT, key, self._run_deadline(run))
        if run.state.final:
            self._drop_run(run)
        self._reschedule(dag_id)

    def _run_deadline(self, run: Run) -> datetime | None:
        limit = self.dag_spec(run.key).dagrun_timeout
        over = run.state is not RunState.RUNNING or run.reason is not None
        return None if over or limit is None or run.started_at is None else run.started_at + limit

    def _drop_run(self, run: Run) -> None:
        for key in list(self.tasks_of.entries(run.key)):
            self.tasks.drop(key)
            self.tasks_of.remove(run.key, key)
        self.runs.drop(run.key)
        self._release_version(run.key.dag_id, run.version)

    def _put_task(self, task: TaskInstance) -> None:
        key = task.key
        before = self.tasks.get(key)
        if before is None:
            self.tasks_of.add(key.run, key)
        held = before is not None and before.state.holds_slot
        if held != task.state.holds_slot:
            for claim in self.claims(key):
                self.used.add(claim.scope, claim.need if task.state.holds_slot else -claim.need)
        self._unready(key)
        self.tasks.put(key, task)
        self._set_timer(TimerKind.RETRY, key, task.due_at if task.state is TaskState.UP_FOR_RETRY else None)
        self._count_parents(task)
        was_open = before is not None and not before.state.final
        if was_open == task.state.final:
            self.unfinished.add(key.run, -1 if task.state.final else 1)
        if task.state.final and (before is None or was_open):
            self._tell_children(task)

    def _count_parents(self, task: TaskInstance) -> None:
        """Of a new waiting instance; of one that waits no more, forget."""
        if task.state is not TaskState.WAITING:
            self.parents.drop(task.key)
        elif task.key not in self.parents:
            upstream = self.task_spec(task.key).upstream
            counts = ParentCounts(total=len(upstream))
            for task_id in upstream:
                parent = self.tasks.get(TaskKey(task.key.dag_id, task.key.run_id, task_id))
                if parent is not None and parent.state.final:
                    counts = counts.having(parent.state)
            self.parents.put(task.key, counts)

    def _tell_children(self, task: TaskInstance) -> None:
        for child in self.children(task.key):
            counts = self.parents.get(child)
            if counts is not None:
                self.parents.put(child, counts.having(task.state))

    def _put_try(self, attempt: Try) -> None:
        if attempt.removed_at is not None:
            self.tries.drop(attempt.try_id)
        else:
            self.tries.put(attempt.try_id, attempt)
        if attempt.outcome is None:
            self.open_try.put(attempt.key.task, attempt.try_id)
            self._set_timer(TimerKind.TIMEOUT, attempt.try_id, self._deadline(attempt))
        elif self.open_try.get(attempt.key.task) == attempt.try_id:
            self.open_try.drop(attempt.key.task)
            self._set_timer(TimerKind.TIMEOUT, attempt.try_id, None)

    def _deadline(self, attempt: Try) -> datetime | None:
        task = self.task_spec(attempt.key.task)
        if attempt.started_at is None:
            since, limit = attempt.intended_at, task.start_timeout
        else:
            since, limit = attempt.started_at, task.execution_timeout
        return None if limit is None or attempt.stop_requested_at is not None else since + limit

    def _ready(self, change: Readied) -> None:
        self.ready.put(change.task, change.spec)
        self._change_lane(self.lanes.add, change.task)

    def _unready(self, key: TaskKey) -> None:
        if key in self.ready:
            self.ready.drop(key)
            self._change_lane(self.lanes.remove, key)

    def _change_lane(self, change: Callable[[Lane, Turn], None], key: TaskKey) -> None:
        lane = self.claims(key)
        before = self.lanes.first(lane)
        change(lane, self._turn(key))
        after = self.lanes.first(lane)
        if before != after:
            if before is not None:
                self.heads.remove(None, (before, lane))
            if after is not None:
                self.heads.add(None, (after, lane))

    def _turn(self, key: TaskKey) -> Turn:
        blueprint = self.blueprint(key.run)
        logical_date = self.runs[key.run].interval.start
        return -blueprint.priority[key.task_id], logical_date, blueprint.place[key.task_id], key

    def _set_timer(self, kind: TimerKind, of: Any, due: datetime | None) -> None:
        before = self._due.get((kind, of))
        if before == due:
            return
        if before is not None:
            self.timers.remove(None, (before, kind, of))
            self._due.drop((kind, of))
        if due is not None:
            self.timers.add(None, (due, kind, of))
            self._due.put((kind, of), due)

    def _reschedule(self, dag_id: str) -> None:
        dag = self.dags[dag_id]
        due = None
        if dag.active and not dag.paused and not self.schedule_waits(dag_id):
            blueprint = self.current(dag_id)
            past = Past(last=dag.last, since=dag.since or blueprint.version.created_at, catchup=True)
            due = blueprint.timetable.due_at(past)
        self._set_timer(TimerKind.SCHEDULE, dag_id, due)


def contents(world: World) -> Mapping[str, Any]:
    """What follows from rows, as plain values: equal for worlds that know the same."""
    tables = ("dags", "runs", "tasks", "tries", "parents", "unfinished", "used", "running", "open_try")
    return {
        **{name: dict(getattr(world, name).items()) for name in tables},
        "blueprints": {key for key, _ in world.blueprints.items()},
        **{
            name: {group: list(getattr(world, name).entries(group)) for group in getattr(world, name).groups()}
            for name in ("dags_of", "queued", "tasks_of")
        },
        "timers": list(world.timers.entries(None)),
    }
