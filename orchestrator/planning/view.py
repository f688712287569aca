"""The read side of the world: what the leader knows now, indexed for the questions that `decide` asks."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from orchestrator.ids import RunKey, TaskKey, TryId, VersionId
from orchestrator.planning.blueprint import Blueprint
from orchestrator.planning.history import BackfillStep, Before, Question
from orchestrator.planning.lanes import Lanes, Turn
from orchestrator.planning.lapses import Sparing
from orchestrator.planning.limits import Lane, Scope, claims_of
from orchestrator.planning.rows import Backfill, Dag, Pool, Run, Stretch, TaskInstance, Try
from orchestrator.planning.rules import ParentCounts
from orchestrator.planning.tables import Shelf, Table, Tally
from orchestrator.planning.timers import Timers
from orchestrator.spec.container import ContainerSpec, EngineCapacity
from orchestrator.spec.dag import DagSpec, ParsedFile, TaskSpec
from orchestrator.states import TaskState

#: The name of the one engine there is.
DEFAULT_ENGINE = "default"
#: By how much priority puts a sensor that looks again before others of its kind at most, or behind them: seconds.
_MOST_AHEAD = 3600


class Moment(NamedTuple):
    """All runs of a DAG with one logical date."""

    dag_id: str
    date: datetime


#: What may be waited for outside of one's own run.
Watched = RunKey | Moment


class View:
    """All DAGs, all open runs with their task instances, all tries that are open or not fully collected."""

    def __init__(self) -> None:
        self.dags: Table[str, Dag] = Table()
        self.blueprints: Table[tuple[str, VersionId], Blueprint] = Table()
        self.runs: Table[RunKey, Run] = Table()
        self.tasks: Table[TaskKey, TaskInstance] = Table()
        self.tries: Table[TryId, Try] = Table()
        self.pools: Table[str, Pool] = Table()
        # what follows from those rows
        self.dags_of: Shelf[str, str] = Shelf()  #: ids of the active DAGs of a file
        self.parents: Table[tuple[RunKey, str], ParentCounts] = Table()  #: of a task, but for those in its unit
        self.waits: Shelf[tuple[RunKey, str], int] = Shelf()  #: which of a task's instances are waiting
        self.came_to: Table[tuple[RunKey, str], ParentCounts] = Table()  #: of all instances of a task
        self.ruled_out: Tally[tuple[RunKey, str]] = Tally()  #: choices against a task
        self.unfinished: Tally[RunKey] = Tally()  #: task instances that are not final
        self.used: Tally[Scope] = Tally()  #: what open tries take of each limit
        self.running: Tally[str] = Tally()  #: runs of a DAG that are running
        self.queued: Shelf[str, tuple[datetime, RunKey]] = Shelf()  #: runs of a DAG that are held back
        self.tasks_of: Shelf[RunKey, TaskKey] = Shelf()
        self.indexes: Shelf[tuple[RunKey, str], int] = Shelf()  #: of a task's instances that count
        self.open_try: Table[TaskKey, TryId] = Table()
        self.collecting: Table[TaskKey, TryId] = Table()  #: newest try that ended and is not collected
        self.timers: Timers = Timers()
        self.version_uses: Tally[tuple[str, VersionId]] = Tally()
        self.gathered: Table[tuple[str, str], Stretch] = Table()  #: of a DAG and an asset: events not consumed yet
        self.awaited: Table[str, frozenset[str]] = Table()  #: of a DAG: the assets that its schedule waits for
        self.consumers: Shelf[str, str] = Shelf()  #: ids of the DAGs that wait for an asset, whatever their state
        self.newest_event: Table[None, datetime] = Table()  #: the instant of the newest of all events
        self.watchers: Shelf[Watched, TaskKey] = Shelf()  #: who waits for a run, or for those of a DAG and date
        # in memory only
        self.engine: Table[str, EngineCapacity] = Table()  #: how much it has, once it has told
        self.sparing: Table[str, Sparing] = Table()  #: of time-outs
        self.ready: Lanes = Lanes()  #: prepared, waiting for the limits
        self.looked: Table[Scope, RunKey] = Table()  #: of what a sensor that looked again was the last to take
        self.refused: Table[str, ParsedFile] = Table()  #: files that claim a DAG id another file holds
        self.answered: Table[int, bool] = Table()
        self.backfills: Table[int, Backfill] = Table()  #: those that have not ended
        self.backfilling: Tally[int] = Tally()  #: open runs of a backfill
        self.questions: Table[int | BackfillStep | TaskKey, Question] = Table()  #: of whom: `looks`
        self.before: Table[RunKey, Before] = Table()  #: what came before a run, where something depends on it
        self.followers: Shelf[RunKey, RunKey] = Shelf()  #: the runs that a run came before
        self.asked: Table[str, datetime] = Table()  #: the newest instant in the id of a DAG's manual run

    @property
    def spared(self) -> Sparing:
        """What time-outs are to be spared."""
        return self.sparing.get(DEFAULT_ENGINE) or Sparing()

    @property
    def capacity(self) -> EngineCapacity | None:
        """How much the engine has; None until it has told."""
        return self.engine.get(DEFAULT_ENGINE)

    def next_due(self) -> datetime | None:
        """The earliest instant at which time alone asks for a decision; may lie in the past."""
        return self.timers.first()

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

    def sizes_wanted(self, key: TaskKey) -> frozenset[str]:
        """Which parts of a task instance's result something is mapped over; `""` is the whole."""
        return self.blueprint(key.run).sizes.get(key.task_id, frozenset())

    def claims(self, key: TaskKey, spec: ContainerSpec) -> Lane:
        """What a task instance takes of each limit while a try of it runs this container."""
        blueprint = self.blueprint(key.run)
        return claims_of(blueprint.spec, blueprint.tasks[key.task_id], key, spec)

    def turn(self, key: TaskKey) -> Turn:
        """A task instance's place in the order of admission. Of sensors that look again, the one that has waited
        longest goes first; each point of priority counts for a second, up to an hour, so none waits for ever."""
        blueprint, task = self.blueprint(key.run), self.tasks[key]
        priority, place = blueprint.priority[key.task_id], blueprint.place[key.task_id]
        if task.pokes and task.queued_at is not None:
            ahead = max(-_MOST_AHEAD, min(_MOST_AHEAD, priority))
            return True, 0, task.queued_at - timedelta(seconds=ahead), place, key
        return False, -priority, self.runs[key.run].interval.start, place, key

    def instances(self, run: RunKey, task_id: str) -> list[TaskKey]:
        """A task's instances in a run, in order; without those that were removed."""
        return [TaskKey(run.dag_id, run.run_id, task_id, index) for index in self.indexes.entries((run, task_id))]

    def concerned(self, task: TaskInstance) -> Iterator[TaskKey]:
        """The instances that wait and whose judgement may follow from the end of this one: its children, those that
        its choice rules out, and those that a setup, a teardown or a map ties to it."""
        blueprint, run = self.blueprint(task.key.run), task.key.run
        for child in blueprint.children.get(task.key.task_id, ()):
            counts = self.parents.get((run, child)) or ParentCounts()
            if self.together(task.key, child) or counts.changed_by(task.state):
                yield from self._waiting(task.key, child)
        for task_id in (*task.skips, *blueprint.listeners.get(task.key.task_id, ())):
            yield from self._waiting(task.key, task_id)

    def is_waiting(self, key: TaskKey) -> bool:
        task = self.tasks.get(key)
        return task is not None and task.state is TaskState.WAITING

    def parent_counts(self, key: TaskKey) -> ParentCounts:
        """How the instances ended that this one depends on directly. Those outside its unit are the same for all
        instances of its task, and counted once."""
        counts = self.parents.get((key.run, key.task_id)) or ParentCounts()
        if key.task_id in self.blueprint(key.run).units:
            for parent in self.task_spec(key).upstream:
                if self.together(key, parent) and (task := self.tasks.get(self.beside(key, parent))) is not None:
                    counts = counts.moved(None, task.state)
        return counts

    def parents_of(self, key: TaskKey) -> Iterator[TaskInstance]:
        """The instances that this one depends on directly."""
        for parent in self.task_spec(key).upstream:
            for related in self.related(key, parent):
                task = self.tasks.get(related)
                if task is not None:
                    yield task

    def waiting(self, run: RunKey) -> list[TaskKey]:
        """All instances of a run that wait for others."""
        return [key for key in self.tasks_of.entries(run) if self.tasks[key].state is TaskState.WAITING]

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

    def related(self, key: TaskKey, task_id: str) -> list[TaskKey]:
        """The instances of another task that an instance has to do with: of one that is expanded with it the one
        of the same index (which may not be there yet), of any other all."""
        return [self.beside(key, task_id)] if self.together(key, task_id) else self.instances(key.run, task_id)

    def together(self, key: TaskKey, task_id: str) -> bool:
        """Whether another task is expanded with that of this instance."""
        units = self.blueprint(key.run).units
        unit = units.get(key.task_id)
        return unit is not None and units.get(task_id) is unit

    def beside(self, key: TaskKey, task_id: str) -> TaskKey:
        """The instance of another task that has the same index; it may not be there."""
        return TaskKey(key.dag_id, key.run_id, task_id, key.map_index)

    def _waiting(self, key: TaskKey, task_id: str) -> Iterator[TaskKey]:
        """Those of the instances that another one has to do with (`related`) that wait."""
        if self.together(key, task_id):
            beside = self.beside(key, task_id)
            return iter((beside,) if self.is_waiting(beside) else ())
        indexes = list(self.waits.entries((key.run, task_id)))
        return (TaskKey(key.dag_id, key.run_id, task_id, index) for index in indexes)
