"""Trouble around us is not task failure (invariant I5): database, disk, engine, registry or scheduler away for half
a minute up to ten and more. Nothing is run again, no retry is spent, what is written goes one way, and work resumes
by itself; and people are told once, and whenever they ask."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, cast

import pytest
from scheduler_stage import Stage, dag, retries, task

from orchestrator.errors import ImageError, StoreUnavailableError
from orchestrator.ids import Epoch, RunKey
from orchestrator.planning.changes import PutTask, Row
from orchestrator.planning.explain import Explained, Question
from orchestrator.planning.rows import RequestKind, TaskInstance
from orchestrator.ports import Store
from orchestrator.scheduler.patience import FIRST_DELAY, LONGEST_DELAY
from orchestrator.states import ReasonCode, RunState, TaskState
from orchestrator.testing.manual_clock import ManualClock
from orchestrator.testing.programs import Program

S = TaskState
LENGTHS = (30, 90, 240, 700)
_STEP = 5
#: States in the order in which a task that nobody touches comes to them.
_WAY = (S.WAITING, S.QUEUED, S.STARTING, S.RUNNING, S.SUCCESS)


class Database:
    """A store that goes away, as a whole or (`reads`) for whoever writes; it remembers what became of each task."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.away: StoreUnavailableError | None = None
        self.reads = False
        self.refused = 0
        self.written: list[TaskInstance] = []

    def write(self, epoch: Epoch, rows: Sequence[Row]) -> None:
        self._check("write")
        self._store.write(epoch, rows)
        self.written += [row.task for row in rows if isinstance(row, PutTask)]

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self._check(verb)
            return getattr(self._store, verb)(*arguments, **named)

        return call

    def _check(self, verb: str) -> None:
        if self.away is not None and not (self.reads and verb != "write"):
            self.refused += 1
            raise self.away


class Scene:
    """A run: `first`, then `after`; `steady` runs all the while. Each may be retried, and none should be."""

    def __init__(self, stage: Stage, clock: ManualClock) -> None:
        self.stage, self.clock = stage, clock
        self.database = Database(stage.store)
        stage.wrap_store = lambda _: cast("Store", self.database)
        stage.script.programs = {name: Program(stays=True) for name in ("first", "steady")}
        stage.begin()
        limits = {"retry": retries(3), "execution_timeout": timedelta(hours=1)}
        tasks = (task("first", **limits), task("steady", **limits), task("after", "first", **limits))
        self.run = stage.trigger(dag(*tasks))
        for name in ("first", "steady"):
            stage.wait_state(self.run, name, S.RUNNING)

    def lose(self, trouble: str, *, reads: bool = False) -> None:
        """The database goes away."""
        self.database.reads = reads
        self.database.away = StoreUnavailableError(trouble, fix="free some space")

    def pass_time(self, seconds: float) -> None:
        """So that everybody who waits goes on waiting, again and again."""
        for _ in range(int(seconds / _STEP)):
            self.clock.advance(_STEP)

    def finish(self, name: str) -> None:
        self.stage.engine.finish(self.stage.container(name).id)

    def until(self, told: Callable[[], object], what: str) -> None:
        """Time passes until this holds."""

        def holds() -> bool:
            self.clock.advance(0.25)
            return bool(told())

        self.stage.heard.wait_for(holds, what)

    def ends_well(self) -> None:
        """All ran once, in one container, and no retry was spent."""
        self.until(lambda: self.stage.ends("first"), "the end of first")
        self.finish("steady")
        self.until(lambda: self.stage._is_over(self.run), "the end of the run")
        view = self.stage.view(self.run)
        self.stage.check_end(view, dict.fromkeys(("first", "steady", "after"), S.SUCCESS))
        assert [each.key.number for each in view.tries] == [1, 1, 1]
        assert sum(self.stage.starts().values()) == 3
        assert {(each.failures, each.losses) for each in view.tasks} == {(0, 0)}
        self._went_one_way()
        assert self.stage.lives[-1].error == []

    def _went_one_way(self) -> None:
        written: dict[str, list[TaskInstance]] = {}
        for each in self.database.written:
            written.setdefault(each.key.task_id, []).append(each)
        for versions in written.values():
            states = [_WAY.index(each.state) for each in versions]
            assert states == sorted(states)
            assert [each.tries for each in versions] == sorted(each.tries for each in versions)

    def why(self) -> Explained:
        """What the scheduler answers who asks why the run does not go on."""
        answers: list[Explained] = []
        self.stage.scheduler.ask(Question(dag_id="d", run_id=self.run.run_id), answers.append)
        self.until(lambda: answers, "an answer")
        return answers[0]


@pytest.fixture
def scene(still_stage: Stage, clock: ManualClock) -> Scene:
    return Scene(still_stage, clock)


@pytest.mark.parametrize("seconds", LENGTHS)
@pytest.mark.parametrize("reads", [False, True], ids=["away", "full"])
def test_without_its_database_it_waits(scene: Scene, seconds: int, *, reads: bool) -> None:
    scene.lose("the database is away", reads=reads)
    scene.pass_time(seconds / 2)
    scene.finish("first")
    scene.until(lambda: scene.database.refused, "an attempt")
    scene.pass_time(seconds / 2)
    assert scene.stage.creations("after") == 0
    scene.database.away = None
    scene.ends_well()


@pytest.mark.parametrize("seconds", LENGTHS)
def test_without_its_engine_it_waits(scene: Scene, seconds: int) -> None:
    scene.stage.engine.go_down()
    scene.pass_time(seconds / 2)
    scene.finish("first")
    scene.pass_time(seconds / 2)
    scene.stage.engine.come_up()
    scene.ends_well()


