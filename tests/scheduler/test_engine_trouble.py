"""Events that are lost, late or said twice; an engine that goes away at every moment of a try. Whatever happens:
each try is started once at most, the outcome is right, and nothing is left over (invariants I1 to I6)."""

import pytest
from scheduler_stage import RESULT, SOON, Stage, dag, retries, task

from orchestrator.errors import EngineTimeoutError, EngineUnavailableError
from orchestrator.ids import RunKey
from orchestrator.planning.rows import TryOutcome
from orchestrator.scheduler.collector import EVENT_SECONDS
from orchestrator.scheduler.reconciler import PERIOD
from orchestrator.spec.container import EngineEventKind
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.states import ReasonCode, TaskState
from orchestrator.testing.manual_clock import ManualClock
from orchestrator.testing.programs import Program, says

SUCCESS, FAILED, RUNNING = TaskState.SUCCESS, TaskState.FAILED, TaskState.RUNNING
_WITH_FILES = ContainerTemplate(image="base", inputs={"/in/a.txt": "text"})
_SAYS_MORE = Program(files={RESULT: b"[1]"}, output=says("out\n").output)
_DOWN = EngineUnavailableError("no engine answers")
_UNANSWERED = EngineTimeoutError("sent and not answered")


def pass_until_over(stage: Stage, clock: ManualClock, run: RunKey) -> None:
    """Have time pass until the run has ended and nothing of it is to be tidied."""

    def over() -> bool:
        clock.advance(1)
        return stage._is_over(run)

    stage.heard.wait_for(over, "the end of the run")


def test_a_lost_die_event_is_made_up_for_by_the_end_of_the_log(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.engine.board.lose(EngineEventKind.DIE)
    stage.begin()
    run = stage.trigger(dag(task("a"), task("b", "a")))
    clock.let_pass(EVENT_SECONDS)
    stage.check_end(stage.wait(run), {"a": SUCCESS, "b": SUCCESS})


def test_a_lost_die_event_and_a_log_that_never_ends_are_made_up_for_by_the_next_look(
    still_stage: Stage, clock: ManualClock
) -> None:
    stage = still_stage
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    run = stage.trigger(dag(task("a", result_from=None)))
    stage.wait_state(run, "a", RUNNING)
    container = stage.container("a")
    container._attached.clear()  # the connection hangs: its end is never told
    stage.engine.board.lose(EngineEventKind.DIE)
    stage.engine.finish(container.id)
    stage.heard.wait_for(lambda: _passes(stage) == 1, "the first look")
    clock.let_pass(PERIOD)
    assert _passes(stage) == 1  # it has not been open for long
    clock.let_pass(PERIOD)
    stage.wait_state(run, "a", SUCCESS)
    stage.heard.wait_for(lambda: _passes(stage) == 2, "one look")
    pass_until_over(stage, clock, run)  # the end of its log is waited for
    view = stage.wait(run)
    assert view.tasks[0].state is SUCCESS
    assert stage.starts() == {view.tries[0].try_id: 1}


def test_nobody_looks_now_and_then_where_nothing_is_open(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.begin()
    stage.check_end(stage.wait(stage.trigger(dag(task("a")))))
    for _ in range(5):
        clock.let_pass(PERIOD)
    stage.check_end(stage.wait(stage.trigger(dag(task("a"), dag_id="e"))))
    stage.heard.wait_for(lambda: _passes(stage) == 1, "nobody's look")


@pytest.mark.parametrize("kind", [EngineEventKind.DIE, EngineEventKind.START, EngineEventKind.DESTROY])
def test_an_event_said_twice_is_heard_once(stage: Stage, kind: EngineEventKind) -> None:
    stage.engine.board.duplicate(kind, 3)
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a"), task("b", "a"))))
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    assert len(view.tries) == 2


def test_late_events_change_nothing(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.begin()
    stage.engine.board.hold()
    run = stage.trigger(dag(task("a"), task("b", "a")))
    for _ in ("a", "b"):
        clock.let_pass(EVENT_SECONDS)
    view = stage.wait(run)
    stage.engine.board.release()
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    stage.check_end(stage.wait(stage.trigger(dag(task("a"), dag_id="e"))), {"a": SUCCESS})


def test_what_exited_while_the_connection_was_away_is_found_by_the_list(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True, output=says("before\n").output)}
    stage.begin()
    run = stage.trigger(dag(task("a"), task("b", "a")))
    stage.wait_state(run, "a", RUNNING)
    stage.engine.go_down()
    container = stage.container("a").id
    stage.engine.write(container, b"meanwhile\n")
    stage.engine.finish(container)
    stage.engine.come_up()
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    assert stage.log(view.tries[0]) == b"before\nmeanwhile\n"
    assert view.results["a"] == "meanwhile"


def test_what_runs_on_while_the_connection_was_away_is_followed_again(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", RUNNING)
    container = stage.container("a").id
    for number in range(3):
        stage.engine.go_down()
        stage.engine.write(container, b"%d\n" % number)
        stage.engine.come_up()
    stage.engine.finish(container)
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS})
    assert stage.log(view.tries[0]) == b"0\n1\n2\n"
    assert view.tries[0].adopted == 0


# --- calls that fail ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("verb", ["create", "attach_logs", "put_files", "start", "read_file", "remove"])
def test_a_call_that_fails_once_costs_nothing(stage: Stage, verb: str, *, after_effect: bool) -> None:
    """Whether it took effect or not."""
    stage.script.programs = {"a": _SAYS_MORE}
    stage.engine.faults.fail(verb, _UNANSWERED, after_effect=after_effect)
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a", container=_WITH_FILES), task("b", "a"))))
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    assert len(view.tries) == 2
    assert view.results["a"] == [1]
    assert stage.log(view.tries[0]) == b"out\n"
    assert view.tries[0].adopted == 0


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("verb", ["create", "attach_logs", "put_files", "start", "read_file", "remove"])
def test_an_engine_that_goes_away_at_a_call_costs_nothing(stage: Stage, verb: str, *, after_effect: bool) -> None:
    """Right before it, or right after its effect, and with all connections."""
    stage.script.programs = {"a": _SAYS_MORE}
    stage.begin()
    pause = stage.engine.faults.pause(verb, after_effect=after_effect)
    run = stage.trigger(dag(task("a", container=_WITH_FILES), task("b", "a")))
    assert pause.reached.wait(SOON)
    stage.engine.go_down()
    if after_effect:
        stage.engine.faults.fail(verb, _DOWN)
    pause.proceed.set()
    stage.engine.come_up()
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    assert len(view.tries) == 2
    assert view.results["a"] == [1]


def test_while_the_engine_is_down_nothing_is_spent_and_then_work_resumes(stage: Stage) -> None:
    stage.engine.go_down()
    stage.begin()
    run = stage.trigger(dag(task("a"), task("b", "a")))
    stage.wait_open(run, "a")
    asked = stage.engine.faults.pause("create")
    assert asked.reached.wait(SOON)
    asked.proceed.set()
    stage.engine.come_up()
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    assert [each.failures + each.losses for each in view.tasks] == [0, 0]
    assert len(view.tries) == 2


def test_a_start_that_was_not_answered_and_had_no_effect_is_not_repeated_on_that_container(stage: Stage) -> None:
    stage.engine.faults.fail("start", _UNANSWERED)
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a"))))
    stage.check_end(view, {"a": SUCCESS})
    starts = [call.subject for call in stage.engine.calls.all if call.verb == "start"]
    assert len(starts) == len(set(starts)) == stage.creations("a") == 2


def test_a_start_that_was_not_answered_and_had_its_effect_is_no_adoption(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    stage.engine.faults.fail("start", _UNANSWERED, after_effect=True)
    stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", RUNNING)
    stage.engine.finish(stage.container("a").id)
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS})
    assert view.tries[0].adopted == 0
    assert stage.creations("a") == 1


