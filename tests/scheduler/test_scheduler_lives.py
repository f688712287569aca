"""A scheduler that is killed at any moment, and the next one over the same store and the same engine: what had
started goes on in its container, what had not is created anew, no try runs twice, nothing is lost or left over
(invariants I1 to I4)."""

import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scheduler_stage import PAGE, RESULT, SOON, Stage, dag, retries, staged, task

from orchestrator.errors import EngineTimeoutError, FencedError
from orchestrator.ids import RunKey
from orchestrator.planning.rows import RequestKind, TryOutcome
from orchestrator.spec.container import ContainerState, EngineEventKind
from orchestrator.spec.dag import ContainerTemplate, DagSpec
from orchestrator.states import ReasonCode, TaskState
from orchestrator.testing.lives import Life
from orchestrator.testing.manual_clock import ManualClock
from orchestrator.testing.programs import Program, says

SUCCESS, FAILED, RUNNING = TaskState.SUCCESS, TaskState.FAILED, TaskState.RUNNING
_WITH_FILES = ContainerTemplate(image="base", inputs={"/in/a.txt": "text"})
_SAYS_MORE = Program(files={RESULT: b"[1]"}, output=says("out\n").output)


def chain() -> DagSpec:
    return dag(task("a", container=_WITH_FILES), task("b", "a"))


def asked(stage: Stage, spec: DagSpec) -> None:
    """The DAG is known and a run is asked for; nobody has taken it up yet."""
    first = stage.begin()
    stage.define(spec)
    stage.heard.wait_for(lambda: stage.store.dag(spec.dag_id) is not None, "the DAG")
    first.end()
    stage.store.ask(RequestKind.TRIGGER, {"dag_id": spec.dag_id}, "a test", stage.clock.now())


def the_run(stage: Stage, spec: DagSpec) -> RunKey:
    stage.heard.wait_for(lambda: bool(stage.store.runs(spec.dag_id, PAGE)), "the run")
    return stage.store.runs(spec.dag_id, PAGE)[0].key


def _all_over(stage: Stage, spec: DagSpec) -> bool:
    runs = stage.store.runs(spec.dag_id, PAGE)
    return bool(runs) and all(each.state.final for each in runs)


#: Moments at which a container is there and was not started.
_CREATED_ONLY = [("create", True), *product(("attach_logs", "put_files"), (False, True)), ("start", False)]


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("verb", ["create", "attach_logs", "put_files", "start", "read_file", "remove"])
def test_killed_at_a_call_to_the_engine(stage: Stage, verb: str, *, after_effect: bool) -> None:
    stage.script.programs = {"a": _SAYS_MORE}
    life = Life()
    moment = life.at(verb, after_effect=after_effect)
    first = stage.begin(life)
    run = stage.trigger(chain())
    assert moment.reached.wait(SOON)
    first.kill()
    stage.begin()
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    assert len(view.tries) == 2
    assert view.results["a"] == [1]
    assert stage.log(view.tries[0]) == b"out\n"
    assert stage.creations("a") == (2 if (verb, after_effect) in _CREATED_ONLY else 1)


@given(calls=st.integers(2, 70))
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_killed_after_any_call_to_store_or_engine(calls: int) -> None:
    with tempfile.TemporaryDirectory() as folder, staged(Path(folder)) as stage:
        stage.script.programs = {"a": _SAYS_MORE, "b": [Program(exit_code=1), _SAYS_MORE]}
        spec = dag(task("a", container=_WITH_FILES), task("b", "a", retry=retries(1)), task("c"), task("e", "b"))
        asked(stage, spec)
        first = stage.begin(Life(calls))
        stage.heard.wait_for(lambda: first.life.over or _all_over(stage, spec), "the end of a life")
        first.kill() if first.life.over else first.end()
        stage.begin()
        view = stage.wait(the_run(stage, spec))
        stage.check_end(view, dict.fromkeys("abce", SUCCESS))
        assert len(view.tries) == 5
        assert len(stage.store.runs(spec.dag_id, PAGE)) == 1
        assert (view.results["a"], view.results["b"]) == ([1], [1])
        assert {stage.log(each) for each in view.tries if each.key.task.task_id == "a"} == {b"out\n"}


