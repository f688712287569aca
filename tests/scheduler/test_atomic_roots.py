"""What a try writes beside a data root: it comes into it once, before anybody hears of the success, or never."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from scheduler_stage import Stage, dag, retries, staged, task

from orchestrator.errors import EngineUnavailableError, LaunchRefusedError
from orchestrator.planning.rows import TryOutcome
from orchestrator.spec.container import Mount, MountType
from orchestrator.spec.dag import ContainerTemplate, TaskSpec
from orchestrator.states import ReasonCode, TaskState
from orchestrator.testing.lives import Life
from orchestrator.testing.programs import Program

SUCCESS, FAILED = TaskState.SUCCESS, TaskState.FAILED
WRITTEN = {"/work/a": b"1", "/work/deep/b": b"2", "/other": b"3"}
IN_ROOT = {"/data/flights/a": b"1", "/data/flights/deep/b": b"2"}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as stage:
        yield stage
        assert stage.engine.stages == {}


def writing(task_id: str, *upstream: str, **fields: object) -> TaskSpec:
    mount = Mount(type=MountType.ROOT, source="flights", target="/work", atomic=True)
    return task(task_id, *upstream, container=ContainerTemplate(image="base", mounts=(mount,)), **fields)


def test_a_success_is_in_the_root_before_the_next_task_begins(stage: Stage) -> None:
    stage.script.programs = {"a": Program(files=WRITTEN)}
    pause = stage.engine.faults.pause("promote")
    stage.begin()
    run = stage.trigger(dag(writing("a"), task("b", "a")))
    assert pause.reached.wait(20)
    assert stage.engine.roots == {}
    assert stage.creations("b") == 0
    pause.proceed.set()
    stage.check_end(stage.wait(run), {"a": SUCCESS, "b": SUCCESS})
    assert stage.engine.roots == IN_ROOT


@pytest.mark.parametrize(
    "program", [Program(files=WRITTEN, exit_code=1), Program(files=WRITTEN, oom_killed=True, exit_code=137)]
)
def test_nothing_of_a_failure_comes_into_the_root(stage: Stage, program: Program) -> None:
    stage.script.programs = {"a": program}
    stage.begin()
    stage.check_end(stage.wait(stage.trigger(dag(writing("a")))), {"a": FAILED})
    assert stage.engine.roots == {}
    assert stage.engine.calls.count("promote") == 0


def test_of_a_result_that_cannot_be_used_nothing_comes_into_the_root(stage: Stage) -> None:
    stage.authoring.checking = lambda _, __: "it does not fit"
    stage.script.programs = {"a": Program(files=WRITTEN)}
    stage.begin()
    stage.check_end(stage.wait(stage.trigger(dag(writing("a", result_schema={})))), {"a": FAILED})
    assert stage.engine.roots == {}


def test_only_the_try_that_succeeds_comes_into_the_root(stage: Stage) -> None:
    stage.script.programs = {"a": [Program(files={"/work/bad": b""}, exit_code=1), Program(files=WRITTEN)]}
    stage.begin()
    stage.check_end(stage.wait(stage.trigger(dag(writing("a", retry=retries(1))))), {"a": SUCCESS})
    assert stage.engine.roots == IN_ROOT


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("verb", ["promote", "discard"])
def test_killed_around_the_promotion_the_next_life_completes_it(stage: Stage, verb: str, moment: str) -> None:
    stage.script.programs = {"a": Program(files=WRITTEN)}
    life = Life()
    pause = life.at(verb, after_effect=moment == "after")
    first = stage.begin(life)
    run = stage.trigger(dag(writing("a"), task("b", "a")))
    assert pause.reached.wait(20)
    first.kill()
    stage.begin()
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    assert stage.engine.roots == IN_ROOT
    assert len(view.tries) == 2


def test_an_engine_that_goes_away_meanwhile_costs_nothing(stage: Stage) -> None:
    stage.script.programs = {"a": Program(files=WRITTEN)}
    stage.engine.faults.fail("promote", EngineUnavailableError("away"), times=2)
    stage.engine.faults.fail("promote", EngineUnavailableError("away"), after_effect=True)
    stage.engine.faults.fail("discard", EngineUnavailableError("away"))
    stage.begin()
    view = stage.wait(stage.trigger(dag(writing("a"))))
    stage.check_end(view, {"a": SUCCESS})
    assert stage.engine.roots == IN_ROOT


def test_what_cannot_be_promoted_fails_the_try_and_stays_for_somebody_to_look_at(stage: Stage) -> None:
    stage.script.programs = {"a": Program(files=WRITTEN)}
    stage.engine.faults.fail("promote", LaunchRefusedError(ReasonCode.IMAGE_MISSING, "No such image: base"))
    stage.begin()
    view = stage.wait(stage.trigger(dag(writing("a"))))
    stage.check_end(view, {"a": FAILED})
    reason = view.tasks[0].reason
    assert reason is not None
    assert (reason.code, reason.text) == (ReasonCode.PROMOTION_FAILED, "No such image: base")
    assert stage.engine.calls.count("discard") == 0
    stage.engine.stages.clear()


def test_a_stop_that_comes_while_it_is_promoted_comes_too_late(stage: Stage) -> None:
    stage.script.programs = {"a": Program(files=WRITTEN)}
    pause = stage.engine.faults.pause("promote", after_effect=True)
    stage.begin()
    run = stage.trigger(dag(writing("a")))
    assert pause.reached.wait(20)
    stage.cancel(run)
    stage.heard.wait_for(
        lambda: any(attempt.stop_requested_at for attempt in stage.view(run).tries), "the stop of the try"
    )
    pause.proceed.set()
    view = stage.wait(run)
    assert view.tries[0].outcome is TryOutcome.SUCCESS
    assert stage.engine.roots == IN_ROOT


def test_the_image_that_promotes_is_there_before_the_task_begins(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    run = stage.trigger(dag(writing("a")))
    attempt = stage.wait_open(run, "a")
    assert attempt.spec.promoter is not None
    stage.wait_state(run, "a", TaskState.RUNNING)
    stage.engine.finish(attempt.spec.name)
    stage.check_end(stage.wait(run), {"a": SUCCESS})
