"""A machine that sleeps for an hour in mid-run (invariant I16): nothing times out, and nothing is called lost, that
would not have been without the hour. The clock jumps, or goes on while we stand still."""

from datetime import timedelta

import pytest
from scheduler_stage import SOON, Stage, dag, retries, task, templated

from orchestrator.ids import RunKey
from orchestrator.planning.rows import Reason
from orchestrator.ports import RenderFacts
from orchestrator.spec.dag import ContainerTemplate, SensorSpec
from orchestrator.states import ReasonCode, TaskState
from orchestrator.testing.fake_engine import Outage
from orchestrator.testing.lives import Life
from orchestrator.testing.manual_clock import ManualClock
from orchestrator.testing.programs import Program

SUCCESS, FAILED, RUNNING = TaskState.SUCCESS, TaskState.FAILED, TaskState.RUNNING
MINUTE = timedelta(minutes=1)
HOUR = 3600
_STAYS = Program(stays=True)
_DEAF = Program(stays=True, deaf_to=frozenset({"TERM"}))

pytestmark = pytest.mark.parametrize("sleep", ["jump", "advance"])


def _asleep(stage: Stage, clock: ManualClock, sleep: str) -> None:
    """An hour passes, and the engine has told again."""
    passes = stage.engine.calls.count("list_ours")
    getattr(clock, sleep)(HOUR)
    stage.scheduler.wake()
    stage.heard.wait_for(lambda: stage.engine.calls.count("list_ours") > passes, "a look at the engine")
    stage.heard.wait_for(lambda: not stage.vigil.look().held, "the engine's word")


def _pass(stage: Stage, clock: ManualClock, minutes: int) -> None:
    """Time passes while everybody is awake."""
    for _ in range(minutes):
        clock.advance(60)
        stage.vigil.look()
    stage.scheduler.wake()


def _stopping(stage: Stage, run: RunKey) -> list[str]:
    return [each.key.task.task_id for each in stage.view(run).tries if each.stop_requested_at is not None]


def test_an_hour_of_sleep_is_held_against_no_task(still_stage: Stage, clock: ManualClock, sleep: str) -> None:
    stage = still_stage
    stage.script.programs = {"long": _STAYS, "talks": _STAYS, "looks": _STAYS}
    stage.begin()
    sensor = SensorSpec(timeout=10 * MINUTE)
    tasks = (
        task("long", execution_timeout=10 * MINUTE),
        task("talks", idle_timeout=10 * MINUTE),
        task("looks", sensor=sensor, skip_on_exit_code=(99,)),
    )
    run = stage.trigger(dag(*tasks))
    for each in tasks:
        stage.wait_state(run, each.task_id, RUNNING)
    _pass(stage, clock, 8)
    _asleep(stage, clock, sleep)
    _pass(stage, clock, 1)
    stage.check_running(dag(task("other"), dag_id="e"))  # several turns
    assert _stopping(stage, run) == []
    for each in tasks:
        stage.engine.finish(stage.container(each.task_id).id)
    view = stage.wait(run)
    stage.check_end(view, {"long": SUCCESS, "talks": SUCCESS, "looks": SUCCESS})
    assert all(each.failures + each.losses == 0 for each in view.tasks)


def test_what_was_left_of_a_time_out_is_left_after_it_too(
    still_stage: Stage, clock: ManualClock, sleep: str
) -> None:
    stage = still_stage
    stage.script.programs = {"a": _STAYS}
    stage.begin()
    run = stage.trigger(dag(task("a", execution_timeout=10 * MINUTE)))
    stage.wait_state(run, "a", RUNNING)
    _pass(stage, clock, 5)
    _asleep(stage, clock, sleep)
    _pass(stage, clock, 4)
    assert _stopping(stage, run) == []
    _pass(stage, clock, 1)
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    assert [each.reason.code for each in view.tries if each.reason] == [ReasonCode.TIMEOUT]


