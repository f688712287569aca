"""How long a try may take to start, and say nothing; what stays when it failed. By a whole scheduler."""

from datetime import timedelta
from typing import Any

import pytest
from scheduler_stage import SOON, Stage, dag, task

from orchestrator.ids import DAG_VOLUME_KIND, DEPLOYMENT_LABEL, KIND_LABEL, RUN_VOLUME_KIND, RunKey
from orchestrator.planning.rows import Reason
from orchestrator.queries import RunView
from orchestrator.scheduler.keeping import KEPT, Keeping
from orchestrator.spec.container import ContainerSpec, Mount, MountType
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.states import ReasonCode, RunState, TaskState
from orchestrator.testing.manual_clock import ManualClock
from orchestrator.testing.programs import Output, Program

LOOK = 1.0
MINUTE = timedelta(minutes=1)


def look(stage: Stage) -> None:
    """What the scheduler does now and then with what is kept."""
    hour = timedelta(hours=1)
    volumes = {RunState.SUCCESS: hour, RunState.FAILED: 24 * hour}
    Keeping(stage.engine, stage.store, stage.store.deployment(), volumes=volumes, clock=stage.clock).look()


def reason_of(view: RunView) -> Reason:
    (only,) = view.tasks
    assert only.reason is not None
    return only.reason


