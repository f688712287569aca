"""What may be read: the other half of `actions`, for every face alike."""

import difflib
import heapq
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from orchestrator.asset_views import AssetView, EventView, asset_of, assets_of, consumed_by, newest_events
from orchestrator.errors import NotFoundError, RequestRefusedError, TimetableError, unknown_dag
from orchestrator.ids import UNMAPPED, RunKey, TaskKey, VersionId, instance_named
from orchestrator.planning.admission import DEFAULT_POOL
from orchestrator.planning.backfills import Asked, Step, doubts_of, plan_of, problem_of
from orchestrator.planning.backfills import wanted_by as range_of
from orchestrator.planning.blueprint import Blueprint, blueprint_of
from orchestrator.planning.rows import Backfill, Dag, DagVersion, Interval, RequestKind, Run, TaskInstance, Try
from orchestrator.planning.selection import Selection
from orchestrator.ports import FileRecord, Leading, LogRecord, LogStore, Page, Store
from orchestrator.selection_views import Meant, meant_by, warnings_of, why_none
from orchestrator.spec.dag import DagSpec, Problem
from orchestrator.spec.value import Value
from orchestrator.states import RunState, TaskState
from orchestrator.timetables import read_date, timetable_for, zone_named
from orchestrator.timetables.timetable import Past

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
#: Running runs of a DAG that are looked through.
_OPEN_RUNS = 1000


class Coming(Value, frozen=True, kw_only=True):
    """A scheduled run to be made, as if its DAG were not paused: due when its interval has ended."""

    dag: Dag
    spec: DagSpec
    interval: Interval


class DagView(Value, frozen=True, kw_only=True):
    """A DAG with its current version, its newest run, and its next scheduled one (None: none by itself)."""

    dag: Dag
    spec: DagSpec
    last_run: Run | None
    next_run: Coming | None


class RunView(Value, frozen=True, kw_only=True):
    """A run with its task instances in topological order, and all their tries."""

    run: Run
    spec: DagSpec
    tasks: tuple[TaskInstance, ...]
    tries: tuple[Try, ...]
    results: dict[str, Any]


class BackfillView(Value, frozen=True, kw_only=True):
    """A backfill and how its runs stand: `done` have ended, `failed` of them badly."""

    backfill: Backfill
    done: int
    running: int
    failed: int

    @property
    def state(self) -> str:
        """In a word: running, paused, cancelled, or done."""
        if self.backfill.ended_at is not None:
            return "cancelled" if self.backfill.cancelled_by else "done"
        return "paused" if self.backfill.paused else "running"


class PoolView(Value, frozen=True, kw_only=True):
    """A pool, how many of its slots are taken now, and the active DAGs whose tasks name it."""

    name: str
    slots: int
    taken: int
    used_by: tuple[str, ...]