@pytest.mark.parametrize("seconds", LENGTHS)
def test_without_a_scheduler_the_containers_run_on(scene: Scene, seconds: int) -> None:
    scene.stage.lives[-1].kill()
    scene.pass_time(seconds / 2)
    scene.finish("first")
    scene.pass_time(seconds / 2)
    scene.stage.begin()
    scene.ends_well()


def test_a_scheduler_that_dies_while_the_database_is_away_changes_nothing(scene: Scene) -> None:
    scene.lose("the database is away")
    scene.finish("first")
    scene.until(lambda: scene.database.refused, "an attempt")
    ended = scene.stage.lives[-1]
    ended.life.kill()
    scene.until(lambda: not ended.thread.is_alive(), "its death")
    scene.pass_time(60)
    scene.database.away = None
    scene.stage.begin()
    scene.ends_well()


def test_a_database_that_cannot_be_written_is_tried_once_a_second(scene: Scene) -> None:
    scene.lose("the disk is full", reads=True)
    scene.finish("first")
    scene.until(lambda: scene.database.refused >= 5, "some attempts")
    before, began = scene.database.refused, scene.clock.monotonic()
    scene.until(lambda: scene.clock.monotonic() >= began + 60, "a minute")
    assert scene.database.refused - before <= 61
    scene.database.away = None
    scene.ends_well()


def test_our_log_tells_once_when_it_goes_and_once_when_it_is_back(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.lose("the disk is full", reads=True)
    scene.finish("first")
    scene.until(lambda: scene.database.refused >= 20, "some attempts")
    scene.database.away = None
    scene.ends_well()
    said = [line for line in capsys.readouterr().out.splitlines() if "disk is full" in line or "database." in line]
    assert len(said) == 2
    assert "database.away" in said[0]
    assert "free some space" in said[0]
    assert "database.back" in said[1]


def test_who_asks_is_told_that_the_scheduler_waits_for_its_database(scene: Scene) -> None:
    scene.lose("the disk is full", reads=True)
    scene.finish("first")
    scene.until(lambda: scene.database.refused >= 2, "some attempts")
    reason = scene.why().reason
    assert reason is not None
    assert reason.code is ReasonCode.DATABASE_DOWN
    assert "the disk is full" in reason.text
    scene.database.away = None
    scene.ends_well()
    assert scene.why().reason is None


def test_what_is_asked_for_meanwhile_is_done_afterwards(scene: Scene) -> None:
    scene.lose("the disk is full", reads=True)
    request = scene.stage.ask(RequestKind.CANCEL, dag_id="d", run_id=scene.run.run_id)
    scene.until(lambda: scene.database.refused >= 3, "some attempts")
    assert scene.stage.store.answer(request.id) is None
    scene.database.away = None
    scene.until(lambda: scene.stage._is_over(scene.run), "the end of the run")
    assert scene.stage.view(scene.run).run.state is RunState.FAILED
    answer = scene.stage.store.answer(request.id)
    assert answer is not None
    assert answer.ok


# --- the registry ---------------------------------------------------------------------------------------------

_NO_REGISTRY = ImageError(ReasonCode.IMAGE_PULL_FAILED, "the registry cannot be reached", wait=True)


def _pulling(stage: Stage, clock: ManualClock, seconds: int, *, retried: int) -> RunKey:
    """A task whose image is in a registry that cannot be reached for so long."""
    stage.images.errors = {"far": _NO_REGISTRY}
    stage.begin()
    one = task("a", image="far", retry=retries(retried), pull_timeout=timedelta(minutes=10))
    run = stage.trigger(dag(one))
    delay, passed = FIRST_DELAY, 0.0
    while passed < seconds:
        clock.let_pass(delay)
        passed += delay
        delay = min(2 * delay, LONGEST_DELAY)
    return run


def _reason(stage: Stage, run: RunKey) -> ReasonCode | None:
    (found,) = stage.store.tasks(run)
    return None if found.reason is None else found.reason.code


@pytest.mark.parametrize("seconds", [each for each in LENGTHS if each < 600])
def test_a_registry_that_is_away_is_waited_for(still_stage: Stage, clock: ManualClock, seconds: int) -> None:
    run = _pulling(still_stage, clock, seconds, retried=3)
    still_stage.wait_state(run, "a", S.QUEUED)
    still_stage.heard.wait_for(
        lambda: _reason(still_stage, run) is ReasonCode.IMAGE_PULL_FAILED, "the reason why it waits"
    )
    still_stage.images.errors = {}
    clock.let_pass(LONGEST_DELAY)
    view = still_stage.wait(run)
    still_stage.check_end(view, {"a": S.SUCCESS})
    assert (view.tasks[0].failures, len(view.tries)) == (0, 1)


def test_a_registry_that_is_away_for_longer_than_pull_timeout_fails_the_task_in_so_many_words(
    still_stage: Stage, clock: ManualClock
) -> None:
    run = _pulling(still_stage, clock, 590, retried=0)
    still_stage.wait_state(run, "a", S.QUEUED)

    def failed() -> bool:
        clock.advance(1)
        return still_stage.view(run).run.state is RunState.FAILED

    still_stage.heard.wait_for(failed, "its failure")
    view = still_stage.view(run)
    still_stage.check_end(view, {"a": S.FAILED})
    reason = view.tasks[0].reason
    assert reason is not None
    assert (reason.code, reason.text) == (ReasonCode.IMAGE_PULL_FAILED, "the registry cannot be reached")
    assert view.tries == ()
