"""Sensors in a whole scheduler: one try over many short containers, with one log, whoever is killed in between."""

import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scheduler_stage import PAGE, RESULT, SOON, Stage, dag, staged, task

from orchestrator.ids import RunKey
from orchestrator.planning.rows import RequestKind, Try, TryOutcome
from orchestrator.ports import LogFlag
from orchestrator.queries import RunView
from orchestrator.spec.dag import DagSpec, ResultFrom, SensorSpec, TaskSpec
from orchestrator.states import ReasonCode, RunState, TaskState
from orchestrator.testing.lives import Life
from orchestrator.testing.manual_clock import ManualClock
from orchestrator.testing.programs import Output, Program, says

SUCCESS, WAITS = TaskState.SUCCESS, TaskState.UP_FOR_RESCHEDULE
A_MOMENT = timedelta(milliseconds=1)
THERE = Program(output=says("there\n").output, files={RESULT: b'"found"'})
LOG = b"look 0\nno end 0" + b"look 1\nno end 1" + b"there\n"


def sensor(task_id: str = "look", interval: timedelta = A_MOMENT, **fields: object) -> TaskSpec:
    return task(task_id, sensor=SensorSpec(poke_interval=interval), **fields)


def looking(stage: Stage, times: int, found: Program = THERE) -> None:
    """It finds nothing so often, then something."""

    def program() -> Program:
        number = stage.ends("look")
        said = tuple(Output(data=text.encode()) for text in (f"look {number}\n", f"no end {number}"))
        return Program(output=said, exit_code=75) if number < times else found

    stage.script.programs["look"] = program


def system_lines(stage: Stage, attempt: Try) -> list[bytes]:
    return [each.data for each in stage.logs.records(attempt.key) if LogFlag.SYSTEM in each.flags]


def is_whole(stage: Stage, view: RunView) -> None:
    stage.check_end(view, {"look": SUCCESS, "then": SUCCESS})
    attempt = next(each for each in view.tries if each.key.task.task_id == "look")
    assert (attempt.key.number, attempt.look, attempt.outcome) == (1, 3, TryOutcome.SUCCESS)
    assert stage.log(attempt) == LOG
    assert view.results["look"] == "found"
    assert stage.ends("look") == 3
    parts = [line for line in system_lines(stage, attempt) if line.startswith(b"look ")]
    assert parts == [b"look %d: it exited with 75, which means not yet\n" % number for number in (1, 2)]


def test_it_looks_until_it_finds_and_its_looks_share_a_try_and_a_log(stage: Stage) -> None:
    looking(stage, 2)
    stage.begin()
    is_whole(stage, stage.wait(stage.trigger(dag(sensor(), task("then", "look")))))


@pytest.mark.parametrize(("source", "result"), [(ResultFrom.LAST_LINE, None), (ResultFrom.ALL_LINES, ["said"])])
def test_its_result_is_of_the_look_that_found_it(stage: Stage, source: ResultFrom, result: object) -> None:
    looking(stage, 1, says("" if result is None else "said\n"))
    stage.begin()
    view = stage.wait(stage.trigger(dag(sensor(result_from=source))))
    assert view.run.state is RunState.SUCCESS
    assert view.results["look"] == result


def test_between_two_looks_it_has_no_container_and_a_restart_keeps_its_wait(tmp_path: Path) -> None:
    clock = ManualClock()
    with staged(tmp_path, clock) as stage:
        looking(stage, 1)
        first = stage.begin()
        run = stage.trigger(dag(sensor(interval=timedelta(hours=1))))
        stage.wait_state(run, "look", WAITS)
        stage.heard.wait_for(lambda: not stage.engine.containers, "its container's removal")
        first.kill()
        second = stage.begin()
        assert stage.view(run).tasks[0].due_at is not None
        clock.advance(3600)
        second.scheduler.wake()
        view = stage.wait(run)
        assert view.results["look"] == "found"
        assert stage.ends("look") == 2


def test_a_cancelled_run_ends_it_between_two_looks(stage: Stage) -> None:
    looking(stage, 9)
    stage.begin()
    run = stage.trigger(dag(sensor(interval=timedelta(hours=1))))
    stage.wait_state(run, "look", WAITS)
    stage.cancel(run)
    view = stage.wait(run)
    assert (view.run.state, view.tasks[0].state) == (RunState.FAILED, TaskState.FAILED)
    assert [each.outcome for each in view.tries] == [TryOutcome.NOT_READY]
    stage.check_end(view)


def test_one_that_may_look_no_longer_fails_with_the_reason(stage: Stage) -> None:
    looking(stage, 99)
    stage.begin()
    short = SensorSpec(poke_interval=A_MOMENT, timeout=timedelta(milliseconds=200))
    view = stage.wait(stage.trigger(dag(task("look", sensor=short))))
    reason = view.tasks[0].reason
    assert reason is not None
    assert reason.code is ReasonCode.SENSOR_TIMEOUT
    assert len(view.tries) == 1


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("verb", ["create", "attach_logs", "start", "remove"])
@pytest.mark.parametrize("look", [1, 2])
def test_killed_at_a_call_to_the_engine_in_any_look(
    stage: Stage, verb: str, look: int, *, after_effect: bool
) -> None:
    looking(stage, 2)
    life = Life()
    moments = [life.at(verb, after_effect=after_effect) for _ in range(look)]
    first = stage.begin(life)
    run = stage.trigger(dag(sensor(), task("then", "look")))
    for moment in moments:
        assert moment.reached.wait(SOON)
        if moment is not moments[-1]:
            moment.proceed.set()
    first.kill()
    stage.begin()
    is_whole(stage, stage.wait(run))


@given(calls=st.integers(2, 80))
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_killed_after_any_call_to_store_or_engine(calls: int) -> None:
    with tempfile.TemporaryDirectory() as folder, staged(Path(folder)) as stage:
        looking(stage, 2)
        spec = dag(sensor(), task("then", "look"))
        begun = stage.begin()
        stage.define(spec)
        stage.heard.wait_for(lambda: stage.store.dag("d") is not None, "the DAG")
        begun.end()
        stage.store.ask(RequestKind.TRIGGER, {"dag_id": "d"}, "a test", stage.clock.now())
        first = stage.begin(Life(calls))
        stage.heard.wait_for(lambda: first.life.over or _over(stage, spec), "the end of a life")
        first.kill() if first.life.over else first.end()
        stage.begin()
        stage.heard.wait_for(lambda: bool(stage.store.runs("d", PAGE)), "the run")
        key: RunKey = stage.store.runs("d", PAGE)[0].key
        is_whole(stage, stage.wait(key))


def _over(stage: Stage, spec: DagSpec) -> bool:
    runs = stage.store.runs(spec.dag_id, PAGE)
    return bool(runs) and all(each.state.final for each in runs)