def test_while_no_events_come_no_container_is_removed_whose_start_may_be_on_its_way(stage: Stage) -> None:
    stage.engine.faults.fail("start", _UNANSWERED)
    stage.begin()
    start = stage.engine.faults.pause("start")  # after the one that fails: of the second container
    looked = stage.engine.faults.pause("inspect", after_effect=True)
    run = stage.trigger(dag(task("a", retry=retries(0, infrastructure_retries=0))))
    assert looked.reached.wait(SOON)
    stage.engine.board.disconnect("the stream alone")
    stage.heard.wait_for(lambda: not stage.attempts.listening, "the silence")
    again = stage.engine.faults.pause("inspect")
    looked.proceed.set()
    assert again.reached.wait(SOON)
    assert stage.engine.calls.count("remove") == 0
    stage.engine.board.connect()
    again.proceed.set()
    assert start.reached.wait(SOON)
    start.proceed.set()
    stage.check_end(stage.wait(run), {"a": SUCCESS})


def test_a_start_that_comes_while_its_container_is_removed_makes_the_try_a_lost_one(stage: Stage) -> None:
    """It was not answered, and takes effect after we looked: the try may have run, so it does not run again."""
    stage.engine.faults.fail("start", _UNANSWERED)
    stage.begin()
    looks = stage.engine.faults.pause("inspect"), stage.engine.faults.pause("inspect")
    run = stage.trigger(dag(task("a")))
    assert looks[0].reached.wait(SOON)
    removal = stage.engine.faults.pause("remove")
    for look in looks:
        look.proceed.set()
    assert removal.reached.wait(SOON)
    stage.engine._start(stage.container("a"))  # runs, and ends at once
    removal.proceed.set()
    view = stage.wait(run)
    stage.check_end(view)
    (attempt,) = view.tries
    assert stage.starts() == {attempt.try_id: 1}
    assert attempt.outcome in (TryOutcome.LOST, TryOutcome.SUCCESS)
    if attempt.outcome is TryOutcome.LOST:
        assert attempt.reason is not None
        assert attempt.reason.code is ReasonCode.CONTAINER_LOST


