"""Tries with a limit of memory are sampled while they run; the highest sample is told of one that ran out of it."""

import msgspec
from scheduler_stage import Stage, dag, task

from orchestrator.errors import EngineUnavailableError
from orchestrator.ids import RunKey
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.states import ReasonCode, TaskState
from orchestrator.testing.programs import Program

MIB = 2**20


def limited_run(stage: Stage) -> RunKey:
    """Of a task with a limit, which runs until a test ends it, and of one without."""
    holds = Program(stays=True, oom_killed=True, memory=60 * MIB)
    stage.script.programs = {"a": holds, "free": Program(stays=True)}
    stage.begin()
    limited = task("a", container=ContainerTemplate(image="base", mem_limit="64m"))
    run = stage.trigger(dag(limited, task("free")))
    for name in ("a", "free"):
        stage.wait_state(run, name, TaskState.RUNNING)
    return run


def look(stage: Stage) -> None:
    """One look, and its answers."""
    watch = stage.scheduler._containers._memory
    watch.look()
    stage.heard.wait_for(lambda: not watch._asked, "the answers")


def test_the_highest_sample_is_told_of_what_ran_out_of_memory(still_stage: Stage) -> None:
    run = limited_run(still_stage)
    container = still_stage.container("a")
    for held in (40, 60, 20):
        container.program = msgspec.structs.replace(container.program, memory=held * MIB)
        look(still_stage)
    still_stage.engine.finish(container.id, 137)
    still_stage.engine.finish(still_stage.container("free").id)
    (ended,) = [each for each in still_stage.wait(run).tries if each.key.task.task_id == "a"]
    assert ended.exit is not None
    assert ended.exit.highest_memory == 60 * MIB
    assert ended.reason is not None
    assert ended.reason.code is ReasonCode.OOM_KILLED
    text = "it ran out of memory; its mem_limit is 64 MiB, the highest sample of its memory 60.0 MiB"
    assert ended.reason.text == text


def test_only_what_has_a_limit_is_sampled(still_stage: Stage) -> None:
    run = limited_run(still_stage)
    look(still_stage)
    asked = [call.subject for call in still_stage.engine.calls.all if call.verb == "memory"]
    assert asked == [still_stage.container("a").id]
    still_stage.cancel(run)
    still_stage.wait(run)
    look(still_stage)
    assert still_stage.engine.calls.count("memory") == 1, "nothing runs any more"


def test_an_engine_that_gives_no_sample_costs_that_sample_alone(still_stage: Stage) -> None:
    run = limited_run(still_stage)
    still_stage.engine.faults.fail("memory", EngineUnavailableError("away"))
    look(still_stage)
    (entry,) = [each for each in still_stage.attempts.all() if each.attempt.key.task.task_id == "a"]
    assert entry.highest_memory is None
    look(still_stage)
    assert entry.highest_memory == 60 * MIB
    still_stage.cancel(run)
    still_stage.wait(run)


def test_what_is_being_asked_about_is_not_asked_about_again(still_stage: Stage) -> None:
    run = limited_run(still_stage)
    slow = still_stage.engine.faults.pause("memory")
    watch = still_stage.scheduler._containers._memory
    watch.look()
    assert slow.reached.wait(20)
    watch.look()
    slow.proceed.set()
    still_stage.heard.wait_for(lambda: not watch._asked, "the answer")
    assert still_stage.engine.calls.count("memory") == 1
    still_stage.cancel(run)
    still_stage.wait(run)
