"""Histories that are told: one thing is away for a while, in the midst of a run, or everything sleeps. Nothing is
run again, no retry is spent, nothing times out.
"""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum, auto
from typing import TYPE_CHECKING

from orchestrator.planning.rows import RequestKind
from orchestrator.spec.dag import ContainerTemplate, DagSpec, RetryPolicy, TaskSpec
from orchestrator.states import TaskState
from orchestrator.testing.fake_engine import Outage
from orchestrator.testing.simulation.dice import Dice
from orchestrator.testing.simulation.workload import Limits, Plan, Workload

if TYPE_CHECKING:
    from orchestrator.testing.simulation.history import History

#: When it begins: the first tasks run, the others wait for them.
_BEGINS = 5.0
#: Seconds that what is slow takes: some of it ends while the others are away, whatever time that is.
_SLOW = (20.0, 120.0, 400.0)


class Away(StrEnum):
    """What is away."""

    SCHEDULER = auto()
    DATABASE = auto()
    ENGINE = auto()  #: cannot be reached; containers run on
    REGISTRY = auto()
    FROZEN = auto()  #: the scheduler stands still, as by SIGSTOP
    ASLEEP = auto()  #: the machine sleeps, containers with it: only the wall clock tells


class Told(Workload):
    """Tasks that run, wait and follow while something is away. They may take little longer than they do."""

    def __init__(self) -> None:
        super().__init__(Dice(0))
        self.limits = Limits(parallelism=8, pool=16, launchers=4)
        slow = [self._one(f"slow{number}", (), seconds) for number, seconds in enumerate(_SLOW)]
        quick = [self._one(f"quick{number}", (), 4.0) for number in range(4)]
        after = [self._one("after", tuple(task.task_id for task in (*slow, *quick)), 1.0)]
        self.dags = (DagSpec(dag_id="d0", file="d0.py", tasks=(*slow, *quick, *after), paused_on_creation=False),)

    def _one(self, task_id: str, upstream: tuple[str, ...], seconds: float) -> TaskSpec:
        self.plans["d0", task_id] = Plan(fails=0, seconds=seconds, writes_result=True, lines=4, deaf=False)
        return TaskSpec(
            task_id=task_id,
            upstream=upstream,
            container=ContainerTemplate(image="base"),
            retry=RetryPolicy(retries=2, delay=timedelta(seconds=1)),
            execution_timeout=timedelta(seconds=seconds * 3 + 60),
            idle_timeout=timedelta(seconds=seconds + 60),
            pull_timeout=timedelta(hours=2),
        )


class Alone:
    """A story in which one thing happens: `away` is away for `seconds`."""

    def __init__(self, history: "History", away: Away, seconds: float) -> None:
        self._history = history
        self._away = away
        self._seconds = seconds

    def people(self) -> None:
        history = self._history
        history.hub.sleep(0.5)
        if self._away is Away.REGISTRY:
            history.registry_goes()
        history.faces.ask(RequestKind.TRIGGER, {"dag_id": "d0"}, "people", history.clock.now())
        history.wake()

    def pass_by(self) -> None:
        history = self._history
        history.hub.sleep(_BEGINS)
        history.tell(f"{self._away} is away for {self._seconds:g} s")
        back = self._goes()
        history.hub.sleep(self._seconds)
        back()
        history.tell(f"{self._away} is back")
        history.chances.on = False

    def check(self) -> None:
        """Every task has succeeded in its first and only try."""
        for row in self._history.watcher.rows.tasks.values():
            if (row.state, row.tries, row.failures, row.losses) != (TaskState.SUCCESS, 1, 0, 0):
                self._history.violated("I5", f"after an outage of the {self._away}: {row}")

    def _goes(self) -> Callable[[], None]:
        """Have it go; what brings it back."""
        history = self._history
        match self._away:
            case Away.SCHEDULER:
                history.restarts = False
                history.kill(history.leaders[0], "and stays away")
                return self._restart
            case Away.DATABASE:
                history.chances.database_away = True
                return self._database_returns
            case Away.ENGINE:
                history.engine.leave(Outage.CONNECTION)
                return history.engine.come_back
            case Away.REGISTRY:
                return history.images.errors.clear
            case Away.FROZEN:
                frozen = history.leaders[0]
                history.hub.freeze(frozen)
                return lambda: history.hub.thaw(frozen)
            case Away.ASLEEP:
                history.hub.set_forward += self._seconds
                self._seconds = 0.0
                return _nothing

    def _restart(self) -> None:
        self._history.restarts = True

    def _database_returns(self) -> None:
        self._history.chances.database_away = False


def _nothing() -> None:
    """It is there already."""