@given(lives=st.lists(st.integers(2, 30), min_size=2, max_size=6))
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
def test_killed_again_and_again(lives: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder, staged(Path(folder)) as stage:
        spec = dag(task("a"), task("b", "a"), task("c", "a"), task("e", "b", "c"))
        asked(stage, spec)
        for calls in lives:
            running = stage.begin(Life(calls))
            stage.heard.wait_for(lambda running=running: running.life.over or _all_over(stage, spec), "a life")
            running.kill() if running.life.over else running.end()
        stage.begin()
        view = stage.wait(the_run(stage, spec))
        stage.check_end(view, dict.fromkeys("abce", SUCCESS))
        assert len(view.tries) == 4


def test_what_runs_is_adopted_with_its_log_and_result(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True, output=says("early\n").output, files={RESULT: b"[1]"})}
    first = stage.begin()
    run = stage.trigger(chain())
    stage.wait_state(run, "a", RUNNING)
    container = stage.container("a").id
    first.kill()
    stage.engine.write(container, b"nobody listens\n")
    stage.begin()
    stage.heard.wait_for(lambda: stage.view(run).tries[0].adopted == 1, "the adoption")
    stage.engine.write(container, b"late\n")
    stage.engine.finish(container)
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    assert stage.log(view.tries[0]) == b"early\nnobody listens\nlate\n"
    assert view.tries[0].container_id == container
    assert view.results["a"] == [1]


def test_what_exited_while_nobody_ran_is_collected(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True, exit_code=3)}
    first = stage.begin()
    run = stage.trigger(dag(task("a")))
    stage.wait_state(run, "a", RUNNING)
    first.kill()
    stage.engine.finish(stage.container("a").id)
    stage.begin()
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    assert view.tries[0].exit is not None
    assert view.tries[0].exit.exit_code == 3


