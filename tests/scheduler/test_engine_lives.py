"""An engine that stops, crashes or loses its power in mid-run, with live-restore and without: nothing it does to
containers is taken for what tasks did, and no retry is spent (invariant I5)."""

import pytest
from scheduler_stage import RESULT, Stage, dag, retries, task

from orchestrator.ids import TaskKey
from orchestrator.planning.rows import TryOutcome
from orchestrator.queries import RunView
from orchestrator.scheduler.notices import TaskChanged
from orchestrator.spec.dag import RetryPolicy
from orchestrator.states import ReasonCode, TaskState
from orchestrator.testing.fake_engine import Outage
from orchestrator.testing.manual_clock import ManualClock
from orchestrator.testing.programs import Program, says

SUCCESS, FAILED, RUNNING = TaskState.SUCCESS, TaskState.FAILED, TaskState.RUNNING
STOPPED, CRASHED, POWER = Outage.STOPPED, Outage.CRASHED, Outage.POWER
_STAYS = Program(stays=True)
_WAY = [TaskState.WAITING, TaskState.QUEUED, TaskState.STARTING, RUNNING, SUCCESS]


def _lost(view: RunView, code: ReasonCode) -> None:
    """Its first try is lost for this reason, and cost no retry."""
    first = view.tries[0]
    assert first.outcome is TryOutcome.LOST
    assert first.reason is not None
    assert first.reason.code is code
    assert view.tasks[0].failures == 0


def _restart(stage: Stage, clock: ManualClock, outage: Outage, seconds: float = 60) -> None:
    stage.engine.go_down(outage)
    clock.advance(seconds)
    stage.engine.come_up()


@pytest.mark.parametrize("code", [0, 1, 143])
def test_an_engine_that_stops_in_order_makes_no_outcome(still_stage: Stage, clock: ManualClock, code: int) -> None:
    """Whatever a task says to TERM."""
    stage = still_stage
    stage.script.programs = {"a": Program(stays=True, exit_on_term=code, files={RESULT: b"1"})}
    stage.begin()
    run = stage.trigger(dag(task("a", skip_on_exit_code=(1,))))
    stage.wait_state(run, "a", RUNNING)
    _restart(stage, clock, STOPPED)
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    _lost(view, ReasonCode.STOPPED_EXTERNALLY)
    assert view.results == {"a": None}


@pytest.mark.parametrize(
    ("outage", "program", "meanwhile"),
    [
        (CRASHED, _STAYS, None),
        (CRASHED, Program(stays=True, exit_on_term=0), None),
        (CRASHED, _STAYS, 0),
        (CRASHED, _STAYS, 3),
        (CRASHED, Program(stays=True, files={RESULT: b"1"}), 3),
        (POWER, _STAYS, None),
    ],
)
def test_what_an_engine_tells_only_after_its_restart_is_no_outcome(
    still_stage: Stage, clock: ManualClock, outage: Outage, program: Program, meanwhile: int | None
) -> None:
    stage = still_stage
    stage.script.programs = {"a": program}
    stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", RUNNING)
    stage.engine.go_down(outage)
    if meanwhile is not None:
        stage.engine.finish(stage.container("a").id, meanwhile)
    clock.advance(60)
    stage.engine.come_up()
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    _lost(view, ReasonCode.ENGINE_LOST)


def test_who_left_its_result_before_the_engine_came_back_has_succeeded(
    still_stage: Stage, clock: ManualClock
) -> None:
    stage = still_stage
    stage.script.programs = {"a": Program(stays=True, files={RESULT: b"[7]"})}
    stage.begin()
    run = stage.trigger(dag(task("a"), task("b", "a")))
    stage.wait_state(run, "a", RUNNING)
    stage.engine.go_down(CRASHED)
    stage.engine.finish(stage.container("a").id, 0)
    clock.advance(60)
    stage.engine.come_up()
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    assert view.results["a"] == [7]


@pytest.mark.parametrize("policy", [retries(2), retries(0, rerun_lost=True)], ids=["retries", "rerun_lost"])
@pytest.mark.parametrize("outage", [STOPPED, CRASHED, POWER])
def test_who_may_run_again_does_so_and_spends_no_retry(
    still_stage: Stage, clock: ManualClock, outage: Outage, policy: RetryPolicy
) -> None:
    stage = still_stage
    stage.script.programs = {"a": [_STAYS, says("again")]}
    stage.begin()
    run = stage.trigger(dag(task("a", retry=policy), task("b", "a")))
    stage.wait_state(run, "a", RUNNING)
    _restart(stage, clock, outage)
    stage.wait_state(run, "a", TaskState.UP_FOR_RETRY)
    clock.advance(5)
    stage.scheduler.wake()
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    assert (view.tasks[0].failures, view.tasks[0].losses, view.tasks[0].tries) == (0, 1, 2)
    assert view.results["a"] == "again"


