"""When a try started and ended: the engine's own instants, whatever overtakes what on its way to the loop."""

import queue
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.clock import SystemClock
from orchestrator.ids import ContainerId, DeploymentId, Epoch, TaskKey, TryId, TryKey
from orchestrator.planning import transitions
from orchestrator.planning.events import Exited, Started
from orchestrator.planning.rows import Try, TryOutcome
from orchestrator.scheduler.attempts import OpenAttempt, OpenAttempts
from orchestrator.scheduler.collector import Collector
from orchestrator.scheduler.endings import Endings
from orchestrator.scheduler.pump import LogPump
from orchestrator.scheduler.results import Results
from orchestrator.scheduler.settling import Settled, Settling
from orchestrator.spec.container import ContainerSpec, EngineEvent, EngineEventKind, ExitFacts
from orchestrator.spec.dag import TaskSpec
from orchestrator.tasklogs.store import FileLogStore
from orchestrator.testing.fake_authoring import FakeAuthoring
from orchestrator.testing.fake_engine import FakeEngine
from orchestrator.testing.programs import Program

_DEPLOYMENT = DeploymentId("0123abcd")
_TRY = TryId("0" * 16)
_BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
_SOON = 20.0


class Bench:
    """The services between the engine and the loop, for one try that stays until it is stopped."""

    def __init__(self, folder: Path) -> None:
        self.engine = FakeEngine(SystemClock(), lambda _: Program(stays=True))
        clock = SystemClock()
        labels = {"orchestrator.deployment": _DEPLOYMENT, "orchestrator.kind": "try", "orchestrator.try_id": _TRY}
        spec = ContainerSpec(name="c", image="i", image_name="i", labels=labels)
        attempt = Try(
            key=TryKey(TaskKey("d", "r", "t"), 1), try_id=_TRY, epoch=Epoch(1), spec=spec, intended_at=_BEGAN
        )
        self.told: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.attempts = OpenAttempts()
        self.entry: OpenAttempt = self.attempts.open(attempt, TaskSpec(task_id="t", push_result=False))
        self.pump = LogPump(FileLogStore(folder), clock, lambda _: None)
        self.pump.start()
        endings = Endings(self.attempts, self.told.put)
        self.collector = Collector(
            self.engine,
            self.attempts,
            endings,
            Results(self.engine, FakeAuthoring(), self.pump, FileLogStore(folder), limit=100),
            post=self.told.put,
            doubt=lambda: None,
            clock=clock,
        )
        self.settling = Settling(
            self.engine,
            _DEPLOYMENT,
            Epoch(1),
            self.attempts,
            endings,
            self.pump,
            leads=lambda: True,
            found_exited=self.collector.found_exited,
            post=self.told.put,
            clock=clock,
        )
        self.container = self.entry.container_id = self.engine.create(spec)

    def event(self, kind: EngineEventKind, at: datetime) -> EngineEvent:
        labels = self.entry.attempt.spec.labels
        code = 0 if kind is EngineEventKind.DIE else None
        return EngineEvent(kind=kind, container_id=self.container, labels=labels, at=at, exit_code=code)

    def exited(self) -> Exited:
        told = self.told.get(timeout=_SOON)
        assert isinstance(told, Exited)
        return told

    def close(self) -> None:
        self.collector.close()
        self.engine.close()
        self.pump.stop()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_an_exit_that_overtakes_the_answer_to_its_start_still_knows_when_it_began(bench: Bench) -> None:
    ended = _BEGAN + timedelta(milliseconds=30)
    bench.attempts.note(bench.event(EngineEventKind.START, _BEGAN))
    bench.collector.exited(bench.event(EngineEventKind.DIE, ended))
    facts = bench.exited().exit
    assert (facts.started_at, facts.finished_at) == (_BEGAN, ended)
    assert bench.engine.calls.count("inspect") == 0


def test_the_engines_own_start_replaces_what_was_noted_when_its_answer_came(bench: Bench) -> None:
    ended = _BEGAN + timedelta(milliseconds=30)
    noted = transitions.try_started(bench.entry.attempt, bench.container, ended + timedelta(milliseconds=5))
    facts = ExitFacts(exit_code=0, started_at=_BEGAN, finished_at=ended)
    over = transitions.try_exited(noted, ended, bench.container, facts, TryOutcome.SUCCESS, None)
    assert (over.started_at, over.ended_at) == (_BEGAN, ended)


def test_an_exit_of_what_began_before_anybody_listened_is_asked_for_its_times(bench: Bench) -> None:
    bench.engine.start(bench.container)
    bench.engine.signal(bench.container, "KILL")
    facts = bench.engine.inspect(bench.container)
    bench.collector.exited(bench.event(EngineEventKind.DIE, _BEGAN))
    assert bench.exited().exit == facts.exit
    assert facts.exit is not None
    assert facts.exit.started_at is not None


def test_what_runs_is_taken_over_once_however_often_the_engine_was_away(bench: Bench) -> None:
    bench.engine.start(bench.container)
    facts = bench.engine.inspect(bench.container)
    for _ in range(3):
        assert bench.settling.settle(bench.entry, facts) is Settled.DONE
    told = bench.told.get(timeout=_SOON)
    container = ContainerId(facts.id)
    assert facts.started_at is not None
    assert told == Started(try_id=_TRY, container_id=container, at=facts.started_at, adopted=True)
    assert bench.told.empty()
