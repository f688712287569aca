"""A leader without database and engine: turns of `decide` over rows in dicts, with everything that must hold
after any turn checked after every turn, and an engine that does as it was told.
"""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from orchestrator.ids import ContainerId, DeploymentId, Epoch, RunKey, TaskKey, TryId
from orchestrator.planning.changes import (
    Answered,
    Change,
    Collect,
    DropPool,
    DropResult,
    DropTry,
    Launch,
    LookBack,
    PinImages,
    Prepare,
    PutAssetEvent,
    PutBackfill,
    PutDag,
    PutFile,
    PutGathered,
    PutPool,
    PutResult,
    PutRun,
    PutTask,
    PutTry,
    PutVersion,
    Spared,
    Stop,
)
from orchestrator.planning.contents import contents
from orchestrator.planning.decide import PlanSettings, decide, resume
from orchestrator.planning.events import (
    ControlPrepared,
    Event,
    Exited,
    FileParsed,
    ImagesPinned,
    Prepared,
    Requested,
    Started,
    Tick,
)
from orchestrator.planning.explain import Present
from orchestrator.planning.rows import (
    Answer,
    AssetEvent,
    Pool,
    Request,
    RequestKind,
    Run,
    TaskInstance,
    Try,
    TryOutcome,
)
from orchestrator.planning.world import World
from orchestrator.spec.container import ContainerSpec, ExitFacts
from orchestrator.spec.control import Approval, Control, External, Trigger
from orchestrator.spec.dag import ContainerTemplate, DagSpec, ParsedFile, TaskKind, TaskSpec
from orchestrator.states import RUN_MOVES, TASK_MOVES, RunState, TaskState

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SETTINGS = PlanSettings(epoch=Epoch(7), deployment=DeploymentId("0123abcd"), paused_on_creation=False)


class Rows(msgspec.Struct):
    """The database."""

    dags: tuple[Any, ...] = ()
    versions: tuple[Any, ...] = ()
    runs: tuple[Any, ...] = ()
    tasks: tuple[Any, ...] = ()
    tries: tuple[Any, ...] = ()
    pools: tuple[Any, ...] = ()
    backfills: tuple[Any, ...] = ()
    gathered: tuple[Any, ...] = ()
    newest_event: datetime | None = None


def container(task_id: str, *upstream: str, **arguments: Any) -> TaskSpec:
    return TaskSpec(task_id=task_id, upstream=upstream, container=ContainerTemplate(image="tools"), **arguments)


def empty(task_id: str, *upstream: str, **arguments: Any) -> TaskSpec:
    return TaskSpec(task_id=task_id, kind=TaskKind.EMPTY, upstream=upstream, **arguments)


def control(task_id: str, what: Control, *upstream: str, **arguments: Any) -> TaskSpec:
    kinds = {Trigger: TaskKind.TRIGGER, External: TaskKind.EXTERNAL, Approval: TaskKind.APPROVAL}
    return TaskSpec(task_id=task_id, kind=kinds[type(what)], control=what, upstream=upstream, **arguments)


def dag(*tasks: TaskSpec, dag_id: str = "d", file: str = "d.py", **arguments: Any) -> DagSpec:
    return DagSpec(dag_id=dag_id, file=file, tasks=tasks, **arguments)


