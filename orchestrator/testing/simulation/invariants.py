"""What always holds, looked at after every commit and everything that happens to a container: from the rows, and
from what the engine did, never from what the scheduler believes.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Any

from orchestrator.ids import TRY_LABEL, TaskKey, TryKey
from orchestrator.planning.rows import TryOutcome
from orchestrator.ports import LogFlag, LogStore, Stream
from orchestrator.spec.container import EngineEventKind
from orchestrator.spec.dag import DagSpec
from orchestrator.states import FINAL_TASK_STATES, TASK_MOVES, RunState, TaskState
from orchestrator.testing.fake_container import FakeContainer
from orchestrator.testing.simulation.chances import MILD, Trouble
from orchestrator.testing.simulation.hub import Hub, Process
from orchestrator.testing.simulation.rows import NOTHING, Instance, Reader, Rows, TaskRow, TryRow
from orchestrator.testing.simulation.workload import Workload

#: Seconds beyond a try's grace in which it must be gone (invariant I6).
_GONE = 2.0
_BUSY = frozenset({TaskState.STARTING, TaskState.RUNNING})

#: Kinds under which a signal that others sent may be told too late, or to nobody.
_HIDES_SIGNALS = frozenset(
    {Trouble.ENGINE_AWAY, Trouble.ENGINE_STOPS, Trouble.ENGINE_CRASHES, Trouble.EVENTS, Trouble.LEADERSHIP}
)


class Violation(Exception):  # noqa: N818 - what is found is no error of this program
    """Something that always holds did not."""


class Cause(StrEnum):
    """Who ended a container."""

    ITSELF = auto()
    US = auto()  #: our signal, or our removal
    ENGINE = auto()  #: it stopped, or crashed
    OTHERS = auto()


@dataclass(slots=True)
class Seen:
    """What was seen of one container."""

    container: FakeContainer
    try_id: str
    maker: Process | None = None
    made_at: int = 0  #: the step at which it was made
    starts: int = 0
    starts_sent: int = 0
    start_answered: bool = False
    started_at: float = 0.0
    ended: tuple[Cause, int] | None = None
    gone: bool = False


@dataclass(slots=True)
class Watcher:
    """Raises `Violation` into the history that breaks what always holds: at once, in whoever's hands it is."""

    hub: Hub
    workload: Workload
    kinds: frozenset[Trouble]
    reader: Reader
    logs: LogStore
    say: Callable[[str], None]
    cpus: float  #: the engine's
    may_rerun: bool = False  #: somebody cleared something
    outages: int = 0  #: of the engine, that ended containers
    violation: Violation | None = None
    rows: Rows = NOTHING
    containers: dict[str, Seen] = field(default_factory=dict)
    stops: dict[str, float] = field(default_factory=dict)  #: when a try's stop was asked for
    epochs_read: dict[Any, tuple[int, int]] = field(default_factory=dict)  #: by strand: when, and which
    acting: Process | None = None  #: whose call takes effect
    unheard: Counter[Instance] = field(default_factory=Counter)  #: ends by others that may have been told to nobody
    checks: Counter[str] = field(default_factory=Counter)

    # --- the scheduler's side ---------------------------------------------------------------------------

    def committed(self, process: Process | None) -> None:
        """A transaction that wrote was committed, by a scheduler or (None) by a face."""
        before, self.rows = self.rows, self.reader.read()
        self.checks["commits"] += 1
        if process is not None and process.epoch and process.epoch != self.rows.epoch:
            self.fail("I3", f"{process.name} of epoch {process.epoch} wrote in epoch {self.rows.epoch}")
        for try_id, row in self.rows.tries.items():
            known = before.tries.get(try_id)
            if row != known:
                self._try_changed(known, row)
        for instance, task in self.rows.tasks.items():
            if task != before.tasks.get(instance):
                self._task_moved(before.tasks.get(instance), task)
        for run, state in self.rows.runs.items():
            was = before.runs.get(run)
            if was != state:
                self.say(f"run {run[0]} {run[1][-12:]}: {state}")
            if was is not None and RunState(was).final and was != state and not self.may_rerun:
                self.fail("monotone", f"run {run} went from {was} to {state}")
        for try_id in before.tries.keys() - self.rows.tries.keys():
            self.fail("monotone", f"the row of try {try_id} is gone")
        self._limits_in_rows()

    def epoch_read(self, epoch: int) -> None:
        """A strand read from the database who leads."""
        self.epochs_read[self.hub.current] = (self.hub.steps, epoch)

    def called(self, verb: str, given: tuple[Any, ...], process: Process | None) -> None:
        """A process is about to ask the engine for something."""
        if verb == "start":
            self._start_sent(self.containers[given[0]], process)

    def answered(self, verb: str, given: tuple[Any, ...]) -> None:
        """A process heard that it was done."""
        if verb == "start":
            self.containers[given[0]].start_answered = True

    def _start_sent(self, seen: Seen, process: Process | None) -> None:
        seen.starts_sent += 1
        if seen.starts_sent > 1:
            self.fail("I3", f"start was sent {seen.starts_sent} times for one container of try {seen.try_id}")
        if seen.maker is not process:
            self.fail("I3", f"the container of try {seen.try_id} is started by a process that did not make it")
        at, epoch = self.epochs_read.get(self.hub.current, (-1, 0))
        if at < seen.made_at or process is None or epoch != process.epoch:
            self.fail("I3", f"start for try {seen.try_id} without a look at the epoch after its creation")

    # --- the engine's side ------------------------------------------------------------------------------

    def happened(self, kind: EngineEventKind, container: FakeContainer, exit_code: int | None) -> None:
        """Something happened to a container, just now."""
        if TRY_LABEL not in container.spec.labels:
            return
        self.checks["events"] += 1
        self.say(f"engine: {kind} {_named(container)}{'' if exit_code is None else f' exit {exit_code}'}")
        match kind:
            case EngineEventKind.CREATE:
                self._created(container)
            case EngineEventKind.START:
                self._started(self.containers[container.id])
            case EngineEventKind.DESTROY:
                self._removed(self.containers[container.id])
            case _:
                pass

    def ends(self, container: FakeContainer, exit_code: int, cause: Cause) -> None:
        """A container's process ends."""
        seen = self.containers.get(container.id)
        if seen is None:
            return
        seen.ended = cause, exit_code
        labels = container.spec.labels
        if cause is Cause.ITSELF and exit_code:
            self.workload.ended[
                labels["orchestrator.dag_id"], labels["orchestrator.run_id"], labels["orchestrator.task_id"]
            ] += 1
        self._killed_in_time(seen)

    def _created(self, container: FakeContainer) -> None:
        try_id = container.spec.labels[TRY_LABEL]
        row = self.rows.tries.get(try_id)
        if row is None:
            self.fail("I2", f"a container was created for try {try_id}, of which no intent is committed")
        self.containers[container.id] = Seen(container, try_id, self.acting, self.hub.steps)

    def _started(self, seen: Seen) -> None:
        seen.starts += 1
        seen.started_at = self.hub.now
        seen.ended = None
        row = self.rows.tries[seen.try_id]
        started = sum(each.starts for each in self.containers.values() if each.try_id == seen.try_id)
        if started > 1:
            self.fail("I1", f"try {seen.try_id} runs for the {started}. time")
        if row.outcome is not None:
            self.fail("I1", f"try {seen.try_id} starts after its outcome {row.outcome}")
        self._limits_on_engine()

    def _removed(self, seen: Seen) -> None:
        seen.gone = True
        if not seen.starts:
            return
        row = self.rows.tries[seen.try_id]
        maker = seen.maker
        sure = seen.start_answered and maker is not None and not maker.over and maker.epoch == self.rows.epoch
        if row.outcome is None and (sure or not seen.ended):  # else it started while it was cleared away
            self.fail("I2", f"the container of try {seen.try_id} is removed before its outcome is committed")
        if row.outcome is not None:
            self._log_is_whole(seen, row)

    # --- single rules -----------------------------------------------------------------------------------

    def _try_changed(self, known: TryRow | None, row: TryRow) -> None:
        name = f"{row.task_id}#{row.number}"
        if known is None:
            self.say(f"intent {name} {row.try_id[:6]} epoch {row.epoch}")
            if row.outcome is not None or row.epoch != self.rows.epoch:
                self.fail("I2", f"try {row.try_id} begins as {row}")
            return
        if (known.instance, known.number, known.epoch) != (row.instance, row.number, row.epoch):
            self.fail("monotone", f"try {row.try_id} was {known}, is {row}")
        if known.outcome is not None and (known.outcome, known.exit, known.reason) != (
            row.outcome, row.exit, row.reason,
        ):  # fmt: skip
            self.fail("monotone", f"the outcome of try {row.try_id} was {known.outcome}, is {row.outcome}")
        if known.stop_requested_at is None and row.stop_requested_at is not None:
            self.stops[row.try_id] = self.hub.now
            self.say(f"stop {name} asked for")
        if known.outcome is None and row.outcome is not None:
            self.say(f"outcome {name}: {row.outcome} {row.why} exit {row.exit_code}")
            self._outcome(row)
        if known.removed_at is None and row.removed_at is not None:
            left = [each for each in self._of(row.try_id) if not each.gone and each.starts]
            if left:
                self.fail("I14", f"try {row.try_id} is collected, and its container is still there")

    def _outcome(self, row: TryRow) -> None:
        ends = [each.ended for each in self._of(row.try_id) if each.starts]
        end = ends[-1] if ends else None
        match TryOutcome(row.outcome or ""):
            case TryOutcome.SUCCESS:
                if end != (Cause.ITSELF, 0):
                    self.fail("I5", f"try {row.try_id} is a success, and its container ended as {end}")
                self._result_is_there(row)
            case TryOutcome.FAILED if row.stop_requested_at is not None:
                forgotten = Trouble.CLOCK in self.kinds and self.rows.epoch > 1  # a new process knows of no sleep
                if Trouble.PEOPLE not in self.kinds and not forgotten:
                    self.fail("I16", f"try {row.try_id} was ended ({row.why}), and nobody asked for it")
            case TryOutcome.FAILED:
                unheard = end is not None and end[0] is Cause.OTHERS and (self.hub.deaths or self._may_be_deaf())
                self.unheard[row.instance] += bool(unheard)
                own = end is not None and end[0] is Cause.ITSELF and end[1] == row.exit_code != 0
                if not (own or unheard):
                    self.fail("I5", f"try {row.try_id} failed ({row.why}), and its container ended as {end}")
            case TryOutcome.LOST:
                excused = end is None or end[0] is not Cause.ITSELF or self.outages or self.hub.deaths
                if not excused and all(not each.gone for each in self._of(row.try_id)):
                    self.fail("I5", f"try {row.try_id} is lost ({row.why}), and its container ended as {end}")
            case _:
                pass

    def _may_be_deaf(self) -> bool:
        """Whether what others did to a container may have been told to nobody."""
        return bool(self.kinds & _HIDES_SIGNALS)

    def _result_is_there(self, row: TryRow) -> None:
        wanted = self.workload.works[row.try_id].handed_on
        found = self.reader.result(row.instance)
        meant = found is None and Trouble.PEOPLE in self.kinds  # what is killed or cleared hands nothing on
        if found != wanted and not meant:
            self.fail("I2", f"try {row.try_id} is a success with the result {found!r}, it wrote {wanted!r}")

    def _task_moved(self, known: TaskRow | None, task: TaskRow) -> None:
        was = None if known is None else TaskState(known.state)
        now = TaskState(task.state)
        if was is not None and now is not was and now not in _REACHED[was] and not self.may_rerun:
            self.fail("monotone", f"task {task.instance} went from {was} to {now}")
        self.workload.recorded[task.instance] = task.failures
        own = self.workload.ended[task.instance]
        stopped = sum(row.stop_requested_at is not None for row in self._tries_of(task))
        if task.failures > own + stopped + self.unheard[task.instance] and not self.may_rerun:
            self.fail("I5", f"{task.instance} spent {task.failures} retries, and failed {own} times by itself")

    def _limits_in_rows(self) -> None:
        busy = [row for row in self.rows.tasks.values() if TaskState(row.state) in _BUSY]
        self._limits([(row.dag_id, row.task_id) for row in busy], "tasks that are starting or running")

    def _limits_on_engine(self) -> None:
        running = [each.container for each in self.containers.values() if each.container.runs]
        labels = [each.spec.labels for each in running]
        self._limits(
            [(each["orchestrator.dag_id"], each["orchestrator.task_id"]) for each in labels],
            "containers that run",
        )

    def _limits(self, busy: list[tuple[str, str]], what: str) -> None:
        if not busy:
            return
        limits, specs = self.workload.limits, {dag.dag_id: dag for dag in self.workload.dags}
        tasks = [specs[dag_id].task(task_id) for dag_id, task_id in busy]
        counted: dict[str, tuple[float, float]] = {
            "parallelism": (len(busy), limits.parallelism),
            "pool": (sum(task.pool_slots for task in tasks), limits.pool),
            "cpus": (sum(_cpus(specs[dag], task) for dag, task in busy), self.cpus),
        }
        for dag_id, count in Counter(dag_id for dag_id, _ in busy).items():
            counted[f"max_active_tasks of {dag_id}"] = count, specs[dag_id].max_active_tasks
        for (dag_id, task_id), count in Counter(busy).items():
            own = specs[dag_id].task(task_id).max_active_tis_per_dag
            counted[f"max_active_tis_per_dag of {task_id}"] = count, count if own is None else own
        for name, (taken, most) in counted.items():
            if taken > most:
                self.fail("I8", f"{name} is {most}, and {what} take {taken}")

    def _killed_in_time(self, seen: Seen) -> None:
        asked = self.stops.get(seen.try_id)
        if asked is None or not self.kinds <= set(MILD):
            return
        grace = seen.container.spec.stop_grace.total_seconds()
        late = self.hub.now - max(asked, seen.started_at) - grace - _GONE
        self.checks["kills"] += 1
        if late > 0:
            self.fail("I6", f"try {seen.try_id} ended {late:.1f} s after its grace and {_GONE} s")

    def _log_is_whole(self, seen: Seen, row: TryRow) -> None:
        """Of each stream, stored is what was written: in lines and in UTF-8, so that it can be read back."""
        written: dict[Stream, bytes] = {}
        for stream, data in seen.container.kept.entries:
            written[stream] = written.get(stream, b"") + data
        key = TryKey(TaskKey(row.dag_id, row.run_id, row.task_id), row.number)
        stored: dict[Stream, bytes] = {}
        for record in self.logs.records(key):
            if LogFlag.SYSTEM not in record.flags:
                stored[record.stream] = stored.get(record.stream, b"") + record.data
        self.checks["logs"] += 1
        if stored != written:
            self.fail("I7", f"the log of try {row.try_id} holds {stored!r}, it wrote {written!r}")

    # --- at the end -------------------------------------------------------------------------------------

    def at_rest(self) -> Iterator[str]:
        """What is still under way."""
        yield from (f"run {key} is {state}" for key, state in self.rows.runs.items() if not RunState(state).final)
        yield from (f"try {row.try_id} is open" for row in self.rows.tries.values() if row.removed_at is None)

    def is_stray(self, container: FakeContainer) -> bool:
        """Whether its creation was on its way for so long that its process was dead by then, and its try collected:
        it never ran, and goes at the next look at the engine."""
        seen = self.containers[container.id]
        dead = seen.maker is not None and seen.maker.over
        return dead and not seen.starts and self.rows.tries[seen.try_id].removed_at is not None

    def fail(self, rule: str, text: str) -> None:
        """Note the first violation, end the history, and raise it."""
        self.say(f"VIOLATION of {rule}: {text}")
        if self.violation is None:
            self.violation = Violation(f"{rule}: {text}")
        self.hub.finish()
        raise self.violation

    def _of(self, try_id: str) -> list[Seen]:
        return [each for each in self.containers.values() if each.try_id == try_id]

    def _tries_of(self, task: TaskRow) -> list[TryRow]:
        return [row for row in self.rows.tries.values() if row.instance == task.instance]


def _cpus(dag: DagSpec, task_id: str) -> float:
    container = dag.task(task_id).container
    return 0.0 if container is None or container.cpus is None else float(container.cpus)


def _named(container: FakeContainer) -> str:
    labels = container.spec.labels
    number, try_id = labels["orchestrator.try_number"], labels[TRY_LABEL]
    return f"{labels['orchestrator.task_id']}#{number} {try_id[:6]} ({container.id[:6]})"


def _reached() -> dict[TaskState, frozenset[TaskState]]:
    """What a state may come to in one turn, without passing an end."""
    reached: dict[TaskState, frozenset[TaskState]] = {}
    for state in TaskState:
        found: set[TaskState] = set()
        todo = [] if state in FINAL_TASK_STATES else [state]
        while todo:
            for following in TASK_MOVES[todo.pop()] - found:
                found.add(following)
                if following not in FINAL_TASK_STATES:
                    todo.append(following)
        reached[state] = frozenset(found)
    return reached


_REACHED = _reached()
