"""Runs from trigger to end, by a whole scheduler: order, results, retries, refusals."""

from datetime import timedelta
from typing import Any

import pytest
from scheduler_stage import RESULT, RESULT_LIMIT, Stage, dag, retries, task

from orchestrator.errors import AuthoringServerError, LaunchRefusedError
from orchestrator.planning.rows import Reason, TryOutcome
from orchestrator.spec.container import EngineEventKind
from orchestrator.spec.dag import ContainerTemplate, ResultFrom, TaskKind
from orchestrator.states import ReasonCode, RunState, TaskState, TriggerRule
from orchestrator.testing.lives import Life
from orchestrator.testing.programs import Output, Program, says

SUCCESS, FAILED, SKIPPED = TaskState.SUCCESS, TaskState.FAILED, TaskState.SKIPPED


def writes(content: bytes) -> Program:
    return Program(files={RESULT: content})


def test_a_chain_runs_in_order(stage: Stage) -> None:
    stage.begin()
    run = stage.trigger(dag(task("a"), task("b", "a"), task("c", "b")))
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS, "c": SUCCESS})
    starts = [event for event in stage.engine.board.happened if event.kind is EngineEventKind.START]
    assert [event.labels["orchestrator.task_id"] for event in starts] == ["a", "b", "c"]


def test_independent_tasks_run_at_one_time(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True), "b": Program(stays=True)}
    stage.begin()
    run = stage.trigger(dag(task("a"), task("b"), task("c", "a", "b")))
    stage.wait_state(run, "a", TaskState.RUNNING)
    stage.wait_state(run, "b", TaskState.RUNNING)
    for task_id in ("a", "b"):
        stage.engine.finish(stage.container(task_id).id)
    stage.check_end(stage.wait(run), {"a": SUCCESS, "b": SUCCESS, "c": SUCCESS})


def test_nothing_is_listed_or_inspected_between_an_exit_and_the_next_start(stage: Stage) -> None:
    stage.begin()
    run = stage.trigger(dag(task("a"), task("b", "a"), task("c", "b")))
    stage.check_end(stage.wait(run))
    verbs = [call.verb for call in stage.engine.calls.all]
    way = verbs[verbs.index("start") :]
    assert "list_ours" not in way
    assert "inspect" not in way


def test_a_log_is_stored_byte_for_byte(stage: Stage) -> None:
    said = tuple(Output(data=f"line {number}\n".encode()) for number in range(50))
    stage.script.programs = {"a": Program(output=(*said, Output(data=b"\xff no newline")))}
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a"))))
    stage.check_end(view)
    assert stage.log(view.tries[0]) == b"".join(output.data for output in said) + b"\xff no newline"


# --- results ------------------------------------------------------------------------------------------------


def test_the_result_file_is_the_result(stage: Stage) -> None:
    stage.script.programs = {"a": writes(b' {"n": [1, 2.5, null]} ')}
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a"))))
    stage.check_end(view)
    assert view.results == {"a": {"n": [1, 2.5, None]}}


def test_without_a_file_the_last_line_is_the_result(stage: Stage) -> None:
    stage.script.programs = {"a": says("first\nlast\n\n"), "b": says("")}
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a"), task("b"))))
    stage.check_end(view)
    assert view.results == {"a": "last", "b": None}


def test_all_lines_can_be_the_result(stage: Stage) -> None:
    stage.script.programs = {"a": says("one\ntwo\n")}
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a", result_from=ResultFrom.ALL_LINES))))
    stage.check_end(view)
    assert view.results == {"a": ["one", "two"]}


def test_a_task_that_pushes_nothing_has_no_result(stage: Stage) -> None:
    stage.script.programs = {"a": says("line\n"), "b": says("line\n")}
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a", push_result=False), task("b", result_from=None))))
    stage.check_end(view)
    assert view.results == {"a": None, "b": None}
    assert stage.engine.calls.count("read_file") == 1


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"{not json", ReasonCode.RESULT_INVALID, "not JSON"),
        (b"\xff", ReasonCode.RESULT_INVALID, "not JSON"),
        (b"[" * 100_000, ReasonCode.RESULT_TOO_LARGE, "100000 B"),
        (b"[" * RESULT_LIMIT, ReasonCode.RESULT_INVALID, "not JSON"),
        (b'"' + b"x" * RESULT_LIMIT + b'"', ReasonCode.RESULT_TOO_LARGE, f"limit is {RESULT_LIMIT} B"),
    ],
)
def test_a_result_that_cannot_be_used_fails_its_try(
    stage: Stage, content: bytes, code: ReasonCode, words: str
) -> None:
    stage.script.programs = {"a": writes(content)}
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a"), task("b", "a"))))
    stage.check_end(view, {"a": FAILED, "b": TaskState.UPSTREAM_FAILED})
    reason = view.tasks[0].reason
    assert reason is not None
    assert reason.code is code
    assert words in reason.text


