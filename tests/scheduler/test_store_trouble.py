"""A database that is away, that answers and is not heard, that refuses a row: nothing is lost or done twice, and
one bad row costs no other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest
from scheduler_stage import PAGE, RESULT, Stage, dag, retries, task, templated

from orchestrator.errors import StoreConflictError, StoreError, StoreUnavailableError
from orchestrator.ids import Epoch
from orchestrator.planning.changes import PutFile, PutResult, PutRun, PutTask, PutTry, PutVersion, Row
from orchestrator.planning.events import Event
from orchestrator.planning.rows import RequestKind, TryOutcome
from orchestrator.ports import Store
from orchestrator.scheduler.notices import RunChanged
from orchestrator.scheduler.reconciler import PERIOD
from orchestrator.states import ReasonCode, TaskState
from orchestrator.testing.lives import Life
from orchestrator.testing.manual_clock import ManualClock
from orchestrator.testing.programs import Program

SUCCESS, FAILED, RUNNING = TaskState.SUCCESS, TaskState.FAILED, TaskState.RUNNING
_AWAY = StoreUnavailableError("the disk is full")


@dataclass
class Refusing:
    """A store that refuses turns with rows that it does not like."""

    store: Store
    dislikes: Callable[[Row], bool]
    refused: int = 0

    def write(self, epoch: Epoch, rows: Sequence[Row]) -> None:
        for row in rows:
            if self.dislikes(row):
                self.refused += 1
                raise StoreConflictError(f"cannot write {type(row).__name__}")
        self.store.write(epoch, rows)

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.store, verb)


def refuse(stage: Stage, dislikes: Callable[[Row], bool]) -> Refusing:
    refusing = Refusing(stage.store, dislikes)
    stage.wrap_store = lambda _: cast("Store", refusing)
    return refusing


def of_task(row: Row, task_id: str) -> bool:
    match row:
        case PutTry():
            return row.attempt.key.task.task_id == task_id
        case PutTask():
            return row.task.key.task_id == task_id
        case PutResult():
            return row.result.key.task_id == task_id
        case _:
            return False


# --- away -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("turn", range(1, 14))
def test_a_turn_whose_commit_is_not_answered_is_taken_up_again(
    stage: Stage, turn: int, *, after_effect: bool
) -> None:
    stage.script.programs = {"a": Program(files={RESULT: b"[1]"})}
    life = Life()
    for _ in range(turn - 1):
        life.at("write").proceed.set()
    life.faults.fail("write", _AWAY, after_effect=after_effect)
    stage.begin(life)
    run = stage.trigger(dag(task("a"), task("b", "a")))
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    assert len(view.tries) == 2
    assert view.results["a"] == [1]
    assert len(stage.store.runs("d", PAGE)) == 1
    told = [each.run.state for each in stage.heard.notices if isinstance(each, RunChanged)]
    assert told[-1] is view.run.state


def test_a_database_that_is_away_for_long_is_waited_for(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    life = Life()
    running = stage.begin(life)
    run = stage.trigger(dag(task("a"), task("b", "a")))
    stage.wait_state(run, "a", RUNNING)
    life.faults.fail("write", _AWAY)
    life.faults.fail("load", _AWAY)
    life.faults.fail("unanswered", _AWAY)
    life.faults.fail("epoch", _AWAY, times=2)
    stage.engine.finish(stage.container("a").id)
    stage.check_end(stage.wait(run), {"a": SUCCESS, "b": SUCCESS})
    assert running.error == []


def test_a_scheduler_that_waits_for_its_database_can_be_stopped(stage: Stage) -> None:
    life = Life()
    running = stage.begin(life)
    stage.define(dag(task("a")))
    life.faults.fail("epoch", _AWAY, times=1000)
    life.faults.fail("write", _AWAY, times=1000)
    stage.ask(RequestKind.TRIGGER, dag_id="d")
    running.end()
    assert running.error == []


def test_a_launcher_waits_for_the_database_and_keeps_its_container(stage: Stage) -> None:
    life = Life()
    life.faults.fail("epoch", _AWAY, times=2)
    stage.begin(life)
    view = stage.wait(stage.trigger(dag(task("a"))))
    stage.check_end(view, {"a": SUCCESS})
    assert stage.creations("a") == 1


def test_a_rendering_waits_for_the_database(stage: Stage) -> None:
    life = Life()
    life.faults.fail("last_success", _AWAY)
    stage.begin(life)
    run = stage.trigger(dag(task("a", container=templated("echo {{ ds }}"))))
    stage.check_end(stage.wait(run), {"a": SUCCESS})


def test_a_damaged_database_ends_the_scheduler(stage: Stage) -> None:
    life = Life()
    running = stage.begin(life)
    life.faults.fail("write", StoreError("the database is malformed"))
    stage.define(dag(task("a")))
    running.thread.join(20)
    assert [str(error) for error in running.error] == ["the database is malformed"]


# --- refusing -------------------------------------------------------------------------------------------------


def test_a_result_that_the_database_refuses_fails_its_try_and_no_other(stage: Stage) -> None:
    refuse(stage, lambda row: isinstance(row, PutResult) and of_task(row, "a"))
    programs = Program(files={RESULT: b"[1]"})
    stage.script.programs = {"a": programs, "b": programs}
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a"), task("b"))))
    stage.check_end(view, {"a": FAILED, "b": SUCCESS})
    assert view.tasks[0].reason is not None
    assert view.tasks[0].reason.code is ReasonCode.RESULT_INVALID
    assert view.results == {"a": None, "b": [1]}


def test_a_container_that_the_database_refuses_fails_its_task_and_no_other(stage: Stage) -> None:
    refuse(stage, lambda row: isinstance(row, PutTry) and of_task(row, "a"))
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a", retry=retries(2)), task("b"), task("c", "b"))))
    stage.check_end(view, {"a": FAILED, "b": SUCCESS, "c": SUCCESS})
    assert view.tasks[0].reason is not None
    assert view.tasks[0].reason.code is ReasonCode.RENDER_ERROR
    assert "cannot be recorded" in view.tasks[0].reason.text


def test_a_request_that_the_database_refuses_is_answered(stage: Stage) -> None:
    refuse(stage, lambda row: isinstance(row, PutRun))
    running = stage.begin()
    stage.define(dag(task("a")))
    request = stage.ask(RequestKind.TRIGGER, dag_id="d")
    stage.heard.wait_for(lambda: stage.store.answer(request.id) is not None, "an answer")
    answer = stage.store.answer(request.id)
    assert answer is not None
    assert not answer.ok
    assert "cannot write PutRun" in answer.error
    assert running.error == []


def test_a_file_that_the_database_refuses_shows_it_and_harms_no_other(stage: Stage) -> None:
    refuse(stage, lambda row: isinstance(row, PutVersion) and row.version.dag_id == "bad")
    stage.begin()
    stage.define(dag(task("a"), dag_id="bad"))
    stage.check_running(dag(task("a"), dag_id="good"))
    stage.heard.wait_for(lambda: len(stage.store.files()) == 2, "both files")
    problems = {each.parsed.file: [each.rule for each in each.parsed.problems] for each in stage.store.files()}
    assert problems == {"bad.py": ["not_storable"], "good.py": []}


def test_an_end_that_cannot_be_recorded_is_told_again_at_a_later_look(
    still_stage: Stage, clock: ManualClock
) -> None:
    stage = still_stage
    bad = [True]
    refusing = refuse(stage, lambda row: bad[0] and isinstance(row, PutTry) and row.attempt.outcome is not None)
    stage.begin()
    run = stage.trigger(dag(task("a"), task("b", "a")))
    stage.heard.wait_for(lambda: refusing.refused > 0, "the refusal")
    clock.let_pass(PERIOD)
    bad[0] = False
    refused = refusing.refused
    for _ in range(3):
        clock.let_pass(PERIOD)
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    assert view.tries[0].outcome is TryOutcome.SUCCESS
    assert refusing.refused == refused < 10


def test_an_event_that_breaks_the_planner_harms_no_other(stage: Stage) -> None:
    running = stage.begin()
    stage.scheduler.post(cast("Event", PutFile))
    stage.check_running(dag(task("a")))
    assert running.error == []


def test_a_watcher_that_breaks_harms_nobody(stage: Stage) -> None:
    stage.heard.breaks = True
    running = stage.begin()
    view = stage.wait(stage.trigger(dag(task("a"), task("b", "a"))))
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    assert running.error == []
