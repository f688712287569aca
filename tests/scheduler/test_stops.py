"""Kill means stopped, then gone, in every state that a try can be in (invariant I6)."""

from datetime import timedelta

import pytest
from scheduler_stage import SOON, Stage, dag, retries, task

from orchestrator.errors import EngineError, EngineTimeoutError, NoSuchContainerError
from orchestrator.ids import RunKey
from orchestrator.planning.rows import TryOutcome
from orchestrator.queries import RunView
from orchestrator.scheduler.reconciler import PERIOD
from orchestrator.settings import EngineSettings, SchedulingSettings
from orchestrator.spec.container import EngineEventKind
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.states import ReasonCode, RunState, TaskState
from orchestrator.testing.manual_clock import ManualClock
from orchestrator.testing.programs import Program

SUCCESS, FAILED, RUNNING = TaskState.SUCCESS, TaskState.FAILED, TaskState.RUNNING
_DEAF = Program(stays=True, deaf_to=frozenset({"TERM"}))
_GRACE = timedelta(seconds=7)


def signals(stage: Stage) -> list[str]:
    """The signals that containers got, by number."""
    happened = stage.engine.board.happened
    return [event.detail for event in happened if event.kind is EngineEventKind.KILL]


def killed(stage: Stage, run: RunKey) -> RunView:
    """The run has failed of its cancelling, and nothing of it is left."""
    view = stage.wait(run)
    stage.check_end(view)
    assert view.run.state is RunState.FAILED
    assert view.run.reason is not None
    assert view.run.reason.code is ReasonCode.KILLED_BY
    for attempt in view.tries:
        assert attempt.outcome is TryOutcome.FAILED
        assert attempt.reason is not None
        assert attempt.reason.code is ReasonCode.KILLED_BY
    return view


