"""An engine that does as it was told, with faults: what becomes of each try is drawn beforehand."""

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from random import Random

from planning_past import seen
from planning_sim import Leader, exited, prepared, started, told_of

from orchestrator.ids import TaskKey
from orchestrator.planning.changes import (
    Change,
    Collect,
    Launch,
    LookBack,
    PinImages,
    Prepare,
    Stop,
)
from orchestrator.planning.events import (
    Collected,
    Event,
    ImagesPinned,
    LaunchFailed,
    Lost,
    PrepareFailed,
    Tick,
)
from orchestrator.planning.rows import (
    Reason,
    TaskInstance,
    Try,
)
from orchestrator.states import ReasonCode


class Fate(StrEnum):
    """What becomes of one try."""

    SUCCESS = "success"
    FAILURE = "failure"
    SKIP = "skip"
    LOST_BEFORE = "lost_before"
    LOST_AFTER = "lost_after"
    REFUSED = "refused"
    NO_RENDER = "no_render"
    STOPPED = "stopped"


class FatefulEngine:
    """Answers a leader's effects by the fates of tries, in an order that a `Random` picks: events come late, out
    of order and twice, processes restart."""

    def __init__(self, leader: Leader, fates: dict[str, Sequence[Fate]], random: Random) -> None:
        self.leader = leader
        self.fates = fates
        self.random = random
        self.told: list[Event] = []
        self.past: list[Event] = []
        self.asked: Counter[TaskKey] = Counter()

    def run_to_end(self, turns: int = 2000) -> None:
        """Turns until nothing is left to happen."""
        for _ in range(turns):
            self._answer_effects()
            if not self.told and not self._time_passes():
                return
            self._turn()
        raise AssertionError("it never ended")

    def _turn(self) -> None:
        self.random.shuffle(self.told)
        number = self.random.randint(1, max(1, len(self.told)))
        now, self.told = self.told[:number], self.told[number:]
        again = self.random.sample(self.past, min(len(self.past), self.random.randint(0, 3)))
        self.past += now
        events: list[Event] = [*now, *again]
        self.random.shuffle(events)
        self.leader.turn(*events, Tick())
        if self.random.random() < 0.05:
            self._crash()

    def _crash(self) -> None:
        """After the commit and before the effects: what was to be launched, the engine is found to lack, and it
        is launched after all."""
        launches = self.leader.take(Launch)
        self.leader.restart()
        self.leader.effects += launches

    def _time_passes(self) -> bool:
        due = self.leader.world.next_due()
        if due is None:
            return False
        self.leader.now = max(due, self.leader.now)
        return True

    def _answer_effects(self) -> None:
        effects, self.leader.effects = self.leader.effects, []
        for effect in effects:
            self.told += self._answer(effect)

    def _answer(self, effect: Change) -> Iterable[Event]:
        match effect:
            case PinImages():
                return [ImagesPinned(run=effect.run, pins=dict.fromkeys(effect.images, "tools:1"))]
            case Prepare():
                return [self._preparation(effect)]
            case Launch():
                return self._life(effect.attempt)
            case Collect():
                return [Collected(try_id=effect.attempt.try_id, at=self.leader.now)]
            case Stop():
                return [exited(effect.attempt, 137)]
            case LookBack():
                return [seen(self.leader, effect)]
            case _:
                raise AssertionError(effect)

    def _fate(self, task: TaskInstance) -> Fate:
        """By the number of tries that ended badly before: the same, however often it was asked."""
        fates = self.fates[task.key.task_id]
        return fates[min(task.failures + task.losses, len(fates) - 1)]

    def _preparation(self, effect: Prepare) -> Event:
        if self._fate(effect.task) is Fate.NO_RENDER:
            reason = Reason(code=ReasonCode.RENDER_ERROR, text="no such name")
            return PrepareFailed(**told_of(effect), reason=reason)
        return prepared(effect)

    def _life(self, attempt: Try) -> list[Event]:
        lost = Reason(code=ReasonCode.CONTAINER_LOST, text="gone")
        match self._fate(self.leader.rows["tasks"][attempt.key.task]):
            case Fate.SUCCESS:
                return [started(attempt), exited(attempt, 0, result=b"1")]
            case Fate.FAILURE:
                return [started(attempt), exited(attempt, 1)]
            case Fate.SKIP:
                return [exited(attempt, 99)]
            case Fate.LOST_BEFORE:
                return [Lost(try_id=attempt.try_id, reason=lost, ran=False)]
            case Fate.LOST_AFTER:
                return [started(attempt), Lost(try_id=attempt.try_id, reason=lost, ran=True)]
            case Fate.REFUSED:
                reason = Reason(code=ReasonCode.CREATE_REFUSED, text="no")
                return [LaunchFailed(try_id=attempt.try_id, reason=reason)]
            case Fate.STOPPED:
                return [started(attempt), exited(attempt, 0, stopped_externally=True)]
            case Fate.NO_RENDER:
                raise AssertionError("it was never prepared")
