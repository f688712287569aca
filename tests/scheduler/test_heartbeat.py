"""Whether a scheduler makes progress, by what its threads show of themselves."""

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from scheduler_stage import SOON, Stage, dag, task

from orchestrator.errors import StoreUnavailableError
from orchestrator.ports import Engine, Store
from orchestrator.scheduler.attempts import OpenAttempts
from orchestrator.scheduler.backlog import Backlog
from orchestrator.scheduler.heartbeat import Heartbeat
from orchestrator.scheduler.parts import Parts
from orchestrator.states import TaskState
from orchestrator.testing.faults import Pause
from orchestrator.testing.lives import Life
from orchestrator.testing.manual_clock import ManualClock
from orchestrator.testing.programs import Program


@pytest.fixture
def heart(clock: ManualClock) -> Heartbeat:
    return Heartbeat(clock)


def test_one_that_waits_for_something_to_come_makes_progress(heart: Heartbeat) -> None:
    beat = heart.beat("reader")
    assert heart.look()
    beat.work()
    beat.rest()
    assert [heart.look() for _ in range(100)] == [True] * 100


def test_one_that_stays_at_one_piece_of_work_makes_none(heart: Heartbeat) -> None:
    beat = heart.beat("reader")
    beat.work()
    assert heart.look()
    assert not heart.look()
    assert not heart.look()
    beat.work()
    assert heart.look()
    assert not heart.look()
    beat.rest()
    assert heart.look()


def test_one_standing_still_is_enough(heart: Heartbeat) -> None:
    one, other = heart.beat("one"), heart.beat("other")
    one.work()
    heart.look()
    other.work()
    assert not heart.look()


def test_a_piece_that_may_take_long_is_waited_for_so_long(heart: Heartbeat, clock: ManualClock) -> None:
    beat = heart.beat("loop")
    beat.work(60)
    for _ in range(59):
        clock.advance(1)
        assert heart.look()
    clock.advance(2)
    assert not heart.look()


def test_our_log_tells_once_where_it_stands(heart: Heartbeat, capsys: pytest.CaptureFixture[str]) -> None:
    beat, working, done = heart.beat("reader"), threading.Event(), threading.Event()

    def hang_in_a_call() -> None:
        beat.work()
        working.set()
        done.wait()

    thread = threading.Thread(target=hang_in_a_call)
    thread.start()
    assert working.wait(SOON)
    for _ in range(20):
        heart.look()
    done.set()
    thread.join()
    told = capsys.readouterr().out
    assert told.count("heartbeat.stands_still") == 1
    assert "hang_in_a_call" in told


class Pulses:
    """Counts pulses."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.count = 0
        self.listens = True

    def __call__(self) -> bool:
        with self._changed:
            self.count += 1
            self._changed.notify_all()
        return self.listens

    def wait_more(self, number: int) -> None:
        with self._changed:
            wanted = self.count + number
            assert self._changed.wait_for(lambda: self.count >= wanted, SOON)


def test_nobody_is_told_any_more_once_the_parent_is_gone(clock: ManualClock) -> None:
    pulses = Pulses()
    pulses.listens = False
    heart = Heartbeat(clock, pulses)
    heart.start()
    heart._thread.join(SOON)
    assert not heart._thread.is_alive()
    assert pulses.count == 1


# --- of a whole scheduler -------------------------------------------------------------------------------------


class Beating(Stage):
    """A stage whose schedulers tell the test of their progress. What is allowed to take long is so by `clock`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.pulses = Pulses()
        self.allowed = ManualClock()
        self.heart = Heartbeat(self.allowed, self.pulses)

    def parts(self, store: Store, engine: Engine) -> Parts:
        return dataclasses.replace(super().parts(store, engine), heartbeat=self.heart)

    def goes_on(self) -> None:
        """Two looks more find progress."""
        for _ in range(2):
            wanted = self.pulses.count + 1
            while self.pulses.count < wanted:
                self.allowed.let_pass(1.0)

    def stands_still(self) -> None:
        """From some look on none finds progress, whatever else goes on."""
        for _ in range(3):
            self.allowed.let_pass(1.0)
        before = self.pulses.count
        for _ in range(5):
            self.allowed.let_pass(1.0)
        assert self.pulses.count == before


@pytest.fixture
def beating(tmp_path: Path) -> Iterator[Beating]:
    made = Beating(tmp_path)
    yield made
    made.close()


def test_an_idle_scheduler_and_a_busy_one_make_progress(beating: Beating) -> None:
    beating.script.programs = {"a": Program(stays=True)}
    beating.begin()
    beating.goes_on()
    run = beating.trigger(dag(task("a")))
    beating.wait_state(run, "a", TaskState.RUNNING)
    beating.goes_on()
    beating.engine.write(beating.container("a").id, b"a line\n")
    beating.goes_on()
    beating.engine.finish(beating.container("a").id)
    beating.check_end(beating.wait(run))
    beating.goes_on()


def test_a_database_that_is_away_is_no_stall(beating: Beating) -> None:
    life = Life()
    for verb in ("write", "unanswered", "epoch"):
        life.faults.fail(verb, StoreUnavailableError("the disk is full"), times=3)
    beating.begin(life)
    beating.define(dag(task("a")))
    for _ in range(3):
        beating.goes_on()
    beating.check_running(dag(task("a"), dag_id="other"))


def test_a_transaction_may_take_a_minute_and_no_longer(beating: Beating) -> None:
    life = Life()
    pause = life.at("write")
    beating.begin(life)
    beating.define(dag(task("a")))
    assert pause.reached.wait(SOON)
    for _ in range(25):
        beating.goes_on()
    beating.allowed.advance(60)
    beating.stands_still()
    pause.proceed.set()
    beating.check_running(dag(task("a"), dag_id="other"))
    beating.goes_on()


def _hang(monkeypatch: pytest.MonkeyPatch, where: type, verb: str) -> Pause:
    """The next call hangs until it is told to proceed."""
    pause, whole = Pause(), getattr(where, verb)

    def hang(*arguments: object) -> object:
        pause.reached.set()
        pause.proceed.wait()
        return whole(*arguments)

    monkeypatch.setattr(where, verb, hang)
    return pause


@pytest.mark.parametrize(
    ("where", "verb"), [(Backlog, "put"), (OpenAttempts, "note")], ids=["reader of logs", "reader of events"]
)
def test_one_thread_that_hangs_is_a_stall(
    beating: Beating, monkeypatch: pytest.MonkeyPatch, where: type, verb: str
) -> None:
    beating.script.programs = {"a": Program(stays=True)}
    beating.begin()
    beating.goes_on()
    with monkeypatch.context() as patch:
        pause = _hang(patch, where, verb)
        run = beating.trigger(dag(task("a")))
        beating.wait_state(run, "a", TaskState.RUNNING)
        beating.engine.write(beating.container("a").id, b"a line\n")
        assert pause.reached.wait(SOON)
        beating.stands_still()
    pause.proceed.set()
    beating.goes_on()
    beating.engine.finish(beating.container("a").id)
    beating.check_end(beating.wait(run))