def test_what_heeds_its_signal_gets_no_other(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    run = stage.trigger(dag(task("a", retry=retries(3)), task("b", "a")))
    stage.wait_state(run, "a", RUNNING)
    stage.cancel(run)
    killed(stage, run)
    assert signals(stage) == ["15"]


def test_what_is_deaf_to_it_is_killed_after_its_grace_and_not_before(
    still_stage: Stage, clock: ManualClock
) -> None:
    stage = still_stage
    stage.script.programs = {"a": _DEAF}
    stage.begin()
    run = stage.trigger(dag(task("a", stop_grace=_GRACE)))
    stage.wait_state(run, "a", RUNNING)
    stage.cancel(run)
    stage.heard.wait_for(lambda: signals(stage) == ["15"], "TERM")
    clock.advance(6.9)
    assert stage.container("a").runs
    clock.let_pass(_GRACE.total_seconds())
    killed(stage, run)
    assert signals(stage) == ["15", "9"]


def test_a_task_may_name_its_stop_signal(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    container = ContainerTemplate(image="base", stop_signal="SIGINT")
    run = stage.trigger(dag(task("a", container=container)))
    stage.wait_state(run, "a", RUNNING)
    stage.cancel(run)
    killed(stage, run)
    assert signals(stage) == ["2"]


def test_one_that_runs_too_long_is_stopped(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    run = stage.trigger(dag(task("a", execution_timeout=timedelta(minutes=1))))
    stage.wait_state(run, "a", RUNNING)
    clock.advance(60)
    stage.scheduler.wake()
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    assert view.tries[0].reason is not None
    assert view.tries[0].reason.code is ReasonCode.TIMEOUT
    assert signals(stage) == ["15"]


@pytest.mark.parametrize("verb", ["create", "attach_logs", "start"])
def test_one_that_is_being_launched_never_starts_or_is_stopped_at_once(stage: Stage, verb: str) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    pause = stage.engine.faults.pause(verb)
    run = stage.trigger(dag(task("a")))
    assert pause.reached.wait(SOON)
    stage.cancel(run)
    stage.heard.wait_for(lambda: stage.view(run).tries[0].stop_requested_at is not None, "the request")
    pause.proceed.set()
    assert killed(stage, run).tries[0].log_complete
    assert sum(stage.starts().values()) == (1 if verb == "start" else 0)


def test_one_whose_start_is_not_answered_is_stopped(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    stage.engine.faults.fail("start", EngineTimeoutError("not answered"), after_effect=True)
    stage.begin()
    pause = stage.engine.faults.pause("inspect")
    run = stage.trigger(dag(task("a")))
    assert pause.reached.wait(SOON)
    stage.cancel(run)
    stage.heard.wait_for(lambda: stage.view(run).tries[0].stop_requested_at is not None, "the request")
    pause.proceed.set()
    killed(stage, run)


def test_one_that_waits_for_its_turn_at_the_start_gate_gets_no_container(stage: Stage) -> None:
    stage.settings = stage.with_settings(engine=EngineSettings(launchers=1))
    stage.begin()
    pause = stage.engine.faults.pause("create")
    run = stage.trigger(dag(task("a"), task("b")))
    assert pause.reached.wait(SOON)
    stage.heard.wait_for(lambda: len(stage.view(run).tries) == 2, "both tries")
    stage.cancel(run)
    stage.heard.wait_for(lambda: all(each.stop_requested_at for each in stage.view(run).tries), "the request")
    pause.proceed.set()
    killed(stage, run)
    assert stage.creations("a") + stage.creations("b") == 1


def test_one_that_waits_for_a_limit_gets_no_try(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True), "b": Program(stays=True)}
    stage.settings = stage.with_settings(scheduling=SchedulingSettings(parallelism=1))
    stage.begin()
    run = stage.trigger(dag(task("a", priority_weight=2), task("b")))
    stage.wait_state(run, "a", RUNNING)
    stage.wait_state(run, "b", TaskState.QUEUED)
    stage.cancel(run)
    assert len(killed(stage, run).tries) == 1


def test_one_that_waits_for_its_image_is_over_at_once(stage: Stage) -> None:
    pause = stage.images.faults.pause("ensure")
    stage.begin()
    run = stage.trigger(dag(task("a")))
    assert pause.reached.wait(SOON)
    stage.cancel(run)
    assert killed(stage, run).tries == ()
    pause.proceed.set()
    stage.check_running(dag(task("a"), dag_id="other"))


def test_one_that_waits_for_a_retry_is_over_at_once(stage: Stage) -> None:
    stage.script.programs = {"a": Program(exit_code=1)}
    stage.begin()
    run = stage.trigger(dag(task("a", retry=retries(1, delay=timedelta(hours=1)))))
    stage.wait_state(run, "a", TaskState.UP_FOR_RETRY)
    stage.cancel(run)
    view = stage.wait(run)
    assert view.run.state is RunState.FAILED
    assert len(view.tries) == 1


def test_an_engine_that_is_away_gets_the_signal_when_it_is_back(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", RUNNING)
    stage.engine.go_down()
    stage.cancel(run)
    refused = stage.engine.faults.pause("signal")
    assert refused.reached.wait(SOON)
    refused.proceed.set()
    stage.engine.come_up()
    killed(stage, run)
    assert signals(stage) == ["15"]


def test_a_signal_that_the_engine_refuses_is_sent_again(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.script.programs = {"a": Program(stays=True)}
    stage.engine.faults.fail("signal", EngineError("cannot kill container: an inner fault"))
    stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", RUNNING)
    stage.cancel(run)
    stage.heard.wait_for(lambda: stage.engine.calls.count("signal") == 1, "the refused signal")
    for _ in range(2):  # somebody else waits for a second too
        clock.let_pass(1.0)
    killed(stage, run)


def test_looking_at_the_engine_meanwhile_sends_no_second_signal(stage: Stage) -> None:
    stage.script.programs = {"a": _DEAF}
    stage.begin()
    run = stage.trigger(dag(task("a", stop_grace=timedelta(hours=1))))
    stage.wait_state(run, "a", RUNNING)
    stage.cancel(run)
    stage.heard.wait_for(lambda: signals(stage) == ["15"], "TERM")
    for _ in range(3):
        listed = stage.engine.faults.pause("list_ours", after_effect=True)
        stage.scheduler.reconcile()
        assert listed.reached.wait(SOON)
        listed.proceed.set()
    listed = stage.engine.faults.pause("list_ours")
    stage.scheduler.reconcile()
    assert listed.reached.wait(SOON)  # the pass before is through
    assert signals(stage) == ["15"]
    listed.proceed.set()
    stage.engine.finish(stage.container("a").id)
    killed(stage, run)


def test_a_stop_that_came_to_nothing_is_asked_for_again_at_the_next_look(
    still_stage: Stage, clock: ManualClock
) -> None:
    stage = still_stage
    stage.script.programs = {"a": Program(stays=True)}
    stage.engine.faults.fail("signal", NoSuchContainerError("a passing fault"))
    stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", RUNNING)
    stage.cancel(run)
    stage.heard.wait_for(lambda: stage.engine.calls.count("signal") == 1, "the first signal")
    for _ in range(2):
        clock.let_pass(PERIOD)
    killed(stage, run)


def test_the_grace_goes_on_over_a_restart(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.script.programs = {"a": _DEAF}
    first = stage.begin()
    run = stage.trigger(dag(task("a", stop_grace=_GRACE)))
    stage.wait_state(run, "a", RUNNING)
    stage.cancel(run)
    stage.heard.wait_for(lambda: stage.view(run).tries[0].kill_at is not None, "the begin of its grace")
    first.kill()
    clock.advance(5)
    stage.begin()
    clock.let_pass(2)  # what is left of it
    killed(stage, run)
    assert signals(stage) == ["15", "9"]


def test_who_was_not_signalled_before_a_restart_has_its_whole_grace(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.script.programs = {"a": _DEAF}
    first = stage.begin()
    run = stage.trigger(dag(task("a", stop_grace=_GRACE)))
    stage.wait_state(run, "a", RUNNING)
    pause = first.life.at("signal")
    stage.cancel(run)
    assert pause.reached.wait(SOON)
    first.kill()
    clock.advance(3600)
    stage.begin()
    stage.heard.wait_for(lambda: signals(stage) == ["15"], "TERM")
    clock.let_pass(_GRACE.total_seconds())
    killed(stage, run)
    assert signals(stage) == ["15", "9"]
