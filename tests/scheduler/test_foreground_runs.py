"""`dags test` without its face: one run by the scheduler's own services, and nothing of it stays."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from scheduler_stage import DEPLOYMENT, SOON, Stage, dag, task

from orchestrator.errors import RequestRefusedError
from orchestrator.foreground import LONGEST_DELAY, Foreground
from orchestrator.planning.rows import Pool, TaskInstance
from orchestrator.scheduler.notices import LogGrew, Notice, TaskChanged
from orchestrator.scheduler.scheduler import Parts
from orchestrator.spec.dag import RetryPolicy
from orchestrator.states import ReasonCode, RunState, TaskState
from orchestrator.testing.programs import Program, says


class Watch:
    """Hears what a face hears, and notes whether two threads ever spoke at one time."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.threads: set[str] = set()
        self.overlapped = False
        self._busy = threading.Lock()

    def __call__(self, notice: Notice) -> None:
        alone = self._busy.acquire(blocking=False)
        self.overlapped = self.overlapped or not alone
        self.threads.add(threading.current_thread().name)
        self.notices.append(notice)
        if alone:
            self._busy.release()


@pytest.fixture
def parts(stage: Stage) -> Parts:
    return replace(stage.parts(stage.store, stage.engine), test_mode=True)


def test_a_run_is_waited_for_until_nothing_of_it_is_left(stage: Stage, parts: Parts) -> None:
    stage.script.programs = {"a": says("one\ntwo\n")}
    foreground = Foreground(parts, Watch())
    foreground.start(dag(task("a"), task("b", "a")), logical_date=None, conf={})
    view = foreground.wait()
    assert view.run.state is RunState.SUCCESS
    assert view.results["a"] == "two"
    assert stage.engine.containers == ()
    assert stage.log(view.tries[0]) == b"one\ntwo\n"


def test_a_watcher_hears_everything_from_one_thread_at_a_time(stage: Stage, parts: Parts) -> None:
    watch = Watch()
    stage.script.programs = {f"t{number}": says("line\n" * 50) for number in range(8)}
    foreground = Foreground(parts, watch)
    foreground.start(dag(*(task(f"t{number}") for number in range(8))), logical_date=None, conf={})
    foreground.wait()
    assert not watch.overlapped
    assert {"loop", "log-writer"} <= watch.threads
    assert any(isinstance(notice, LogGrew) for notice in watch.notices)


def test_a_watcher_that_breaks_does_not_keep_the_run_from_ending(stage: Stage, parts: Parts) -> None:
    def watch(notice: Notice) -> None:
        raise BrokenPipeError("nobody reads")

    foreground = Foreground(parts, watch)
    foreground.start(dag(task("a")), logical_date=None, conf={})
    assert foreground.wait().run.state is RunState.SUCCESS


def test_a_run_that_the_planner_refuses_is_refused_at_once(parts: Parts) -> None:
    foreground = Foreground(parts, Watch())
    with pytest.raises(RequestRefusedError, match="2013"):
        foreground.start(dag(task("a")), logical_date="2013-13-01", conf={})
    assert not foreground._thread.is_alive()


def test_a_cancelled_run_stops_its_containers_and_ends(stage: Stage, parts: Parts) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    watch = Watch()
    foreground = Foreground(parts, watch)
    run = foreground.start(dag(task("a")), logical_date=None, conf={})
    stage.heard.wait_for(lambda: stage.store.tasks(run)[0].state is TaskState.RUNNING, "the task to run")
    foreground.cancel()
    view = foreground.wait()
    assert view.run.reason is not None
    assert view.run.reason.code is ReasonCode.KILLED_BY
    assert stage.engine.containers == ()


def test_an_image_that_is_away_is_tried_once(stage: Stage, parts: Parts) -> None:
    """In the foreground somebody looks on, and may try again."""
    stage.images.missing = frozenset({"base"})
    foreground = Foreground(parts, Watch())
    foreground.start(dag(task("a")), logical_date=None, conf={})
    assert foreground.wait().tasks[0].state is TaskState.FAILED


def test_the_pools_of_the_deployment_hold_in_a_test_too(stage: Stage, parts: Parts) -> None:
    foreground = Foreground(parts, Watch())
    spec = dag(task("fits", pool="small"), task("large", pool="small", pool_slots=3))
    foreground.start(spec, logical_date=None, conf={}, pools=[Pool(name="small", slots=2)])
    fits, large = foreground.wait().tasks
    assert fits.state is TaskState.SUCCESS
    assert large.reason is not None
    assert large.reason.text == "it needs 3 slots, and the pool 'small' has 2"
    assert foreground.warnings == ()


def test_a_pool_that_nobody_made_is_warned_of_and_holds_nothing_back(parts: Parts) -> None:
    foreground = Foreground(parts, Watch())
    spec = dag(task("a", pool="nowhere", pool_slots=200), task("b", pool="nowhere"))
    foreground.start(spec, logical_date=None, conf={}, pools=[Pool(name="small", slots=2)])
    assert foreground.wait().run.state is RunState.SUCCESS
    (warning,) = foreground.warnings
    assert warning.startswith("there is no pool 'nowhere': ")


def test_a_test_waits_but_a_moment_before_a_retry(stage: Stage, parts: Parts) -> None:
    stage.script.programs = {"a": Program(exit_code=1)}
    foreground = Foreground(parts, watch := Watch())
    growing = RetryPolicy(retries=1, delay=timedelta(minutes=5), exponential=True)

    def waiting() -> list[TaskInstance]:
        tasks = (each.task for each in watch.notices if isinstance(each, TaskChanged))
        return [each for each in tasks if each.state is TaskState.UP_FOR_RETRY]

    foreground.start(dag(task("a", retry=growing)), logical_date=None, conf={})
    stage.heard.wait_for(lambda: bool(waiting()), "the retry's turn")
    (again,) = waiting()
    assert again.due_at is not None
    assert again.due_at - stage.clock.now() <= LONGEST_DELAY
    assert foreground.longer_delay(again) == growing.delay
    foreground.cancel()
    assert foreground.longer_delay(foreground.wait().tasks[0]) is None


def test_its_containers_carry_their_owner(stage: Stage, parts: Parts) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    foreground = Foreground(replace(parts, extra_labels={"orchestrator.owner": "me"}), Watch())
    foreground.start(dag(task("a")), logical_date=None, conf={})
    stage.heard.wait_for(lambda: len(stage.engine.containers) == 1, "its container")
    labels = stage.engine.containers[0].spec.labels
    assert (labels["orchestrator.owner"], labels["orchestrator.deployment"]) == ("me", DEPLOYMENT)
    foreground.cancel()
    foreground.wait()


def test_a_loop_that_breaks_is_told_to_who_waits(stage: Stage, parts: Parts) -> None:
    foreground = Foreground(replace(parts, store=_Broken(stage.store)), Watch())  # type: ignore[arg-type]  # a store
    with pytest.raises(RequestRefusedError):
        foreground.start(dag(task("a")), logical_date=None, conf={})
    assert foreground._thread.join(SOON) is None
    assert not foreground._thread.is_alive()


class _Broken:
    """A store from which nothing can be loaded."""

    def __init__(self, store: object) -> None:
        self._store = store

    def load(self) -> object:
        raise ValueError("a defect of ours")

    def __getattr__(self, verb: str) -> object:
        return getattr(self._store, verb)