class Leader:
    """Decides turns, keeps rows, and checks."""

    def __init__(self, settings: PlanSettings = SETTINGS, pools: Sequence[Pool] = ()) -> None:
        self.settings = settings
        self.now = NOW
        self.pools = tuple(pools)
        self.slots = {pool.name: [pool.slots] for pool in pools}  #: all that a pool ever had
        self.rows: dict[str, dict[Any, Any]] = {
            name: {}
            for name in ("dags", "versions", "runs", "tasks", "tries", "files", "results", "backfills", "gathered")
        }
        self.events: list[AssetEvent] = []
        self.answers: dict[int, Answer] = {}
        self.effects: list[Change] = []
        self.launched: Counter[Any] = Counter()
        self._ids = (TryId(f"{number:016x}") for number in itertools.count(1))
        self._requests = itertools.count(1)
        self.world = World.of(self.database())

    @property
    def present(self) -> Present:
        """What an explanation depends on beside the world."""
        return Present(now=self.now, settings=self.settings)

    # acting ----------------------------------------------------------------------------------------------

    def turn(self, *events: Event) -> tuple[Change, ...]:
        before = contents(self.world)
        changes = decide(self.world, events, self.now, self._ids, self.settings)
        assert contents(self.world) == before, "decide must not change the world"
        for change in changes:
            self._write(change)
        self.world.apply(changes)
        self._check()
        return changes

    def parse(self, *dags: DagSpec, file: str = "d.py", **arguments: Any) -> tuple[Change, ...]:
        return self.turn(FileParsed(parsed=ParsedFile(file=file, dags=dags, **arguments)))

    def ask(self, kind: RequestKind, **payload: Any) -> Answer:
        return self.answers[self.ask_later(kind, **payload).id]

    def ask_later(self, kind: RequestKind, **payload: Any) -> Request:
        """Ask for what may be answered only once the database has been asked."""
        self.asked = self.request(kind, payload)
        self.turn(Requested(request=self.asked))
        return self.asked

    def request(self, kind: RequestKind, payload: dict[str, Any]) -> Request:
        """A request that nobody has told the leader of."""
        number = next(self._requests)
        return Request(id=number, kind=kind, payload=payload, actor="ann", created_at=self.now)

    def tell_again(self) -> tuple[Change, ...]:
        """Tell of the newest request once more, as a look for unanswered ones does."""
        return self.turn(Requested(request=self.asked))

    def trigger(self, dag_id: str = "d", **payload: Any) -> RunKey:
        answer = self.ask(RequestKind.TRIGGER, dag_id=dag_id, **payload)
        assert answer.ok, answer.error
        return RunKey(dag_id, answer.data["run_id"])

    def ask_cancel(self, key: RunKey) -> None:
        assert self.ask(RequestKind.CANCEL, dag_id=key.dag_id, run_id=key.run_id).ok

    def wait(self, seconds: float) -> tuple[Change, ...]:
        self.now += timedelta(seconds=seconds)
        return self.turn(Tick())

    def restart(self) -> None:
        """A new process: the world from rows, what is in memory only is lost."""
        self.world = World.of(self.database())
        self.effects = list(resume(self.world))

    def take(self, kind: type[Any]) -> list[Any]:
        """The effects of one kind that were sent out since they were last taken."""
        taken = [effect for effect in self.effects if isinstance(effect, kind)]
        self.effects = [effect for effect in self.effects if not isinstance(effect, kind)]
        return taken

    # answering, one thing at a time ----------------------------------------------------------------------

    def prepare_all(self) -> list[Launch]:
        """Answer all look-ups and preparations; what was launched then."""
        for pin in self.take(PinImages):
            self.turn(ImagesPinned(run=pin.run, pins={name: f"{name}:1" for name in pin.images}))
        self.turn(*(prepared(effect) for effect in self.take(Prepare)))
        return self.take(Launch)

    def exit(self, launch: Launch | Try, code: int = 0, **arguments: Any) -> tuple[Change, ...]:
        attempt = launch.attempt if isinstance(launch, Launch) else launch
        return self.turn(exited(attempt, code, **arguments))

    # looking ---------------------------------------------------------------------------------------------

    def database(self) -> Rows:
        runs = {key: run for key, run in self.rows["runs"].items() if not run.state.final}
        dags = self.rows["dags"]
        used = {(each.dag_id, each.version) for each in dags.values()}
        used |= {(run.key.dag_id, run.version) for run in runs.values()}
        return Rows(
            dags=tuple(dags.values()),
            versions=tuple(version for key, version in self.rows["versions"].items() if key in used),
            runs=tuple(runs.values()),
            tasks=tuple(task for key, task in reversed(self.rows["tasks"].items()) if key.run in runs),
            tries=tuple(attempt for attempt in self.rows["tries"].values() if attempt.removed_at is None),
            pools=self.pools,
            gathered=tuple(self.rows["gathered"].values()),
            newest_event=self.events[-1].at if self.events else None,
            backfills=tuple(each for each in self.rows["backfills"].values() if each.ended_at is None),
        )

    def run(self, key: RunKey) -> Run:
        found: Run = self.rows["runs"][key]
        return found

    def task(self, key: RunKey, task_id: str) -> TaskInstance:
        found: TaskInstance = self.rows["tasks"][TaskKey(key.dag_id, key.run_id, task_id)]
        return found

    def states(self, key: RunKey) -> dict[str, TaskState]:
        return {each.task_id: task.state for each, task in self.rows["tasks"].items() if each.run == key}

    def attempt(self, launch: Launch) -> Try:
        found: Try = self.rows["tries"][launch.attempt.try_id]
        return found

    # keeping ---------------------------------------------------------------------------------------------

    def _write(self, change: Change) -> None:  # noqa: C901, PLR0912 - one line a kind
        match change:
            case PutTask():
                self._move("tasks", change.task.key, change.task, change.before, TASK_MOVES)
            case PutRun():
                self._move("runs", change.run.key, change.run, change.before, RUN_MOVES)
            case PutTry():
                attempt, rows = change.attempt, self.rows["tries"]
                assert rows.get(attempt.try_id) == change.before
                if change.before is None:
                    assert all(attempt.key != other.key for other in rows.values()), "one intent a try"
                rows[attempt.try_id] = attempt
            case DropTry():
                (gone,) = (each for each in self.rows["tries"].values() if each.key == change.key)
                assert gone.removed_at is not None
                assert gone.outcome is TryOutcome.NOT_READY
                del self.rows["tries"][gone.try_id]
                del self.launched[change.key]
            case PutDag():
                self.rows["dags"][change.dag.dag_id] = change.dag
            case PutVersion():
                self.rows["versions"][change.version.dag_id, change.version.version] = change.version
            case PutFile():
                self.rows["files"][change.parsed.file] = change
            case DropResult():
                self.rows["results"].pop(change.key, None)
            case PutResult():
                self.rows["results"][change.result.key] = change.result.data
            case PutBackfill():
                self.rows["backfills"][change.backfill.id] = change.backfill
            case PutAssetEvent() | PutGathered():
                self._write_asset(change)
            case PutPool():
                self.pools = (*(each for each in self.pools if each.name != change.pool.name), change.pool)
                self.slots.setdefault(change.pool.name, []).append(change.pool.slots)
            case DropPool():
                self.pools = tuple(each for each in self.pools if each.name != change.name)
            case Answered():
                assert change.request.id not in self.answers
                self.answers[change.request.id] = change.answer
            case Launch():
                self.launched[change.attempt.key] += 1
                assert self.launched[change.attempt.key] == 1, "one launch an intent"
                self.effects.append(change)
            case PinImages() | Prepare() | Stop() | Collect() | LookBack():
                self.effects.append(change)
            case _:
                pass

    def _write_asset(self, change: PutAssetEvent | PutGathered) -> None:
        match change:
            case PutAssetEvent():
                assert all(change.event.at > each.at for each in self.events), (
                    "events in order, none at one instant"
                )
                self.events.append(change.event)
            case PutGathered(events=None):
                del self.rows["gathered"][change.dag_id, change.asset]
            case PutGathered():
                self.rows["gathered"][change.dag_id, change.asset] = change

    def _move(self, table: str, key: Any, after: Any, before: Any, moves: Any) -> None:
        rows = self.rows[table]
        assert rows.get(key) == before
        if before is not None and before.state is not after.state:
            assert after.state in moves[before.state]
        rows[key] = after

    def _check(self) -> None:
        self._check_rebuilt()
        self._check_limits()

    def _check_rebuilt(self) -> None:
        rebuilt = World.of(self.database())
        if self.world.spared != rebuilt.spared:  # no row has that: whoever rebuilds the world says it again
            rebuilt.apply((Spared(sparing=self.world.spared),))
        assert contents(rebuilt) == contents(self.world), "the world must be what its rows tell"

    def _check_limits(self) -> None:
        ready = dict(self.world.ready.items())
        firsts: dict[Any, Any] = {}
        for each in ready.values():
            line = (each.turn[0], each.lane)
            firsts[line] = min(firsts.get(line, each.turn), each.turn)
        for again in (False, True):
            heads = sorted((turn, lane) for (kind, lane), turn in firsts.items() if kind is again)
            assert self.world.ready.heads(again=again) == heads
        holding = [key for key, task in self.rows["tasks"].items() if task.state.holds_slot]
        opened = [each.key.task for each in self.rows["tries"].values() if each.outcome is None]
        assert sorted(holding) == sorted(opened), "exactly the open tries hold slots"
        assert len(holding) <= self.settings.parallelism
        of_dag, of_pool, of_task, of_run = Counter[Any](), Counter[Any](), Counter[Any](), Counter[Any]()
        for key in holding:
            spec = self.world.task_spec(key)
            of_dag[key.dag_id] += 1
            of_pool[spec.pool] += spec.pool_slots
            of_task[key.dag_id, key.task_id, spec.max_active_tis_per_dag] += 1
            of_run[key, spec.max_active_tis_per_dagrun] += 1
        slots = {name: max(most) for name, most in self.slots.items()}
        assert all(used <= self.world.current(dag_id).spec.max_active_tasks for dag_id, used in of_dag.items())
        assert all(used <= slots.get(pool, 128) for pool, used in of_pool.items())
        assert all(cap is None or used <= cap for (*_, cap), used in of_task.items())
        assert all(cap is None or used <= cap for (*_, cap), used in of_run.items())
        going = [run for run in self.rows["runs"].values() if run.state is RunState.RUNNING]
        running = Counter(run.key.dag_id for run in going if run.backfill is None)
        for dag_id, number in running.items():
            assert number <= self.world.current(dag_id).spec.max_active_runs