def test_a_result_that_does_not_fit_its_schema_fails_its_try(stage: Stage) -> None:
    asked: list[tuple[dict[str, Any], bytes]] = []

    def checking(schema: dict[str, Any], data: bytes) -> str | None:
        asked.append((schema, data))
        return None if data == b"1" else "$: it is not 1"

    stage.authoring.checking = checking
    stage.authoring.faults.fail("misfit", AuthoringServerError("it is starting"))
    stage.script.programs = {"good": writes(b"1"), "bad": writes(b"2"), "none": Program(), "free": writes(b"3")}
    stage.begin()
    schema = {"const": 1}
    tasks = [task(name, result_schema=schema) for name in ("good", "bad", "none")]
    view = stage.wait(stage.trigger(dag(*tasks, task("free"))))
    stage.check_end(view, {"good": SUCCESS, "bad": FAILED, "none": FAILED, "free": SUCCESS})
    reasons = {each.key.task_id: each.reason.text for each in view.tasks if each.reason}
    assert reasons == {
        "bad": "its result does not fit result_schema: $: it is not 1",
        "none": "it handed on no result, and null does not fit result_schema: $: it is not 1",
    }
    assert sorted(data for _, data in asked) == [b"1", b"2", b"null"]
    assert view.results["bad"] is None


def test_too_much_output_for_a_result_fails_its_try(stage: Stage) -> None:
    text = "x" * 150 + "\n"
    stage.script.programs = {"a": says(text * 2)}
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a", result_from=ResultFrom.ALL_LINES))))
    stage.check_end(view, {"a": FAILED})
    assert view.tasks[0].reason is not None
    assert view.tasks[0].reason.code is ReasonCode.RESULT_TOO_LARGE


# --- exits --------------------------------------------------------------------------------------------------


def test_a_failed_try_is_followed_by_another(stage: Stage) -> None:
    stage.script.programs = {"a": [Program(exit_code=3), says("now\n")]}
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a", retry=retries(1)), task("b", "a"))))
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    first, second, _ = view.tries
    assert (first.outcome, second.outcome) == (TryOutcome.FAILED, TryOutcome.SUCCESS)
    assert first.reason is not None
    assert (first.reason.code, first.reason.text) == (ReasonCode.EXIT_CODE, "it exited with 3")
    assert view.results["a"] == "now"


def test_a_task_out_of_retries_fails_its_run(stage: Stage) -> None:
    stage.script.programs = {"a": Program(exit_code=1)}
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a", retry=retries(2)))))
    stage.check_end(view, {"a": FAILED})
    assert view.run.state is RunState.FAILED
    assert len(view.tries) == len(stage.starts()) == 3


def test_a_skip_code_skips(stage: Stage) -> None:
    stage.script.programs = {"a": Program(exit_code=99)}
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a", skip_on_exit_code=(99,)), task("b", "a"))))
    stage.check_end(view, {"a": SKIPPED, "b": SKIPPED})


@pytest.mark.parametrize("told", [True, False])
def test_a_try_out_of_memory_says_so(stage: Stage, *, told: bool) -> None:
    stage.script.programs = {"a": Program(exit_code=137, oom_killed=True)}
    if not told:
        stage.engine.board.lose(EngineEventKind.OOM)
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a"))))
    stage.check_end(view, {"a": FAILED})
    assert view.tasks[0].reason is not None
    assert view.tasks[0].reason.code is ReasonCode.OOM_KILLED


