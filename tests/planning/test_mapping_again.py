"""Maps that run again: what they are expanded over may have changed, or may change while they run."""

from typing import Any

from mapped_dags import Exit, OneRun, mapped, mapped_group, over, result_of
from planning_past import ask
from planning_sim import container

from orchestrator.planning.changes import Stop
from orchestrator.planning.rows import RequestKind
from orchestrator.states import RunState


def clear(run: OneRun, tasks: str, **more: Any) -> None:
    selection = {"dag_id": "d", "run_ids": [run.key.run_id], "tasks": tasks, **more}
    answer = ask(run.leader, RequestKind.CLEAR, selection=selection)
    assert answer.ok, answer.error


def ended_run() -> OneRun:
    run = OneRun(container("list"), mapped("each", over(result_of("list"))), container("after", "each"))
    run.end(list=[1, 2])
    run.end(each=(1, 2))
    run.end(after=1)
    assert run.leader.run(run.key).state is RunState.SUCCESS
    return run


def test_a_cleared_source_has_its_map_expanded_anew_with_as_many_as_there_are_then() -> None:
    run = ended_run()
    for number in (3, 1):
        clear(run, "list", downstream=True)
        assert run.of("each") == ["waiting"]
        run.end(list=list(range(number)))
        assert run.running() == [f"each[{index}]" for index in range(number)]
        run.end(each=(1, 2, 3))
        run.end(after=1)
        assert run.of("each") == ["success"] * number
        assert run.leader.run(run.key).state is RunState.SUCCESS


def test_one_instance_can_run_again_by_itself() -> None:
    run = ended_run()
    clear(run, "each", map_indexes=[1])
    assert run.running() == ["each[1]"]
    run.end(each=1)
    assert run.of("each") == ["success"] * 2
    assert run.leader.run(run.key).state is RunState.SUCCESS


def test_instances_that_run_are_stopped_before_a_map_is_expanded_anew() -> None:
    run = OneRun(container("list"), mapped("each", over(result_of("list"))), container("after", "each"))
    run.end(list=[1, 2])
    assert run.running() == ["each[0]", "each[1]"]
    clear(run, "list", downstream=True)
    run.end(list=[1, 2, 3])
    assert run.running() == ["each[0]", "each[1]"]  # those of before, still
    stops = run.leader.take(Stop)
    for stop in stops:
        run.leader.exit(stop.attempt, 143)
    assert len(stops) == 2
    run.forget(stop.attempt.try_id for stop in stops)
    assert run.running() == ["each[0]", "each[1]", "each[2]"]
    run.end(each=(1, 2, 3))
    run.end(after=1)
    assert run.leader.run(run.key).state is RunState.SUCCESS


def test_a_group_is_expanded_anew_with_all_its_tasks() -> None:
    group, tasks = mapped_group("group", over(result_of("list")), container("a"), container("b", "a"))
    run = OneRun(container("list"), *tasks, groups=(group,))
    run.end(list=[1, 2])
    run.end(a=(1, Exit(1)))
    run.end(b=1)
    assert (run.of("a"), run.of("b")) == (["success", "failed"], ["success", "upstream_failed"])
    clear(run, "list", downstream=True)
    run.end(list=[1])
    run.end(a=1)
    run.end(b=1)
    assert (run.of("a"), run.of("b")) == (["success"], ["success"])
    assert run.leader.run(run.key).state is RunState.SUCCESS


def test_an_answer_names_the_maps_that_are_expanded_anew_with_their_source() -> None:
    run = ended_run()
    selection = {"dag_id": "d", "run_ids": [run.key.run_id], "tasks": "list"}
    answer = ask(run.leader, RequestKind.CLEAR, selection=selection)
    assert answer.data["added"] == [f"{run.key.run_id}: each[{index}]" for index in (0, 1)]