def test_an_engine_that_wakes_up_later_is_waited_for(still_stage: Stage, clock: ManualClock, sleep: str) -> None:
    stage = still_stage
    stage.script.programs = {"runs": _STAYS, "ended": _STAYS}
    stage.begin()
    policy = retries(2)
    limit = 3 * MINUTE
    run = stage.trigger(
        dag(
            task("runs", execution_timeout=limit, retry=policy),
            task("ended", execution_timeout=limit, retry=policy),
        )
    )
    stage.wait_state(run, "runs", RUNNING)
    stage.wait_state(run, "ended", RUNNING)
    stage.engine.go_down(Outage.CONNECTION)
    getattr(clock, sleep)(HOUR)
    stage.engine.finish(stage.container("ended").id)
    _pass(stage, clock, 2)
    assert _stopping(stage, run) == []
    stage.engine.come_up()
    clock.advance(5)  # who waits for it looks again
    stage.wait_state(run, "ended", SUCCESS)
    stage.engine.finish(stage.container("runs").id)
    view = stage.wait(run)
    stage.check_end(view, {"runs": SUCCESS, "ended": SUCCESS})
    assert [(each.tries, each.failures, each.losses) for each in view.tasks] == [(1, 0, 0)] * 2


def test_one_that_is_being_created_meanwhile_starts(still_stage: Stage, clock: ManualClock, sleep: str) -> None:
    stage = still_stage
    stage.begin()
    pause = stage.engine.faults.pause("create")
    run = stage.trigger(dag(task("a", start_timeout=MINUTE)))
    assert pause.reached.wait(SOON)
    _asleep(stage, clock, sleep)
    pause.proceed.set()
    stage.check_end(stage.wait(run), {"a": SUCCESS})


def test_a_rendering_that_ran_out_of_time_meanwhile_is_done_again(
    still_stage: Stage, clock: ManualClock, sleep: str
) -> None:
    stage = still_stage
    made: list[ContainerTemplate | Reason] = [
        ContainerTemplate(image="base"),
        Reason(code=ReasonCode.RENDER_ERROR, text="it took too long"),
    ]

    def render(_: RenderFacts) -> ContainerTemplate | Reason:
        if len(made) == 2:
            getattr(clock, sleep)(HOUR)
        return made.pop()

    stage.authoring.rendering = render
    stage.begin()
    run = stage.trigger(dag(task("a", container=templated("{{ ds }}"))))
    stage.check_end(stage.wait(run), {"a": SUCCESS})
    assert made == []


def test_a_grace_that_ended_meanwhile_is_a_minute_longer(
    still_stage: Stage, clock: ManualClock, sleep: str
) -> None:
    stage = still_stage
    stage.script.programs = {"a": _DEAF}
    stage.begin()
    run = stage.trigger(dag(task("a", stop_grace=timedelta(seconds=30))))
    stage.wait_state(run, "a", RUNNING)
    stage.cancel(run)
    stage.heard.wait_for(lambda: stage.view(run).tries[0].kill_at is not None, "the begin of its grace")
    _asleep(stage, clock, sleep)
    clock.advance(29)
    stage.check_running(dag(task("other"), dag_id="e"))
    assert stage.container("a").runs
    for _ in range(4):
        clock.advance(10)
        stage.vigil.look()
    stage.check_end(stage.wait(run), {"a": FAILED})


def test_a_removal_that_is_told_of_after_it_is_no_loss(still_stage: Stage, clock: ManualClock, sleep: str) -> None:
    """It waits to hear that a container of an earlier process is gone, and sleeps."""
    stage = still_stage
    life = Life()
    pause = life.at("attach_logs")
    first = stage.begin(life)
    run = stage.trigger(dag(task("a")))
    assert pause.reached.wait(SOON)
    first.kill()
    stage.begin()
    stage.engine.board.hold()
    stage.heard.wait_for(lambda: stage.engine.calls.count("remove") == 1, "the removal")
    getattr(clock, sleep)(HOUR)
    stage.engine.board.release()
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS})
    assert len(view.tries) == 1