def test_who_may_not_run_again_is_told_how_it_could(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.script.programs = {"a": _STAYS}
    stage.begin()
    run = stage.trigger(dag(task("a", retry=retries(2, rerun_lost=False))))
    stage.wait_state(run, "a", RUNNING)
    _restart(stage, clock, POWER)
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    _lost(view, ReasonCode.ENGINE_LOST)
    reason = view.tasks[0].reason
    assert reason is not None
    assert "rerun_lost=True" in reason.text


def test_the_budget_for_losses_ends(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.script.programs = {"a": _STAYS}
    stage.begin()
    run = stage.trigger(dag(task("a", retry=retries(1, infrastructure_retries=2))))
    for delay in (5, 10, None):
        stage.heard.wait_for(lambda: any(each.runs for each in stage.containers("a")), "a container that runs")
        stage.wait_state(run, "a", RUNNING)
        _restart(stage, clock, CRASHED)
        if delay is not None:
            stage.wait_state(run, "a", TaskState.UP_FOR_RETRY)
            clock.advance(delay)
            stage.scheduler.wake()
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    assert (view.tasks[0].failures, view.tasks[0].losses, len(view.tries)) == (0, 2, 3)


@pytest.mark.parametrize("code", [0, 3])
@pytest.mark.parametrize("outage", [STOPPED, CRASHED])
def test_with_live_restore_an_exit_meanwhile_is_the_tasks_own(
    still_stage: Stage, clock: ManualClock, outage: Outage, code: int
) -> None:
    stage = still_stage
    stage.engine.live_restore = True
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", RUNNING)
    stage.engine.go_down(outage)
    stage.engine.finish(stage.container("a").id, code)
    clock.advance(60)
    stage.engine.come_up()
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS if code == 0 else FAILED})
    assert view.tries[0].exit is not None
    assert view.tries[0].exit.exit_code == code


def test_with_live_restore_a_power_cut_is_a_loss_all_the_same(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.engine.live_restore = True
    stage.script.programs = {"a": _STAYS}
    stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", RUNNING)
    _restart(stage, clock, POWER)
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    _lost(view, ReasonCode.ENGINE_LOST)


def test_a_scheduler_that_was_away_too_knows_that_the_engine_was_restarted(
    still_stage: Stage, clock: ManualClock
) -> None:
    stage = still_stage
    stage.script.programs = {"a": Program(stays=True, exit_on_term=0)}
    first = stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", RUNNING)
    first.kill()
    _restart(stage, clock, CRASHED)
    stage.begin()
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    _lost(view, ReasonCode.ENGINE_LOST)


def test_what_began_after_the_restart_is_judged_by_its_code(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    _restart(stage, clock, CRASHED)
    clock.advance(1)
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", RUNNING)
    stage.engine.go_down()
    stage.engine.finish(stage.container("a").id, 0)
    stage.engine.come_up()
    stage.check_end(stage.wait(run), {"a": SUCCESS})


def test_an_engine_that_does_not_tell_since_when_it_is_up_is_believed(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    stage.engine.tells_life = False
    stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", RUNNING)
    stage.engine.go_down(CRASHED)
    stage.engine.finish(stage.container("a").id, 0)
    stage.engine.come_up()
    stage.check_end(stage.wait(run), {"a": SUCCESS})


def test_a_try_that_is_being_stopped_when_the_engine_goes_ends_as_asked(
    still_stage: Stage, clock: ManualClock
) -> None:
    stage = still_stage
    stage.script.programs = {"a": Program(stays=True, deaf_to=frozenset({"TERM"}))}
    stage.begin()
    run = stage.trigger(dag(task("a", retry=retries(3))))
    stage.wait_state(run, "a", RUNNING)
    stage.cancel(run)
    stage.heard.wait_for(lambda: stage.view(run).tries[0].kill_at is not None, "the begin of its grace")
    _restart(stage, clock, CRASHED)
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    assert [each.reason.code for each in view.tries if each.reason] == [ReasonCode.KILLED_BY]


@pytest.mark.parametrize("outage", [Outage.CONNECTION, STOPPED, CRASHED])
@pytest.mark.parametrize("seconds", [30, 90, 240, 700])
def test_an_outage_of_any_length_costs_nothing(
    still_stage: Stage, clock: ManualClock, seconds: int, outage: Outage
) -> None:
    """One runs all the while, one ends meanwhile, one is being created, one waits for room; where the engine was
    restarted, with live-restore."""
    stage = still_stage
    stage.engine.live_restore = True
    stage.script.programs = {"runs": _STAYS, "ends": _STAYS}
    stage.begin()
    policy = retries(1)
    names = ("runs", "ends", "made")
    run = stage.trigger(dag(*(task(name, retry=policy) for name in names), task("after", *names, retry=policy)))
    stage.wait_state(run, "runs", RUNNING)
    stage.wait_state(run, "ends", RUNNING)
    stage.wait_state(run, "made", SUCCESS)
    pause = stage.engine.faults.pause("create")
    other = stage.trigger(dag(task("late", retry=policy), dag_id="e"))
    assert pause.reached.wait(20)
    stage.engine.go_down(outage)
    pause.proceed.set()
    stage.engine.finish(stage.container("ends").id)
    for _ in range(seconds // 10):
        clock.advance(10)
        stage.scheduler.wake()
    stage.engine.come_up()
    clock.advance(5)
    stage.wait_state(run, "ends", SUCCESS)
    stage.wait_state(run, "runs", RUNNING)
    stage.engine.finish(stage.container("runs").id)
    views = [stage.wait(run), stage.wait(other)]
    for view in views:
        stage.check_end(view, dict.fromkeys((each.key.task_id for each in view.tasks), SUCCESS))
        assert [(each.tries, each.failures, each.losses) for each in view.tasks] == [(1, 0, 0)] * len(view.tasks)
    _check_moves(stage)


def _check_moves(stage: Stage) -> None:
    """No task instance went back."""
    seen: dict[TaskKey, list[int]] = {}
    for notice in stage.heard.notices:
        if isinstance(notice, TaskChanged):
            seen.setdefault(notice.task.key, []).append(_WAY.index(notice.task.state))
    assert seen
    assert all(ranks == sorted(ranks) for ranks in seen.values())
