"""Mapped tasks and groups: how many instances there are, what each waits for, and what becomes of a map whose
elements are not there."""

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mapped_dags import (
    Exit,
    Naive,
    OneRun,
    Story,
    StoryEngine,
    each_of,
    mapped,
    mapped_group,
    over,
    result_of,
    states_of,
)
from planning_sim import Leader, container, dag

from orchestrator.planning.changes import PutRun
from orchestrator.planning.contents import contents
from orchestrator.planning.rows import RequestKind
from orchestrator.planning.world import World
from orchestrator.spec.dag import DagSpec, GroupSpec, RetryPolicy, TaskSpec
from orchestrator.spec.mapping import Concat, MapSpec, Source, Zip, length, places
from orchestrator.states import ReasonCode, RunState, TaskState, TriggerRule


def test_a_task_mapped_over_a_list_in_the_dag_has_an_instance_for_each_element() -> None:
    run = OneRun(mapped("each", over(each_of("a", "b", "c"))), container("after", "each"))
    assert run.running() == ["each[0]", "each[1]", "each[2]"]
    run.end(each=1)
    assert run.of("each") == ["success"] * 3
    assert run.running() == ["after"]


def test_a_task_mapped_over_a_result_has_an_instance_for_each_element() -> None:
    run = OneRun(container("list"), mapped("each", over(result_of("list"))))
    assert run.states["each"] == {-1: TaskState.WAITING}
    run.end(list=[5, 6])
    assert run.running() == ["each[0]", "each[1]"]
    assert run.task("each").state is TaskState.REMOVED


@pytest.mark.parametrize(
    ("map_over", "number"),
    [
        (over(each_of(1, 2), each_of(1, 2, 3)), 6),
        (over(Zip(sources=(each_of(1, 2), each_of(1, 2, 3)))), 2),
        (over(Zip(sources=(each_of(1, 2), each_of(1, 2, 3)), filled=True)), 3),
        (over(Concat(sources=(each_of(1, 2), each_of(1, 2, 3)))), 5),
        (over(Concat(sources=(Zip(sources=(each_of(1), each_of(2))), each_of(3))), each_of(4, 5)), 4),
    ],
    ids=["product", "zip", "zip filled", "concat", "nested"],
)
def test_axes_multiply_and_sources_combine(map_over: MapSpec, number: int) -> None:
    assert len(OneRun(mapped("each", map_over)).running()) == number


def test_elements_are_taken_in_order_the_last_axis_fastest() -> None:
    map_over = over(each_of(1, 2), result_of("x"))
    taken = [places(map_over, index, lambda _: 3) for index in range(length(map_over, lambda _: 3))]
    assert taken == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_an_object_has_as_many_elements_as_names_and_a_part_of_a_result_can_be_mapped_over() -> None:
    tasks = [mapped("all", over(result_of("list"))), mapped("part", over(result_of("list", "rows")))]
    run = OneRun(container("list"), *tasks)
    run.end(list={"rows": [1, 2, 3], "more": 4})
    assert (len(run.of("all")), len(run.of("part"))) == (2, 3)


def test_results_of_a_mapped_task_are_mapped_over_without_those_that_are_null() -> None:
    run = OneRun(mapped("first", over(each_of(1, 2, 3, 4))), mapped("second", over(result_of("first"))))
    run.end(first=(10, None, 12, 13))
    assert run.running() == ["second[0]", "second[1]", "second[2]"]


def test_parts_of_the_results_of_a_mapped_task_are_mapped_over() -> None:
    run = OneRun(mapped("first", over(each_of(1, 2, 3))), mapped("second", over(result_of("first", "x"))))
    run.end(first=({"x": 1}, {"y": 1}, {"x": 3}))
    assert run.running() == ["second[0]", "second[1]"]


def test_a_map_over_a_mapped_task_leaves_out_instances_without_a_result_where_its_rule_lets_it_run() -> None:
    second = mapped("second", over(result_of("first")), trigger_rule=TriggerRule.ALL_DONE)
    run = OneRun(mapped("first", over(each_of(1, 2, 3))), second)
    run.end(first=(10, Exit(1), 12))
    assert run.running() == ["second[0]", "second[1]"]


def test_a_child_waits_for_all_instances() -> None:
    run = OneRun(container("list"), mapped("each", over(result_of("list"))), container("after", "each"))
    run.end(list=[1, 2])
    run.end(each=(1, Exit(1)))
    assert run.of("after") == ["upstream_failed"]
    assert run.leader.run(run.key).state is RunState.FAILED
    reason = run.leader.run(run.key).reason
    assert reason is not None
    assert reason.text.startswith("each[1]: ")


def test_each_instance_is_tried_again_by_itself() -> None:
    run = OneRun(mapped("each", over(each_of(1, 2)), retry=RetryPolicy(retries=1)))
    run.end(each=(1, Exit(1)))
    assert run.of("each") == ["success", "up_for_retry"]
    run.leader.wait(400)
    assert run.running() == ["each[1]"]
    run.end(each=1)
    assert run.leader.run(run.key).state is RunState.SUCCESS


