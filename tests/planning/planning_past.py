"""A leader whose questions about the past are answered, and task instances brought into every state there is."""

from collections.abc import Mapping

from planning_sim import Leader, container, dag, empty, started

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.changes import Launch, LookBack
from orchestrator.planning.events import Seen
from orchestrator.planning.history import PastRun, RunBefore, RunsBetween, RunsNamed, Wanted
from orchestrator.planning.rows import Answer, RequestKind, Run
from orchestrator.spec.dag import RetryPolicy, SensorSpec
from orchestrator.states import RunType, TaskState


def look_back(leader: Leader) -> None:
    """Answer all questions from the rows, as the database would, and those that follow."""
    while looks := leader.take(LookBack):
        for effect in looks:
            leader.turn(seen(leader, effect))


def seen(leader: Leader, effect: LookBack) -> Seen:
    """What the database would answer now."""
    runs = tuple(_whole(leader, run) for run in _meant(leader, effect.wanted))
    return Seen(asker=effect.asker, wanted=effect.wanted, runs=runs)


def ask(leader: Leader, kind: RequestKind, **payload: object) -> Answer:
    """Ask for something that the past has to be looked up for."""
    known = set(leader.answers)
    leader.ask_later(kind, **payload)
    look_back(leader)
    (number,) = set(leader.answers) - known
    return leader.answers[number]


def _meant(leader: Leader, wanted: Wanted) -> list[Run]:
    runs = sorted(leader.rows["runs"].values(), key=lambda run: (run.interval.start, run.key.run_id))
    match wanted:
        case RunsNamed():
            return [run for run in runs if run.key in wanted.keys]
        case RunsBetween():
            return [
                run
                for run in runs
                if run.key.dag_id == wanted.dag_id and wanted.start <= run.interval.start < wanted.end
            ]
        case RunBefore():
            earlier = [
                run
                for run in runs
                if run.key.dag_id == wanted.dag_id
                and run.interval.start < wanted.date
                and run.run_type is not RunType.MANUAL
            ]
            return earlier[-1:]


def _whole(leader: Leader, run: Run) -> PastRun:
    tasks = tuple(task for key, task in leader.rows["tasks"].items() if key.run == run.key)
    return PastRun(run=run, tasks=tasks, version=leader.rows["versions"][run.key.dag_id, run.version])


class Staged:
    """`t` in the state asked for, with a task before and one after it."""

    def __init__(self, state: TaskState) -> None:
        self.leader = Leader()
        retry = RetryPolicy(retries=1 if state is TaskState.UP_FOR_RETRY else 0)
        arguments: Mapping[str, object] = (
            {"sensor": SensorSpec()} if state is TaskState.UP_FOR_RESCHEDULE else {"retry": retry}
        )
        self.leader.parse(dag(container("before"), container("t", "before", **arguments), empty("after", "t")))
        self.run: RunKey = self.leader.trigger()
        self.launch: Launch | None = None
        (before,) = self.leader.prepare_all()
        match state:
            case TaskState.WAITING:
                self.before = before
            case TaskState.SKIPPED | TaskState.UPSTREAM_FAILED:
                self.leader.exit(before, 1)
                if state is TaskState.SKIPPED:
                    ask(self.leader, RequestKind.MARK, selection=self.selection(), state="skipped")
            case _:
                self.leader.exit(before)
                self._go_on(state)
        assert self.state is state

    def _go_on(self, state: TaskState) -> None:
        if state is TaskState.QUEUED:
            return
        (self.launch,) = self.leader.prepare_all()
        if state is not TaskState.STARTING:
            self.leader.turn(started(self.launch.attempt))
        codes = {
            TaskState.SUCCESS: 0,
            TaskState.FAILED: 1,
            TaskState.UP_FOR_RETRY: 1,
            TaskState.UP_FOR_RESCHEDULE: 75,
        }
        if state in codes:
            self.leader.exit(self.launch, codes[state], result=b"1" if not codes[state] else None)

    def selection(self, **more: object) -> dict[str, object]:
        return {"dag_id": "d", "run_ids": [self.run.run_id], "tasks": "t", **more}

    @property
    def key(self) -> TaskKey:
        return TaskKey("d", self.run.run_id, "t")

    @property
    def state(self) -> TaskState:
        state: TaskState = self.leader.task(self.run, "t").state
        return state