class Queries:
    """Reads of one deployment. Raises `NotFoundError` naming the nearest known, and `StoreError`."""

    def __init__(self, store: Store, logs: LogStore, *, catchup_by_default: bool = False) -> None:
        self._store = store
        self._logs = logs
        self._catchup_by_default = catchup_by_default

    def dags(self, now: datetime) -> tuple[DagView, ...]:
        return tuple(self._view(dag, now) for dag in self._store.dags())

    def dag(self, dag_id: str, now: datetime) -> DagView:
        dag = self._store.dag(dag_id)
        if dag is None:
            raise self._unknown_dag(dag_id)
        return self._view(dag, now)

    def files(self) -> tuple[FileRecord, ...]:
        return self._store.files()

    def problems(self) -> tuple[Problem, ...]:
        """What the newest parses found, errors first."""
        found = [problem for record in self._store.files() for problem in record.parsed.problems]
        return tuple(sorted(found, key=lambda problem: (problem.severity, problem.file, problem.line or 0)))

    def broken(self, dag_id: str) -> tuple[Problem, ...]:
        """Errors in the file of a known DAG, which then runs as it was before them."""
        dag = self._store.dag(dag_id)
        parsed = [each.parsed for each in self._store.files() if dag is not None and each.parsed.file == dag.file]
        return parsed[0].errors if parsed else ()

    def runs(self, dag_id: str | None, page: Page, states: tuple[RunState, ...] = ()) -> tuple[Run, ...]:
        return self._store.runs(dag_id, page, states)

    def run_key(self, dag_id: str, run: str | None) -> RunKey:
        """The run named by its id, by its logical date (the newest run of it), or with None the newest run."""
        return self.run_keys(dag_id, run)[0]

    def run_keys(self, dag_id: str, run: str | None) -> tuple[RunKey, ...]:
        """The runs that a person may mean: one, but for a date that several have; the newest first."""
        if run is not None and self._store.run(RunKey(dag_id, run)) is not None:
            return (RunKey(dag_id, run),)
        found = self._store.runs(dag_id, Page(limit=1)) if run is None else self._of_date(dag_id, run)
        if found:
            return tuple(each.key for each in found)
        if self._store.dag(dag_id) is None:
            raise self._unknown_dag(dag_id)
        raise NotFoundError(
            "run", f"{dag_id} {run or ''}".strip(), fix=f"`orchestrator runs list {dag_id}` shows its runs"
        )

    def _of_date(self, dag_id: str, text: str) -> tuple[Run, ...]:
        """Runs of the interval that a date names; a day names every run of that day, by the DAG's clocks."""
        dag = self._store.dag(dag_id)
        if dag is None:
            return ()
        spec = self._version(dag_id, dag.version)
        zone = zone_named(spec.timezone)
        try:
            instant = read_date(text, zone)
        except TimetableError:
            return ()
        start = timetable_for(spec).interval_for(instant).start
        day = instant.astimezone(zone).date()
        last = instant if len(text) > len("2024-05-01") else read_date((day + timedelta(days=1)).isoformat(), zone)
        return self._store.runs_between(dag_id, start, max(last, instant + timedelta(microseconds=1)))

    def run(self, key: RunKey) -> RunView:
        run = self._store.run(key)
        if run is None:
            raise NotFoundError("run", f"{key.dag_id} {key.run_id}", fix="`orchestrator runs list` shows all")
        spec = self._version(key.dag_id, run.version)
        order = {task.task_id: place for place, task in enumerate(spec.tasks)}
        tasks = sorted(
            _standing(self._store.tasks(key)), key=lambda task: (order.get(task.key.task_id, -1), task.key)
        )
        tries: dict[TaskKey, list[Try]] = {}
        for attempt in self._store.tries_of_run(key):
            tries.setdefault(attempt.key.task, []).append(attempt)
        return RunView(
            run=run,
            spec=spec,
            tasks=tuple(tasks),
            tries=tuple(attempt for task in tasks for attempt in tries.get(task.key, ())),
            results=self._results(tasks),
        )

    def _results(self, tasks: Sequence[TaskInstance]) -> dict[str, Any]:
        """By task; of a mapped one the list of all, as it is pulled."""
        mapped = dict.fromkeys(task.key.task_id for task in tasks if task.key.map_index != UNMAPPED)
        found = {task.key.task_id: self.result(task.key) for task in tasks if task.key.task_id not in mapped}
        for task_id in mapped:
            results = self._store.results(tasks[0].key.run, task_id)
            found[task_id] = [msgspec.json.decode(data) for data in results]
        return found

    def task_key(self, run: RunKey, name: str, map_index: int = UNMAPPED) -> TaskKey:
        """A task instance of a run, `task` or `task[3]`; `NotFoundError` naming the nearest."""
        task_id, index = instance_named(name, map_index)
        keys = [task.key for task in _standing(self._store.tasks(run))]
        wanted = TaskKey(run.dag_id, run.run_id, task_id, index)
        if wanted in keys:
            return wanted
        indexes = [key.map_index for key in keys if key.task_id == task_id and key.map_index != UNMAPPED]
        if indexes:
            fix = f"it is mapped: name one of {task_id}[{min(indexes)}] to {task_id}[{max(indexes)}]"
            raise NotFoundError("task", name, fix=fix)
        names = list(dict.fromkeys(key.task_id for key in keys))
        nearest = difflib.get_close_matches(task_id, names, n=1)
        raise NotFoundError(
            "task", name, nearest=nearest[0] if nearest else None, fix=f"the run has: {', '.join(names)}"
        )

    def dates(self, dag_id: str, start: str, end: str) -> tuple[datetime, datetime]:
        """Two dates given by hand, in the DAG's zone where they have none. `TimetableError`."""
        dag = self._store.dag(dag_id)
        if dag is None:
            raise self._unknown_dag(dag_id)
        zone = zone_named(self._version(dag_id, dag.version).timezone)
        return read_date(start, zone), read_date(end, zone)

    def meant(self, selection: Selection, kind: RequestKind) -> tuple[Meant, ...]:
        """The task instances that a request means, by the rules by which the leader takes it; where they are to be
        cleared, also what runs again with them."""
        return meant_by(self._store, selection, kind)

    def unmeant(self, selection: Selection, kind: RequestKind) -> str:
        """What is to be said of a selection that means nothing."""
        return why_none(self._store, selection, kind)

    def rerun_doubts(
        self, selection: Selection, kind: RequestKind, kept: Mapping[RunState, timedelta], now: datetime
    ) -> tuple[str, ...]:
        """Warnings about what is meant; `kept`: how long the volumes of runs stay after their end."""
        return warnings_of(self._store, selection, kind, kept, now)

    def backfill_plan(self, asked: Asked) -> tuple[Step, ...]:
        """What a backfill would do, by the rules by which the leader does it. `RequestRefusedError`."""
        blueprint = self._blueprint(asked.dag_id)
        if problem := problem_of(asked, blueprint):
            raise RequestRefusedError(problem)
        return plan_of(asked, blueprint, self._store.past_runs(range_of(asked, blueprint)))

    def backfill_doubts(self, asked: Asked) -> tuple[str, ...]:
        """Warnings about a backfill that there can be."""
        return doubts_of(asked, self._blueprint(asked.dag_id))

    def _blueprint(self, dag_id: str) -> Blueprint:
        dag = self._store.dag(dag_id)
        if dag is None:
            raise self._unknown_dag(dag_id)
        spec, since = self._version(dag_id, dag.version), dag.since or _LONG_AGO
        return blueprint_of(DagVersion(dag_id=dag_id, version=dag.version, spec=spec, created_at=since))

    def backfills(self, limit: int) -> tuple[BackfillView, ...]:
        """The newest first."""
        return tuple(self._backfill(each) for each in self._store.backfills(limit))

    def backfill(self, number: int) -> BackfillView:
        found = self._store.backfill(number)
        if found is None:
            raise NotFoundError("backfill", str(number), fix="`orchestrator backfill list` shows all")
        return self._backfill(found)

    def _backfill(self, backfill: Backfill) -> BackfillView:
        states = self._store.backfill_runs(backfill.id)
        failed = states.get(RunState.FAILED, 0)
        return BackfillView(
            backfill=backfill,
            done=failed + states.get(RunState.SUCCESS, 0),
            running=states.get(RunState.RUNNING, 0),
            failed=failed,
        )

    def leading(self) -> Leading:
        """Who leads, and who stands by."""
        return self._store.leading()

    def pools(self, default_slots: int) -> tuple[PoolView, ...]:
        """Every pool, the default one included, with what open tries take of it."""
        found = {pool.name: pool.slots for pool in self._store.pools()}
        taken: dict[str, int] = {}
        users: dict[str, set[str]] = {}
        for dag in (each for each in self._store.dags() if each.active):
            for task in self._version(dag.dag_id, dag.version).tasks:
                users.setdefault(task.pool, set()).add(dag.dag_id)
        for run in self._store.runs(None, Page(limit=1000), (RunState.RUNNING,)):
            specs = {task.task_id: task for task in self._version(run.key.dag_id, run.version).tasks}
            for instance in self._store.tasks(run.key):
                if instance.state.holds_slot:
                    spec = specs[instance.key.task_id]
                    taken[spec.pool] = taken.get(spec.pool, 0) + spec.pool_slots
        return tuple(
            PoolView(name=name, slots=slots, taken=taken.get(name, 0), used_by=tuple(sorted(users.get(name, ()))))
            for name, slots in sorted({DEFAULT_POOL: default_slots, **found}.items())
        )

    def late(self, dag_id: str | None, limit: int) -> tuple[Run | TaskInstance, ...]:
        """What was still open at its deadline, the latest deadline first."""
        if dag_id is not None and self._store.dag(dag_id) is None:
            raise self._unknown_dag(dag_id)
        return self._store.late(dag_id, limit)

    def assets(self) -> tuple[AssetView, ...]:
        """Every asset that a DAG names, by name."""
        return assets_of(self._store)

    def asset(self, name: str) -> AssetView:
        return asset_of(self._store, name)

    def asset_events(self, name: str, limit: int) -> tuple[EventView, ...]:
        """The newest first."""
        return newest_events(self._store, name, limit)

    def consumed(self, run: Run) -> tuple[EventView, ...]:
        """The events of assets that a run was made for, the oldest first; of very many the newest."""
        return consumed_by(self._store, run)

    def tries(self, key: TaskKey) -> tuple[Try, ...]:
        """All tries of a task instance, oldest first."""
        return self._store.tries(key)

    def result(self, key: TaskKey) -> Any:
        """A task instance's result as plain data, None where it has none."""
        data = self._store.result(key)
        return None if data is None else msgspec.json.decode(data)

    def waiting(self, dag_id: str) -> tuple[TaskInstance, ...]:
        """The task instances of a DAG's running runs that wait for something outside, newest run first."""
        runs = self._store.runs(dag_id, Page(limit=_OPEN_RUNS), (RunState.RUNNING,))
        if not runs and self._store.dag(dag_id) is None:
            raise self._unknown_dag(dag_id)
        tasks = (task for run in runs for task in self._store.tasks(run.key))
        return tuple(task for task in tasks if task.state is TaskState.UP_FOR_RESCHEDULE)

    def attempt(self, key: TaskKey, number: int | None) -> Try:
        """One try of a task instance, the newest by default."""
        tries = self._store.tries(key)
        for attempt in reversed(tries):
            if number is None or attempt.key.number == number:
                return attempt
        wanted = f"{key.task_id} try {number}" if number else key.task_id
        fix = f"`orchestrator runs show {key.dag_id} {key.run_id}` shows what was tried"
        raise NotFoundError("try", wanted, fix=fix if tries else f"{self._why_untried(key)}{fix}")

    def _why_untried(self, key: TaskKey) -> str:
        """What a task that had no try waits for, or ended of, where that is known."""
        reasons = (task.reason for task in self._store.tasks(key.run) if task.key == key)
        return "".join(f"it had no try: {reason.code}: {reason.text}. " for reason in reasons if reason is not None)

    def last_lines(self, key: TaskKey, count: int) -> tuple[str, ...]:
        """The last lines that the newest try of a task instance wrote; empty where there was none."""
        tries = self._store.tries(key)
        return self._logs.tail(tries[-1].key, count) if tries else ()

    def log(self, attempt: Try, start: int = 0) -> Iterator[LogRecord]:
        """What is stored of a try's log from byte `start` on, read as it is asked for: a log may be large."""
        return self._logs.records(attempt.key, start)

    def _unknown_dag(self, dag_id: str) -> NotFoundError:
        broken = [each.parsed.file for each in self._store.files() if each.parsed.errors]
        return unknown_dag(dag_id, [each.dag_id for each in self._store.dags()], broken)

    def _view(self, dag: Dag, now: datetime) -> DagView:
        spec = self._version(dag.dag_id, dag.version)
        last = self._store.runs(dag.dag_id, Page(limit=1))
        return DagView(
            dag=dag,
            spec=spec,
            last_run=last[0] if last else None,
            next_run=next(self._coming(dag, spec, now), None),
        )

    def coming(self, dag_id: str, now: datetime, count: int) -> tuple[Coming, ...]:
        """The next scheduled runs of a DAG, as if it were not paused."""
        view = self.dag(dag_id, now)
        return tuple(itertools.islice(self._coming(view.dag, view.spec, now), count))

    def plan(self, now: datetime, until: datetime, count: int, *, paused: bool) -> tuple[Coming, ...]:
        """The scheduled runs of all active DAGs that are due by `until`, in order, at most `count`; with `paused`
        also those that paused DAGs would have."""
        wanted = [dag for dag in self._store.dags() if dag.active and (paused or not dag.paused)]
        each = [self._coming(dag, self._version(dag.dag_id, dag.version), now) for dag in wanted]
        merged = heapq.merge(*each, key=lambda coming: (coming.interval.end, coming.dag.dag_id))
        return tuple(
            itertools.islice(itertools.takewhile(lambda coming: coming.interval.end <= until, merged), count)
        )

    def _coming(self, dag: Dag, spec: DagSpec, now: datetime) -> Iterator[Coming]:
        """Of a schedule in which each waits for the last to end, only the first: when the others are is unknown."""
        timetable = timetable_for(spec)
        catchup = self._catchup_by_default if spec.catchup is None else spec.catchup
        last, since = dag.last, dag.since or now
        while (interval := timetable.next(Past(last=last, since=since, catchup=catchup), now)) is not None:
            yield Coming(dag=dag, spec=spec, interval=interval)
            if timetable.one_at_a_time:
                return
            last, now = interval, max(interval.end, now)

    def _version(self, dag_id: str, version: VersionId) -> DagSpec:
        spec = self._store.version(dag_id, version)
        if spec is None:
            raise NotFoundError("DAG version", f"{dag_id} {version}", fix="restore the database from a backup")
        return spec


def _standing(tasks: Iterable[TaskInstance]) -> Iterator[TaskInstance]:
    """Without what was only there until a mapped task was expanded, or is not there any more."""
    return (task for task in tasks if task.state is not TaskState.REMOVED or task.tries)