def test_without_elements_a_task_is_skipped_and_so_is_what_needs_it() -> None:
    run = OneRun(container("list"), mapped("each", over(result_of("list"))), container("after", "each"))
    run.end(list=[])
    assert (run.of("each"), run.of("after")) == (["skipped"], ["skipped"])
    assert (reason := run.task("each").reason) is not None
    assert reason.code is ReasonCode.NO_ELEMENTS


def test_more_instances_than_allowed_are_refused_with_their_number() -> None:
    run = OneRun(container("list"), mapped("each", over(result_of("list"), each_of(1, 2), max_length=3)))
    run.end(list=[1, 2])
    assert (reason := run.task("each").reason) is not None
    assert (run.of("each"), reason.code) == (["failed"], ReasonCode.MAP_TOO_LONG)
    assert "4 instances" in reason.text
    assert run.leader.run(run.key).state is RunState.FAILED


@pytest.mark.parametrize("result", [None, 7, "text"])
def test_what_has_no_elements_fails_the_map(result: Any) -> None:
    run = OneRun(container("list"), mapped("each", over(result_of("list"))), container("after", "each"))
    run.end(list=result)
    assert (reason := run.task("each").reason) is not None
    assert (run.of("each"), reason.code) == (["failed"], ReasonCode.RESULT_INVALID)
    assert run.of("after") == ["upstream_failed"]


@pytest.mark.parametrize(("code", "ends"), [(1, "upstream_failed"), (99, "skipped")])
@pytest.mark.parametrize("rule", [TriggerRule.ALL_SUCCESS, TriggerRule.ALL_DONE, TriggerRule.ALWAYS])
def test_a_source_that_gives_nothing_ends_the_map_whatever_its_rule(
    code: int, ends: str, rule: TriggerRule
) -> None:
    source = container("list", skip_on_exit_code=(99,))
    run = OneRun(source, mapped("each", over(result_of("list")), trigger_rule=rule))
    run.end(list=Exit(code))
    assert run.of("each") == [ends]


@pytest.mark.parametrize("first", ["list", "other"])
def test_another_parent_that_failed_comes_before_the_want_of_elements(first: str) -> None:
    run = OneRun(container("list"), container("other"), mapped("each", over(result_of("list")), "other"))
    for task_id in (first, "list", "other"):
        run.end(**{task_id: [] if task_id == "list" else Exit(1)})
    assert run.of("each") == ["upstream_failed"]


# --- groups -------------------------------------------------------------------------------------------


def in_group(*tasks: TaskSpec, map_over: MapSpec | None = None) -> tuple[GroupSpec, tuple[TaskSpec, ...]]:
    return mapped_group("group", map_over or over(result_of("list")), *tasks)


def test_a_mapped_group_goes_on_in_each_index_by_itself() -> None:
    group, tasks = in_group(container("a"), container("b", "a"), map_over=over(each_of(1, 2)))
    run = OneRun(*tasks, container("after", "b"), groups=(group,))
    assert run.running() == ["a[0]", "a[1]"]
    launches = {launch.attempt.key.task.map_index: launch for launch in run._open}
    run.leader.exit(launches[1])
    assert run.states["b"] == {0: TaskState.WAITING, 1: TaskState.QUEUED}
    run.leader.exit(launches[0], code=1)
    assert run.states["b"] == {0: TaskState.UPSTREAM_FAILED, 1: TaskState.QUEUED}
    assert run.of("after") == ["upstream_failed"]


def test_all_tasks_of_a_group_without_elements_are_skipped() -> None:
    group, tasks = in_group(container("a"), container("b", "a", trigger_rule=TriggerRule.ALWAYS))
    run = OneRun(container("list"), *tasks, groups=(group,))
    run.end(list=[])
    assert (run.of("a"), run.of("b")) == (["skipped"], ["skipped"])
    assert run.leader.run(run.key).state is RunState.SUCCESS


@pytest.mark.parametrize("first", ["list", "other"])
def test_a_group_is_expanded_whether_a_parent_outside_failed_before_or_after(first: str) -> None:
    group, tasks = in_group(container("a"), container("b", "a", "other"))
    run = OneRun(container("list"), container("other"), *tasks, groups=(group,))
    for task_id in (first, "list", "other"):
        run.end(**{task_id: [1, 2] if task_id == "list" else Exit(1)})
    run.end(a=1)
    assert (run.of("a"), run.of("b")) == (["success"] * 2, ["upstream_failed"] * 2)


def test_tasks_after_a_mapped_group_take_all_its_results() -> None:
    group, tasks = in_group(container("a"), container("b", "a"), map_over=over(each_of(1, 2, 3)))
    run = OneRun(*tasks, mapped("after", over(result_of("b"))), groups=(group,))
    run.end(a=1)
    run.end(b=(1, None, 3))
    assert run.running() == ["after[0]", "after[1]"]


