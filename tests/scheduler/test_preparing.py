"""From a queued task to its container's spec: what fails fails its own task, what is away is waited for, and each
image is got once for each run."""

import pytest
from scheduler_stage import SOON, Stage, dag, task, templated

from orchestrator.errors import AuthoringServerError, EngineUnavailableError, ImageError
from orchestrator.planning.rows import Reason
from orchestrator.scheduler.notices import TaskChanged
from orchestrator.spec.dag import TaskSpec
from orchestrator.states import ReasonCode, TaskState

SUCCESS, FAILED = TaskState.SUCCESS, TaskState.FAILED


def told_reasons(stage: Stage, task_id: str) -> set[ReasonCode]:
    """Why a task waited, by what watchers were told."""
    changes = [each.task for each in stage.heard.notices if isinstance(each, TaskChanged)]
    return {each.reason.code for each in changes if each.key.task_id == task_id and each.reason is not None}


def reason_of(stage: Stage, one: TaskSpec) -> Reason:
    view = stage.wait(stage.trigger(dag(one)))
    reason = view.tasks[0].reason
    assert reason is not None
    return reason


def test_a_template_that_cannot_be_rendered_fails_its_task(stage: Stage) -> None:
    stage.authoring.rendering = lambda _: Reason(code=ReasonCode.RENDER_ERROR, text="command: no such name")
    stage.begin()
    assert reason_of(stage, task("a", container=templated("{{ nothing }}"))).text == "command: no such name"


def test_what_renders_to_nothing_a_container_can_have_fails_its_task(stage: Stage) -> None:
    stage.authoring.rendering = lambda _: templated("'unclosed")
    stage.begin()
    reason = reason_of(stage, task("a", container=templated("{{ x }}")))
    assert reason.code is ReasonCode.RENDER_ERROR
    assert "quotes" in reason.text


def test_a_renderer_that_breaks_fails_its_task_and_no_other(stage: Stage) -> None:
    stage.authoring.faults.fail("render", RuntimeError("a defect of ours"))
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a", container=templated("{{ x }}")), task("b"))))
    stage.check_end(view, {"a": FAILED, "b": SUCCESS})


def test_an_authoring_server_that_is_away_is_waited_for(stage: Stage) -> None:
    stage.authoring.faults.fail("render", AuthoringServerError("it does not start"))
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a", container=templated("echo {{ x }}")))))
    stage.check_end(view, {"a": SUCCESS})
    assert ReasonCode.PREPARING in told_reasons(stage, "a")


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (EngineUnavailableError("no engine answers"), ReasonCode.ENGINE_DOWN),
        (ImageError(ReasonCode.IMAGE_PULL_FAILED, "no registry", wait=True), ReasonCode.IMAGE_PULL_FAILED),
    ],
)
def test_an_image_that_cannot_be_had_now_is_waited_for(stage: Stage, trouble: Exception, code: ReasonCode) -> None:
    stage.images.faults.fail("ensure", trouble, times=2)
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a"))))
    stage.check_end(view, {"a": SUCCESS})
    assert code in told_reasons(stage, "a")
    assert view.tasks[0].failures == 0


def test_a_defect_in_getting_an_image_fails_who_needs_it_and_nobody_else(stage: Stage) -> None:
    stage.images.errors = {"odd": RuntimeError("a defect of ours")}
    stage.begin()
    assert reason_of(stage, task("a", image="odd")).code is ReasonCode.IMAGE_BUILD_FAILED
    stage.check_running(dag(task("b"), dag_id="other"))


def test_each_image_is_got_once_for_a_run_however_many_tasks_need_it(stage: Stage) -> None:
    pause = stage.images.faults.pause("ensure")
    stage.begin()
    run = stage.trigger(dag(*(task(f"t{number}") for number in range(10))))
    assert pause.reached.wait(SOON)
    pause.proceed.set()
    stage.check_end(stage.wait(run), {f"t{number}": SUCCESS for number in range(10)})
    assert stage.images.calls.count("ensure") == 1
    stage.check_end(stage.wait(stage.trigger(dag(task("z"), dag_id="other"))))
    assert stage.images.calls.count("ensure") == 2


def test_a_name_that_cannot_be_looked_up_fails_its_task_with_the_reason(stage: Stage) -> None:
    stage.images.faults.fail("pin", ImageError(ReasonCode.IMAGE_BUILD_FAILED, "its Dockerfile is empty"), times=2)
    stage.begin()
    reason = reason_of(stage, task("a"))
    assert reason == Reason(code=ReasonCode.IMAGE_BUILD_FAILED, text="its Dockerfile is empty")