def told_of(effect: Prepare) -> dict[str, Any]:
    """What an answer to it says that it is of."""
    return {"task": effect.task.key, "number": effect.number, "queued_at": effect.task.queued_at}


def prepared(effect: Prepare, **arguments: Any) -> Prepared | ControlPrepared:
    if effect.spec.control is not None:
        return ControlPrepared(**told_of(effect), control=effect.spec.control)
    spec = ContainerSpec(name="", image="sha256:1", image_name="tools")
    return Prepared(**told_of(effect), spec=spec, **arguments)


def exited(attempt: Try, code: int = 0, **arguments: Any) -> Exited:
    facts = arguments.pop("exit", None) or ExitFacts(exit_code=code)
    return Exited(try_id=attempt.try_id, container_id=ContainerId("c"), exit=facts, **arguments)


def started(attempt: Try, at: datetime = NOW, **arguments: Any) -> Started:
    return Started(try_id=attempt.try_id, container_id=ContainerId("c"), at=at, **arguments)


def played(leader: Leader, results: Mapping[str, bytes], codes: Mapping[str, int]) -> None:
    """Let everything that can run now run to its end, with these results (JSON) and exit codes by task id; 0 and
    none for the others."""
    while launches := leader.prepare_all():
        for launch in launches:
            name = launch.attempt.key.task.task_id
            leader.exit(launch, codes.get(name, 0), result=results.get(name))
