"""One run of one DAG in the foreground, over no database: `dags test`.

The scheduler's own services do the work, over a store in memory and a deployment of its own, so that a test
shows what a scheduled run would do. Its containers also carry their owner (this process); what a killed test
leaves behind is recognised by a dead owner and removed.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import structlog

from orchestrator.clock import Clock
from orchestrator.errors import EngineError, RequestRefusedError
from orchestrator.ids import RunKey, TaskKey, TryId
from orchestrator.planning.admission import DEFAULT_POOL
from orchestrator.planning.approvals import APPROVE, REJECT
from orchestrator.planning.events import FileParsed
from orchestrator.planning.retry import retry_delay
from orchestrator.planning.rows import Pool, RequestKind, TaskInstance
from orchestrator.ports import Store
from orchestrator.queries import Queries, RunView
from orchestrator.scheduler.notices import Notice, RequestAnswered, RunChanged, TryChanged
from orchestrator.scheduler.scheduler import Parts, Scheduler
from orchestrator.spec.dag import DagSpec, ParsedFile, RetryPolicy
from orchestrator.states import INFRASTRUCTURE_REASONS, TaskState

_log = structlog.get_logger()

#: Seconds that the scheduler has to end when the run is over.
_CLOSE_SECONDS = 10.0
#: The longest that a test waits before a retry: somebody looks on.
LONGEST_DELAY = timedelta(seconds=5)


class Foreground:
    """Runs one DAG once. `watch` hears every notice, one at a time, from threads of the scheduler."""

    def __init__(self, parts: Parts, watch: Callable[[Notice], None]) -> None:
        self._store: Store = parts.store
        self._clock: Clock = parts.clock
        self._watch = watch
        self._parts = parts
        self._run: RunKey | None = None
        self._refused: str | None = None
        self._ended = False
        self._hearing = threading.Lock()
        self._open: set[TryId] = set()
        self._answered = threading.Event()
        self._done = threading.Event()
        self._retries: dict[str, RetryPolicy] = {}  #: as the DAG has them
        self._arranging: frozenset[int] = frozenset()  #: requests of ours from before the run
        self.warnings: tuple[str, ...] = ()
        epoch = parts.store.take_lead("dags test", parts.clock.now())
        self._scheduler = Scheduler(parts, epoch, self._hear)
        self._thread = threading.Thread(target=self._loop, name="loop", daemon=True)
        self._broke = False

    def start(
        self, dag: DagSpec, *, logical_date: str | None, conf: dict[str, Any], pools: Sequence[Pool] = ()
    ) -> RunKey:
        """Start the run, with the pools of a deployment; `RequestRefusedError` where the planner refuses it (a date
        that is none, ...). A pool that is not among them holds nothing back, and is warned of."""
        self._retries = {task.task_id: task.retry for task in dag.tasks}
        tasks = tuple(msgspec.structs.replace(task, retry=_hastened(task.retry)) for task in dag.tasks)
        paused = msgspec.structs.replace(dag, tasks=tasks, paused_on_creation=True)  # no schedule in it
        self._scheduler.post(FileParsed(parsed=ParsedFile(file=dag.file, dags=(paused,))))
        self._arrange([*pools, *self._made_up(dag, pools)])
        self._thread.start()
        payload: dict[str, Any] = {"dag_id": dag.dag_id, "conf": conf}
        if logical_date is not None:
            payload["logical_date"] = logical_date
        self._store.ask(RequestKind.TRIGGER, payload, "dags test", self._clock.now())
        self._scheduler.wake()
        self._answered.wait()
        if self._run is None:
            self.close()
            raise RequestRefusedError(self._refused or "the run was refused")
        return self._run

    def _arrange(self, pools: Sequence[Pool]) -> None:
        """Have these pools in the store before the loop looks at anything."""
        asked = [
            self._store.ask(RequestKind.SET_POOL, msgspec.structs.asdict(pool), "dags test", self._clock.now())
            for pool in pools
        ]
        self._arranging = frozenset(request.id for request in asked)

    def _made_up(self, dag: DagSpec, known: Sequence[Pool]) -> Iterator[Pool]:
        """Stand-ins for pools that nobody made: a test has nobody to share with, so they let through whatever the
        other limits do."""
        scheduling = self._parts.settings.scheduling
        names = {DEFAULT_POOL, *(pool.name for pool in known)}
        for name in sorted({task.pool for task in dag.tasks} - names):
            most = max(task.pool_slots for task in dag.tasks if task.pool == name)
            warning = (
                f"there is no pool {name!r}: this test goes on without its limit, but a scheduled run fails; "
                f"`orchestrator pools set {name} SLOTS` makes it"
            )
            self.warnings += (warning,)
            yield Pool(name=name, slots=most * scheduling.parallelism)

    def wait(self) -> RunView:
        """Until the run has ended and nothing of it is left on the engine."""
        self._done.wait()
        if self._broke:
            raise RequestRefusedError("the scheduler's loop broke; the lines above say why")
        view = self.view()
        self._remove_volumes()
        self.close()
        return view

    def _remove_volumes(self) -> None:
        """The run's volume; where the engine is away now, the next test removes it."""
        try:
            for volume in self._parts.engine.list_volumes(self._store.deployment()):
                self._parts.engine.remove_volume(volume.name)
        except EngineError as trouble:
            _log.warning("foreground.left_volumes", trouble=trouble.message)

    def cancel(self) -> None:
        """Kill what runs and end the run as failed; `wait` then returns."""
        if self._run is not None:
            payload = {"dag_id": self._run.dag_id, "run_id": self._run.run_id}
            self._store.ask(RequestKind.CANCEL, payload, "dags test", self._clock.now())
            self._scheduler.wake()

    def decide(self, key: TaskKey, *, approved: bool) -> None:
        """Approve or reject a task that waits for a person."""
        payload = {**msgspec.structs.asdict(key), "decision": APPROVE if approved else REJECT}
        self._store.ask(RequestKind.APPROVE, payload, "dags test", self._clock.now())
        self._scheduler.wake()

    def longer_delay(self, task: TaskInstance) -> timedelta | None:
        """How long a scheduled run would wait before the retry that a task waits for; None where no longer."""
        if task.state is not TaskState.UP_FOR_RETRY or task.reason is None:
            return None
        if task.reason.code in INFRASTRUCTURE_REASONS:  # its delay is nothing that a DAG says
            return None
        delay = retry_delay(self._retries[task.key.task_id], task.failures - 1, task.key)
        return delay if delay > LONGEST_DELAY else None

    def view(self) -> RunView:
        """The run as it stands."""
        if self._run is None:
            raise RequestRefusedError("the run was not started")
        return Queries(self._store, self._parts.logs).run(self._run)

    def close(self) -> None:
        self._scheduler.quit()
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _loop(self) -> None:
        try:
            self._scheduler.run()
        except Exception:  # noqa: BLE001 - a loop's shell: logged, and told to who waits
            _log.exception("foreground.broke")
            self._broke = True
        self._answered.set()
        self._done.set()

    def _hear(self, notice: Notice) -> None:
        with self._hearing:  # logs grow in another thread than runs do
            self._take(notice)

    def _take(self, notice: Notice) -> None:
        match notice:
            case RequestAnswered() if self._run is None and notice.request_id not in self._arranging:
                self._take_answer(notice)
            case RunChanged():
                self._ended = notice.run.state.final
            case TryChanged() if notice.attempt.removed_at is None:
                self._open.add(notice.attempt.try_id)
            case TryChanged():
                self._open.discard(notice.attempt.try_id)
            case _:
                pass
        try:
            self._watch(notice)
        finally:
            if self._ended and not self._open:
                self._done.set()

    def _take_answer(self, notice: RequestAnswered) -> None:
        answer = notice.answer
        if answer.ok:
            self._run = RunKey(answer.data["dag_id"], answer.data["run_id"])
            self.warnings += tuple(answer.data.get("warnings", ()))
        else:
            self._refused = answer.error
        self._answered.set()


def _hastened(policy: RetryPolicy) -> RetryPolicy:
    """The same, with delays that a test waits for."""
    longest = LONGEST_DELAY if policy.max_delay is None else min(policy.max_delay, LONGEST_DELAY)
    return msgspec.structs.replace(policy, delay=min(policy.delay, LONGEST_DELAY), max_delay=longest)