# --- restarts, cancelling, order ----------------------------------------------------------------------


def test_a_restart_after_any_turn_goes_on_as_if_there_was_none() -> None:
    group, members = in_group(container("a"), container("b", "a"))
    tasks = [container("list"), *members, mapped("each", over(result_of("b"))), container("after", "each")]
    run = OneRun(*tasks, groups=(group,))
    for ends in ({"list": [1, 2]}, {"a": 1}, {"b": (1, 2)}, {"each": 1}):
        run.end(**ends)
        run.leader.restart()
    run.end(after=1)
    assert run.leader.run(run.key).state is RunState.SUCCESS
    assert run.of("each") == ["success"] * 2


@pytest.mark.parametrize("turns", range(4))
def test_a_run_with_maps_can_be_cancelled_at_any_moment(turns: int) -> None:
    group, members = in_group(container("a"), container("b", "a"))
    run = OneRun(container("list"), *members, container("after", "b"), groups=(group,))
    for ends in [{"list": [1, 2]}, {"a": 1}, {"b": 1}][:turns]:
        run.end(**ends)
    run.leader.ask(RequestKind.CANCEL, dag_id="d", run_id=run.key.run_id)
    run.end(list=Exit(1), a=Exit(1), b=Exit(1), after=Exit(1))
    assert run.leader.run(run.key).state is RunState.FAILED
    assert all(state.final for states in run.states.values() for state in states.values())


def test_a_run_pinned_to_another_version_counts_the_parents_of_that_one() -> None:
    run = OneRun(container("a"), container("b"), container("c", "a"))
    run.end(a=1)
    leader = run.leader
    leader.parse(dag(container("a"), container("b"), container("c", "a", "b")))
    held = leader.run(run.key)
    moved = msgspec.structs.replace(held, version=leader.rows["dags"]["d"].version)
    leader.world.apply([PutRun(run=moved, before=held)])
    leader.rows["runs"][run.key] = moved
    assert contents(leader.world) == contents(World.of(leader.database()))


ELEMENTS = st.lists(st.integers(0, 9), max_size=3).map(lambda values: each_of(*values))


@st.composite
def sources(draw: st.DrawFn, before: Sequence[str]) -> Source:
    results = st.sampled_from(before).map(result_of) if before else ELEMENTS
    single = st.one_of(ELEMENTS, results, results)
    several = st.lists(single, min_size=1, max_size=2).map(tuple)
    return draw(
        st.one_of(
            single,
            single,
            several.map(lambda parts: Concat(sources=parts)),
            st.builds(lambda parts, filled: Zip(sources=parts, filled=filled), several, st.booleans()),
        )
    )


@st.composite
def maps(draw: st.DrawFn, before: Sequence[str]) -> MapSpec:
    return over(*draw(st.lists(sources(before), min_size=1, max_size=2)), max_length=draw(st.integers(2, 8)))


@st.composite
def mapped_dags(draw: st.DrawFn) -> DagSpec:
    """Tasks, some of them mapped, and perhaps a mapped group in their middle."""
    number = draw(st.integers(2, 7))
    first = draw(st.integers(0, number))
    inside = range(first, draw(st.integers(first, number)))
    tasks: list[TaskSpec] = []
    members: list[TaskSpec] = []
    before: list[str] = []
    for place in range(number):
        known = [*before, *(task.task_id for task in members)]
        upstream = draw(st.lists(st.sampled_from(known), unique=True, max_size=2)) if known else []
        rule = draw(st.sampled_from([TriggerRule.ALL_SUCCESS] * 6 + list(TriggerRule)))
        told = {"trigger_rule": rule, "skip_on_exit_code": (99,)}
        if place in inside:
            members.append(container(f"t{place}", *upstream, **told))
        elif draw(st.booleans()):
            tasks.append(mapped(f"t{place}", draw(maps(known)), *upstream, **told))
        else:
            tasks.append(container(f"t{place}", *upstream, **told))
        if place not in inside:
            before.append(f"t{place}")
    group, placed = mapped_group("group", draw(maps(before[:first])), *members)
    split = [*tasks[:first], *placed, *tasks[first:]]
    return dag(*split, groups=(group,), max_active_tasks=draw(st.sampled_from([1, 3, 16])))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(spec=mapped_dags(), seed=st.integers(0, 10**6), random=st.randoms(use_true_random=True))
def test_instances_and_their_ends_follow_from_results_and_never_from_their_order(
    spec: DagSpec, seed: int, random: Random
) -> None:
    leader, story = Leader(), Story(seed)
    leader.parse(spec)
    runs = [leader.trigger(), leader.trigger()]
    StoryEngine(leader, story, random).run_to_end()
    for run in runs:
        assert states_of(leader, run) == Naive(spec, story).states
        assert leader.run(run).state.final
    assert not list(leader.world.tasks.items())
    assert not list(leader.world.came_to.items())