def test_an_oom_event_counts_where_the_engine_forgot_its_flag(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", TaskState.RUNNING)
    stage.engine._tell(EngineEventKind.OOM, stage.container("a"))
    stage.engine.finish(stage.container("a").id, 137)
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    assert view.tasks[0].reason is not None
    assert view.tasks[0].reason.code is ReasonCode.OOM_KILLED


# --- refusals -----------------------------------------------------------------------------------------------


def test_an_image_that_is_not_there_fails_its_task_and_no_other(stage: Stage) -> None:
    stage.images.missing = frozenset({"nowhere"})
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a", image="nowhere", retry=retries(3)), task("b"))))
    stage.check_end(view, {"a": FAILED, "b": SUCCESS})
    assert view.tasks[0].reason is not None
    assert view.tasks[0].reason.code is ReasonCode.IMAGE_MISSING


def test_an_image_that_went_after_it_was_looked_up_is_refused_at_create(stage: Stage) -> None:
    stage.engine._images = frozenset({"other"})
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a"))))
    stage.check_end(view, {"a": FAILED})
    (attempt,) = view.tries
    assert attempt.reason is not None
    assert attempt.reason.code is ReasonCode.IMAGE_MISSING
    assert attempt.container_id is None


def test_a_command_that_is_not_there_is_refused_at_start_and_its_container_removed(stage: Stage) -> None:
    stage.script.programs = {"a": Program(refused=ReasonCode.COMMAND_MISSING)}
    stage.begin()
    view = stage.wait(stage.trigger(dag(task("a", retry=retries(1)))))
    stage.check_end(view, {"a": FAILED})
    (attempt,) = view.tries
    assert attempt.reason is not None
    assert attempt.reason.code is ReasonCode.COMMAND_MISSING
    assert attempt.log_complete


def test_a_container_refused_at_start_is_removed_even_if_the_engine_goes_away_then(stage: Stage) -> None:
    stage.script.programs = {"a": Program(refused=ReasonCode.COMMAND_MISSING)}
    stage.begin()
    pause = stage.engine.faults.pause("start", after_effect=False)
    run = stage.trigger(dag(task("a")))
    assert pause.reached.wait(20)
    removal = stage.engine.faults.pause("remove")
    pause.proceed.set()
    assert removal.reached.wait(20)
    stage.engine.go_down()
    removal.proceed.set()
    stage.wait_state(run, "a", FAILED)
    stage.engine.come_up()
    stage.check_end(stage.wait(run), {"a": FAILED})


def test_files_that_the_engine_does_not_take_are_a_refusal_like_any_other(stage: Stage) -> None:
    words = "container rootfs is marked read-only"
    stage.engine.faults.fail("put_files", LaunchRefusedError(ReasonCode.CREATE_REFUSED, words))
    stage.begin()
    container = ContainerTemplate(image="base", inputs={"/in/a.txt": "text"})
    view = stage.wait(stage.trigger(dag(task("a", container=container))))
    stage.check_end(view, {"a": FAILED})
    (attempt,) = view.tries
    assert attempt.reason == Reason(code=ReasonCode.CREATE_REFUSED, text=words)
    assert attempt.log_complete


def test_a_run_that_ends_in_the_turn_that_made_it_breaks_nothing(stage: Stage) -> None:
    """Its images were asked for in that very turn."""
    never = task("never", "first", trigger_rule=TriggerRule.ALL_FAILED)
    first = task("first", kind=TaskKind.EMPTY, operator="EmptyOperator", container=None)
    life = Life()
    running = stage.begin(life)
    stage.check_running(dag(task("a"), dag_id="before"))
    life.faults.fail("load", RuntimeError("there is nothing to recover from"))
    view = stage.wait(stage.trigger(dag(first, never)))
    assert view.run.state is RunState.SUCCESS
    assert running.error == []
    stage.check_end(stage.wait(stage.trigger(dag(task("a"), dag_id="other"))), {"a": SUCCESS})


def test_a_retry_waits_for_its_delay(still_stage: Stage) -> None:
    stage = still_stage
    stage.script.programs = {"a": [Program(exit_code=1), Program()]}
    stage.begin()
    run = stage.trigger(dag(task("a", retry=retries(1, delay=timedelta(minutes=5)))))
    stage.wait_state(run, "a", TaskState.UP_FOR_RETRY)
    stage.clock.advance(299)  # type: ignore[attr-defined]  # the fixture's clock is a manual one
    stage.scheduler.wake()
    assert len(stage.starts()) == 1
    stage.clock.advance(1)  # type: ignore[attr-defined]  # see above
    stage.scheduler.wake()
    stage.check_end(stage.wait(run), {"a": SUCCESS})