def test_a_container_that_vanished_before_its_start_is_lost_without_having_run(stage: Stage) -> None:
    stage.begin()
    pause = stage.engine.faults.pause("start")
    run = stage.trigger(dag(task("a", retry=retries(0, infrastructure_retries=0))))
    assert pause.reached.wait(SOON)
    stage.engine._remove(stage.container("a").id, force=True)
    pause.proceed.set()
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    assert view.tries[0].reason is not None
    assert view.tries[0].reason.code is ReasonCode.CONTAINER_LOST
    assert view.tries[0].log_complete
    assert stage.starts() == {}


# --- what others do to containers -----------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [(), (EngineEventKind.DIE,), (EngineEventKind.DIE, EngineEventKind.DESTROY)])
def test_a_container_removed_by_hand_is_not_the_tasks_failure(
    still_stage: Stage, clock: ManualClock, lost: tuple[EngineEventKind, ...]
) -> None:
    stage = still_stage
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    policy = retries(0, infrastructure_retries=0)
    run = stage.trigger(dag(task("a", retry=policy)))
    stage.wait_state(run, "a", RUNNING)
    for kind in lost:
        stage.engine.board.lose(kind)
    stage.engine._remove(stage.container("a").id, force=True)
    if lost:
        clock.let_pass(EVENT_SECONDS)
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    (attempt,) = view.tries
    assert attempt.outcome is TryOutcome.LOST
    assert attempt.reason is not None
    expected = ReasonCode.CONTAINER_LOST if lost else ReasonCode.STOPPED_EXTERNALLY
    assert attempt.reason.code is expected
    assert view.tasks[0].failures == 0


def test_a_removal_alone_is_hint_enough(still_stage: Stage, clock: ManualClock) -> None:
    """Neither the end of its log nor its `die` event was told."""
    stage = still_stage
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    run = stage.trigger(dag(task("a", retry=retries(0, infrastructure_retries=0))))
    stage.wait_state(run, "a", RUNNING)
    stage.container("a")._attached.clear()  # the connection hangs
    stage.engine.board.lose(EngineEventKind.DIE)
    stage.engine._remove(stage.container("a").id, force=True)
    clock.let_pass(EVENT_SECONDS)
    stage.wait_state(run, "a", FAILED)
    pass_until_over(stage, clock, run)  # the end of its log is waited for
    stage.check_end(stage.wait(run), {"a": FAILED})


def test_one_killed_from_outside_spends_the_infrastructure_budget(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.script.programs = {"a": [Program(stays=True), Program()]}
    stage.begin()
    run = stage.trigger(dag(task("a", retry=retries(0, rerun_lost=True))))
    stage.wait_state(run, "a", RUNNING)
    stage.engine._signal(stage.container("a").id, "TERM")
    stage.wait_state(run, "a", TaskState.UP_FOR_RETRY)
    clock.advance(10)
    stage.scheduler.wake()
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS})
    assert (view.tasks[0].failures, view.tasks[0].losses) == (0, 1)
    assert view.tries[0].reason is not None
    assert view.tries[0].reason.code is ReasonCode.STOPPED_EXTERNALLY


@pytest.mark.parametrize(("signal", "lost"), [("HUP", True), ("USR1", False), ("USR2", True), ("WINCH", False)])
def test_only_signals_that_end_a_process_make_its_end_a_foreign_one(
    stage: Stage, signal: str, *, lost: bool
) -> None:
    container = ContainerTemplate(image="base", stop_signal="SIGUSR2")
    stage.script.programs = {"a": Program(stays=True, deaf_to=frozenset({signal}))}
    stage.begin()
    run = stage.trigger(dag(task("a", container=container, retry=retries(0, infrastructure_retries=0))))
    stage.wait_state(run, "a", RUNNING)
    stage.engine._signal(stage.container("a").id, signal)
    stage.engine.finish(stage.container("a").id, 0)
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED if lost else SUCCESS})


def test_a_container_removed_before_its_result_was_read_is_lost(stage: Stage) -> None:
    stage.script.programs = {"a": _SAYS_MORE}
    stage.begin()
    pause = stage.engine.faults.pause("read_file")
    run = stage.trigger(dag(task("a", retry=retries(0, infrastructure_retries=0))))
    assert pause.reached.wait(SOON)
    stage.engine._remove(stage.container("a").id, force=True)
    pause.proceed.set()
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    assert view.results == {"a": None}
    assert view.tries[0].reason is not None
    assert view.tries[0].reason.code is ReasonCode.CONTAINER_LOST


def test_one_started_again_by_hand_after_its_end_is_removed_all_the_same(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    run = stage.trigger(dag(task("a", result_from=None)))
    stage.wait_state(run, "a", RUNNING)
    removal = stage.engine.faults.pause("remove")
    stage.engine.finish(stage.container("a").id)
    assert removal.reached.wait(SOON)
    stage.container("a").start(stage.clock.now())
    removal.proceed.set()
    view = stage.wait(run)
    assert view.tasks[0].state is SUCCESS
    assert stage.engine.containers == ()


def _passes(stage: Stage) -> int:
    """How often containers were listed, but by those who look for old volumes too."""
    return stage.engine.calls.count("list_ours") - stage.engine.calls.count("list_volumes")