def test_a_try_that_says_nothing_for_too_long_is_stopped(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a", idle_timeout=timedelta(seconds=0.5)))))
    stage.check_end(view, {"a": TaskState.FAILED})
    assert reason_of(view) == Reason(
        code=ReasonCode.IDLE_TIMEOUT, text="it said nothing for its idle_timeout of 0:00:00.500000"
    )


def test_no_try_is_silent_for_too_long_before_its_time(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    run = stage.trigger(dag(task("a", idle_timeout=timedelta(seconds=3))))
    stage.wait_state(run, "a", TaskState.RUNNING)
    for _ in range(3):  # the first look sees it, two pass in silence
        clock.let_pass(LOOK)
    assert stage.wait_open(run, "a").stop_requested_at is None
    clock.let_pass(LOOK)
    stage.heard.wait_for(lambda: stage.wait_open(run, "a").stop_requested_at is not None, "the time-out")
    stage.wait(run)


def test_a_try_that_goes_on_saying_something_is_left_alone(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    run = stage.trigger(dag(task("a", idle_timeout=timedelta(seconds=3))))
    stage.wait_state(run, "a", TaskState.RUNNING)
    attempt = stage.wait_open(run, "a")
    for number in range(8):
        clock.let_pass(LOOK)
        before = len(stage.log(attempt))
        stage.engine.write(stage.container("a").id, b"%d\n" % number)
        stage.heard.wait_for(lambda before=before: len(stage.log(attempt)) > before, "its output")  # type: ignore[misc]
    stage.engine.finish(stage.container("a").id)
    stage.check_end(stage.wait(run), {"a": TaskState.SUCCESS})


def test_a_stall_of_our_own_is_not_held_against_a_try(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    run = stage.trigger(dag(task("a", idle_timeout=timedelta(seconds=30))))
    stage.wait_state(run, "a", TaskState.RUNNING)
    clock.let_pass(LOOK)
    clock.advance(3600)
    for _ in range(2):
        clock.let_pass(LOOK)
    assert stage.wait_open(run, "a").stop_requested_at is None
    stage.engine.finish(stage.container("a").id)
    stage.check_end(stage.wait(run), {"a": TaskState.SUCCESS})


def test_a_try_that_does_not_start_in_time_never_does(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.begin()
    pause = stage.engine.faults.pause("create")
    run = stage.trigger(dag(task("a", start_timeout=timedelta(seconds=5))))
    assert pause.reached.wait(SOON)
    clock.advance(5)
    stage.heard.wait_for(lambda: stage.wait_open(run, "a").stop_requested_at is not None, "the time-out")
    pause.proceed.set()
    view = stage.wait(run)
    stage.check_end(view, {"a": TaskState.FAILED})
    assert reason_of(view).code is ReasonCode.START_TIMEOUT
    assert stage.starts() == {}


@pytest.mark.parametrize("arguments", [{"start_timeout": MINUTE}, {"idle_timeout": MINUTE}])
def test_a_try_within_its_limits_is_not_touched(stage: Stage, arguments: dict[str, Any]) -> None:
    stage.begin()
    stage.check_end(stage.wait(stage.trigger(dag(task("a", **arguments)))), {"a": TaskState.SUCCESS})


def test_a_failed_container_is_kept_for_an_hour(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.script.programs = {"bad": Program(exit_code=1), "good": Program(), "other": Program(exit_code=1)}
    stage.begin()
    tasks = (task("bad", keep_failed=True), task("good", keep_failed=True), task("other"))
    stage.wait(stage.trigger(dag(*tasks)))
    assert [each.spec.labels["orchestrator.task_id"] for each in stage.engine.containers] == ["bad"]
    clock.advance(KEPT.total_seconds() - 1)
    look(stage)
    stage.lives[-1].end()
    stage.begin()
    stage.check_running(dag(task("x"), dag_id="later"))
    assert len(stage.containers("bad")) == 1
    clock.advance(1)
    look(stage)
    assert stage.engine.containers == ()


# --- volumes of runs ------------------------------------------------------------------------------------


def mounting(kind: MountType) -> ContainerTemplate:
    return ContainerTemplate(image="base", mounts=(Mount(type=kind, target="/data"),))


def test_the_scheduler_looks_by_itself(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    stage.script.programs = {"bad": Program(exit_code=1)}
    stage.begin()
    stage.wait(stage.trigger(dag(task("bad", keep_failed=True))))
    clock.advance(KEPT.total_seconds())
    for _ in range(2):  # who waits for the second look has done the first
        clock.let_pass(60.0)
    assert stage.engine.containers == ()


@pytest.mark.parametrize(("exit_code", "hours"), [(0, 1), (1, 24)])
def test_the_volume_of_a_run_goes_some_time_after_its_end(
    still_stage: Stage, clock: ManualClock, exit_code: int, hours: int
) -> None:
    stage = still_stage
    stage.script.programs = {"a": Program(exit_code=exit_code)}
    stage.begin()
    stage.wait(
        stage.trigger(
            dag(task("a", container=mounting(MountType.RUN)), task("b", container=mounting(MountType.DAG)))
        )
    )
    deployment = stage.store.deployment()
    clock.advance(hours * 3600 - 1)
    look(stage)
    assert kinds(stage) == {RUN_VOLUME_KIND, DAG_VOLUME_KIND}
    clock.advance(1)
    look(stage)
    assert kinds(stage) == {DAG_VOLUME_KIND}
    assert all(volume.labels[DEPLOYMENT_LABEL] == deployment for volume in stage.engine.list_volumes(deployment))


def kinds(stage: Stage) -> set[str]:
    return {volume.labels[KIND_LABEL] for volume in stage.engine.list_volumes(stage.store.deployment())}


def test_the_volume_of_a_run_that_is_not_known_is_left_alone(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    deployment = stage.store.deployment()
    key = RunKey("d", "nobody")
    labels = {DEPLOYMENT_LABEL: str(deployment), KIND_LABEL: RUN_VOLUME_KIND}
    labels |= {"orchestrator.dag_id": key.dag_id, "orchestrator.run_id": key.run_id}
    spec = ContainerSpec(
        name="x", image="i", image_name="i", mounts=(Mount(source="vol", target="/v", labels=labels),)
    )
    stage.engine.remove(stage.engine.create(spec))
    clock.advance(7 * 86400)
    look(stage)
    assert [volume.name for volume in stage.engine.list_volumes(deployment)] == ["vol"]


def test_another_volume_that_carries_the_labels_of_a_run_is_left_alone(
    still_stage: Stage, clock: ManualClock
) -> None:
    stage = still_stage
    stage.begin()
    run = stage.wait(stage.trigger(dag(task("a", container=mounting(MountType.RUN))))).run
    deployment = stage.store.deployment()
    (made,) = stage.engine.list_volumes(deployment)
    spec = ContainerSpec(
        name="x", image="i", image_name="i", mounts=(Mount(source="mine", target="/v", labels=made.labels),)
    )
    stage.engine.remove(stage.engine.create(spec))
    assert run.ended_at is not None
    clock.advance(7 * 86400)
    look(stage)
    assert [volume.name for volume in stage.engine.list_volumes(deployment)] == ["mine"]


# --- results --------------------------------------------------------------------------------------------


def taking(path: str = "/out", **fields: Any) -> Any:
    return task("a", container=ContainerTemplate(image="base", retrieve_output_path=path), **fields)


@pytest.mark.parametrize(
    ("files", "result"),
    [
        ({"/out": b'{"a": 1}'}, {"a": 1}),
        ({"/out": b"just text\n"}, "just text\n"),
        ({"/out": b"[1]", "$RESULT": b"2"}, 2),
    ],
)
def test_a_file_that_is_named_is_the_result_where_there_is_no_other(
    stage: Stage, files: dict[str, bytes], result: object
) -> None:
    stage.script.programs = {"a": Program(files=files, output=(Output(data=b"said\n"),))}
    stage.begin()
    view = stage.wait(stage.trigger(dag(taking())))
    assert view.results == {"a": result}


@pytest.mark.parametrize(
    ("files", "fields", "words"),
    [
        ({}, {}, "left no file at /out"),
        ({"/out": b"\x80\x04pickled"}, {}, "neither JSON nor UTF-8 text"),
        ({"/out": b"[1]"}, {"multiple_outputs": True}, "must be an object"),
    ],
)
def test_a_named_file_that_cannot_be_the_result_fails_the_try(
    stage: Stage, files: dict[str, bytes], fields: dict[str, Any], words: str
) -> None:
    stage.script.programs = {"a": Program(files=files)}
    stage.begin()
    view = stage.wait(stage.trigger(dag(taking(**fields))))
    assert reason_of(view).code is ReasonCode.RESULT_INVALID
    assert words in reason_of(view).text


def test_a_named_file_is_not_read_where_it_is_not_to_be_retrieved(stage: Stage) -> None:
    stage.script.programs = {"a": Program(files={"/out": b"1"}, output=(Output(data=b"said\n"),))}
    stage.begin()
    assert stage.wait(stage.trigger(dag(taking(retrieve_output=False)))).results == {"a": "said"}