def test_what_was_removed_while_nobody_ran_is_lost(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    first = stage.begin()
    run = stage.trigger(dag(task("a", retry=retries(0, infrastructure_retries=0))))
    stage.wait_state(run, "a", RUNNING)
    first.kill()
    stage.engine._remove(stage.container("a").id, force=True)
    stage.begin()
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    assert view.tries[0].reason is not None
    assert view.tries[0].reason.code is ReasonCode.CONTAINER_LOST
    assert view.tries[0].log_complete is False


# --- the fence ------------------------------------------------------------------------------------------------


@pytest.fixture
def unstarted(stage: Stage) -> Iterator[tuple[Stage, RunKey]]:
    """A container that a killed scheduler had created, and whose start may be on its way."""
    stage.script.programs = {"a": Program(stays=True)}
    life = Life()
    moment = life.at("start")
    first = stage.begin(life)
    run = stage.trigger(dag(task("a", retry=retries(0, infrastructure_retries=0))))
    assert moment.reached.wait(SOON)
    first.kill()
    yield stage, run
    for container in stage.engine.containers:
        if container.runs:
            stage.engine.finish(container.id)


def test_what_an_earlier_life_created_is_removed_without_force_and_made_anew(
    unstarted: tuple[Stage, RunKey],
) -> None:
    stage, run = unstarted
    old = stage.container("a").id
    stage.engine.board.hold()  # its `destroy` event is waited for
    stage.begin()
    stage.engine.board.release()
    stage.wait_state(run, "a", RUNNING)
    assert stage.container("a").id != old
    stage.engine.finish(stage.container("a").id)
    stage.check_end(stage.wait(run), {"a": SUCCESS})
    assert [call.verb for call in stage.engine.calls.all if call.subject == old].count("remove") == 1


def test_a_late_start_that_comes_before_the_removal_is_adopted(unstarted: tuple[Stage, RunKey]) -> None:
    stage, run = unstarted
    old = stage.container("a")
    removal = stage.engine.faults.pause("remove")
    stage.begin()
    assert removal.reached.wait(SOON)
    stage.engine._start(old)
    removal.proceed.set()
    stage.wait_state(run, "a", RUNNING)
    assert stage.container("a") is old
    stage.engine.finish(old.id)
    stage.check_end(stage.wait(run), {"a": SUCCESS})
    assert stage.creations("a") == 1


def test_a_late_start_that_has_come_and_gone_before_the_removal_is_a_loss(unstarted: tuple[Stage, RunKey]) -> None:
    stage, run = unstarted
    old = stage.container("a")
    removal = stage.engine.faults.pause("remove")
    stage.begin()
    assert removal.reached.wait(SOON)
    stage.engine.board.lose(EngineEventKind.DIE)
    stage.engine._start(old)
    stage.engine.finish(old.id)
    removal.proceed.set()
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    assert view.tries[0].outcome is TryOutcome.LOST
    assert stage.creations("a") == 1


def test_where_the_removal_is_not_answered_and_the_events_break_nobody_runs_it_again(
    unstarted: tuple[Stage, RunKey],
) -> None:
    stage, run = unstarted
    removal = stage.engine.faults.pause("remove", after_effect=True)
    stage.engine.board.lose(EngineEventKind.DESTROY)
    stage.begin()
    assert removal.reached.wait(SOON)
    stage.engine.board.disconnect("a short breath")
    removal.proceed.set()
    stage.engine.board.connect()
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    assert view.tries[0].outcome is TryOutcome.LOST
    assert stage.creations("a") == 1


def test_where_the_removal_is_not_answered_its_destroy_event_decides(unstarted: tuple[Stage, RunKey]) -> None:
    stage, run = unstarted
    stage.engine.faults.fail("remove", EngineTimeoutError("not answered"), after_effect=True)
    stage.begin()
    stage.wait_state(run, "a", RUNNING)
    stage.engine.finish(stage.container("a").id)
    stage.check_end(stage.wait(run), {"a": SUCCESS})


def test_where_neither_an_answer_nor_an_event_tells_of_the_removal_nobody_runs_it_again(
    unstarted: tuple[Stage, RunKey],
) -> None:
    stage, run = unstarted
    stage.engine.faults.fail("remove", EngineTimeoutError("not answered"), after_effect=True)
    stage.engine.board.lose(EngineEventKind.DESTROY)
    stage.begin()
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    assert view.tries[0].outcome is TryOutcome.LOST
    assert stage.creations("a") == 1


def test_an_exit_before_this_life_knows_the_container_has_it_looked_for_at_once(
    still_stage: Stage, clock: ManualClock
) -> None:
    """Its start was not recorded, and it ends while the first list is on its way."""
    stage = still_stage
    stage.script.programs = {"a": Program(stays=True)}
    life = Life()
    moment = life.at("start", after_effect=True)
    first = stage.begin(life)
    run = stage.trigger(dag(task("a", result_from=None)))
    assert moment.reached.wait(SOON)
    first.kill()
    listed = stage.engine.faults.pause("list_ours", after_effect=True)
    stage.begin()
    assert listed.reached.wait(SOON)
    stage.engine.finish(stage.container("a").id)
    listed.proceed.set()
    stage.wait_state(run, "a", SUCCESS)  # though no time has passed
    stage.check_end(stage.wait(run), {"a": SUCCESS})


def test_where_its_destroy_event_never_comes_nobody_runs_it_again(still_stage: Stage, clock: ManualClock) -> None:
    stage = still_stage
    life = Life()
    moment = life.at("start")
    first = stage.begin(life)
    run = stage.trigger(dag(task("a", retry=retries(0, infrastructure_retries=0))))
    assert moment.reached.wait(SOON)
    first.kill()
    stage.engine.board.lose(EngineEventKind.DESTROY)
    removal = stage.engine.faults.pause("remove", after_effect=True)
    stage.begin()
    assert removal.reached.wait(SOON)
    removal.proceed.set()
    while stage.view(run).tries[0].outcome is None:  # it waits second by second
        clock.let_pass(1.0)
    assert clock.monotonic() >= 30
    view = stage.wait(run)
    stage.check_end(view, {"a": FAILED})
    assert view.tries[0].outcome is TryOutcome.LOST
    assert stage.creations("a") == 1


def test_a_launcher_that_leads_no_more_starts_nothing(stage: Stage) -> None:
    life = Life()
    moment = life.at("epoch")
    first = stage.begin(life)
    run = stage.trigger(dag(task("a")))
    assert moment.reached.wait(SOON)
    stage.store.take_lead("another", stage.clock.now())
    moment.proceed.set()
    first.thread.join(SOON)
    assert [type(error) for error in first.error] == [FencedError]
    assert stage.starts() == {}
    assert stage.container("a").state is ContainerState.CREATED
    stage.begin()
    stage.check_end(stage.wait(run), {"a": SUCCESS})


def test_a_loop_that_leads_no_more_writes_nothing(stage: Stage) -> None:
    stage.script.programs = {"a": Program(stays=True)}
    first = stage.begin()
    run = stage.trigger(dag(task("a"), task("b", "a")))
    stage.wait_state(run, "a", RUNNING)
    second = stage.begin()
    stage.heard.wait_for(lambda: stage.view(run).tries[0].adopted == 1, "the adoption")
    stage.engine.finish(stage.container("a").id)
    view = stage.wait(run)
    first.scheduler.wake()
    first.thread.join(SOON)
    assert [type(error) for error in first.error] == [FencedError]
    assert second.error == []
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
