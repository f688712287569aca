"""Edges: every way to write them, labels, groups, order, cycles; and any graph against a naive model."""

from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import DAG, EmptyOperator, Label, TaskGroup, chain, cross_downstream, task_group
from orchestrator.authoring import to_spec
from orchestrator.authoring.edges import Node
from orchestrator.authoring.graph import Graph, topological
from orchestrator.errors import AuthoringError
from orchestrator.spec.dag import EdgeLabel, GroupSpec, TaskSpec


def empty(name: str) -> EmptyOperator:
    return EmptyOperator(task_id=name)


def tasks_named(names: str) -> SimpleNamespace:
    return SimpleNamespace(**{name: empty(name) for name in names})


def edges(dag: DAG) -> set[str]:
    """As `ab` for a >> b."""
    return {up + task.task_id for task in to_spec(dag, "d.py").tasks for up in task.upstream}


def labels(dag: DAG) -> set[tuple[str, str, str]]:
    return {(edge.upstream, edge.downstream, edge.label) for edge in to_spec(dag, "d.py").edge_labels}


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda t: t.a >> t.b, "ab"),
        (lambda t: t.a << t.b, "ba"),
        (lambda t: t.a >> t.b >> t.c >> t.d, "ab bc cd"),
        (lambda t: t.a << t.b << t.c << t.d, "ba cb dc"),
        (lambda t: t.a >> [t.b, t.c] >> t.d, "ab ac bd cd"),
        (lambda t: [t.a, t.b] >> t.c, "ac bc"),
        (lambda t: [t.a, t.b] << t.c, "ca cb"),
        (lambda t: t.a << (t.b, t.c), "ba ca"),
        (lambda t: [t.a, t.b] >> t.c >> t.d, "ac bc cd"),
        (lambda t: t.a.set_downstream([t.b, t.c]), "ab ac"),
        (lambda t: t.a.set_upstream(t.b), "ba"),
        (lambda t: chain(t.a, t.b, t.c), "ab bc"),
        (lambda t: chain(t.a, [t.b, t.c], t.d), "ab ac bd cd"),
        (lambda t: chain([t.a, t.b], [t.c, t.d]), "ac bd"),
        (lambda t: cross_downstream([t.a, t.b], [t.c, t.d]), "ac ad bc bd"),
        (lambda t: cross_downstream([t.a, t.b], t.c), "ac bc"),
        (lambda t: (t.a >> t.b, t.a >> t.b, t.b << t.a), "ab"),
    ],
)
def test_edges_may_be_written_in_many_ways(write: Callable[..., Any], expected: str) -> None:
    with DAG("d") as dag:
        write(tasks_named("abcd"))
    assert edges(dag) == set(expected.split())


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda t: t.a >> Label("x") >> t.b, {("a", "b", "x")}),
        (lambda t: t.b << Label("x") << t.a, {("a", "b", "x")}),
        (lambda t: t.a >> Label("x") >> [t.b, t.c], {("a", "b", "x"), ("a", "c", "x")}),
        (lambda t: [t.a, t.b] >> Label("x") >> t.c, {("a", "c", "x"), ("b", "c", "x")}),
        (lambda t: [t.a, t.b] << Label("x") << t.c, {("c", "a", "x"), ("c", "b", "x")}),
        (lambda t: t.a >> Label("x") >> t.b >> Label("y") >> t.c, {("a", "b", "x"), ("b", "c", "y")}),
        (lambda t: chain(t.a, Label("x"), t.b, t.c), {("a", "b", "x")}),
        (lambda t: chain(t.a, Label("x"), [t.b, t.c]), {("a", "b", "x"), ("a", "c", "x")}),
        (lambda t: chain(t.a, [Label("x"), Label("y")], [t.b, t.c]), {("a", "b", "x"), ("a", "c", "y")}),
        (lambda t: chain([t.a, t.b], [Label("x"), Label("y")], t.c), {("a", "c", "x"), ("b", "c", "y")}),
        (lambda t: t.a.set_downstream(t.b, Label("x")), {("a", "b", "x")}),
        (lambda t: (t.a >> Label("x") >> t.b, t.a >> t.b), {("a", "b", "x")}),
        (lambda t: (t.a >> Label("x") >> t.b, t.a >> Label("y") >> t.b), {("a", "b", "y")}),
        (lambda t: t.a >> t.b, set()),
    ],
)
def test_a_label_stands_on_the_edges_between(
    write: Callable[..., Any], expected: set[tuple[str, str, str]]
) -> None:
    with DAG("d") as dag:
        write(tasks_named("abc"))
    assert labels(dag) == expected


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda t: t.a >> 3, "not int 3"),
        (lambda t: t.a >> [t.b, None], "not NoneType"),
        (lambda t: t.a >> {t.b}, "not set"),
        (lambda t: t.a >> "b", "not str 'b'"),
        (lambda t: t.a >> Label("x") << t.b, "turns round"),
        (lambda t: t.a << Label("x") >> t.b, "turns round"),
        (lambda t: chain([t.a], [t.a, t.b]), "a list of 1 is followed by one of 2"),
        (lambda t: chain(t.a, t.b, Label("x")), "does not stand between"),
        (lambda t: chain(t.a, [Label("x"), Label("y")], t.b), "are 2 labels for 1 edges"),
        (lambda t: chain(t.a, [Label("x"), t.b]), "not Label"),
    ],
)
def test_what_is_no_edge_is_refused(write: Callable[..., Any], says: str) -> None:
    with DAG("d"):
        tasks = tasks_named("ab")
    with pytest.raises(AuthoringError, match=says) as refused:
        write(tasks)
    assert refused.value.rule == "bad_edge"


def test_an_edge_joins_tasks_of_one_dag() -> None:
    with DAG("d"):
        a = empty("a")
    with DAG("e"):
        b = empty("b")
    with pytest.raises(AuthoringError, match="'a' is a part of DAG 'd', 'b' of DAG 'e'"):
        a >> b


# --- groups -------------------------------------------------------------------------------------------


def test_an_edge_reaches_a_groups_first_tasks_and_leaves_its_last() -> None:
    with DAG("d") as dag:
        a, e = empty("a"), empty("e")
        with TaskGroup("g", prefix_group_id=False) as group:
            b, c = empty("b"), empty("c")
            b >> c
        a >> group >> e
    assert edges(dag) == {"ab", "bc", "ce"}


def test_what_is_put_into_a_group_later_counts_too() -> None:
    with DAG("d") as dag:
        a, e = empty("a"), empty("e")
        group = TaskGroup("g", prefix_group_id=False)
        a >> Label("x") >> group >> e
        with group:
            empty("b") >> empty("c")
            empty("f")
    assert edges(dag) == {"ab", "bc", "ce", "af", "fe"}
    assert labels(dag) == {("a", "b", "x"), ("a", "f", "x")}


def test_groups_nest_and_join_each_other() -> None:
    with DAG("d") as dag, TaskGroup("out", tooltip="outer") as out:
        with TaskGroup("one") as one:
            empty("a")
        with TaskGroup("two") as two:
            empty("b")
        one >> two
        empty("c") >> one
    end = EmptyOperator(task_id="end", dag=dag)
    out >> end
    spec = to_spec(dag, "d.py")
    assert {task.task_id: task.upstream for task in spec.tasks} == {
        "out.c": (),
        "out.one.a": ("out.c",),
        "out.two.b": ("out.one.a",),
        "end": ("out.two.b",),
    }
    assert spec.groups == (
        GroupSpec(group_id="out", tooltip="outer"),
        GroupSpec(group_id="out.one", parent="out"),
        GroupSpec(group_id="out.two", parent="out"),
    )
    assert spec.task("out.one.a").group == "out.one"
    assert spec.task("end").group is None


def test_a_group_may_name_its_parent_and_lend_no_prefix() -> None:
    dag = DAG("d")
    parent = TaskGroup("p", dag=dag)
    with TaskGroup("g", parent_group=parent, prefix_group_id=False):
        assert empty("t").task_id == "p.t"


def test_an_empty_group_is_no_bridge() -> None:
    with DAG("d") as dag:
        group = TaskGroup("g")
        empty("a") >> group >> empty("b")
    with pytest.raises(AuthoringError, match="'g' takes part in an edge and has no tasks") as refused:
        to_spec(dag, "d.py")
    assert (refused.value.rule, bool(refused.value.line)) == ("empty_group", True)


def test_a_group_is_not_joined_to_what_is_in_it() -> None:
    with DAG("d"), TaskGroup("g") as group:
        task = empty("a")
    with pytest.raises(AuthoringError, match=r"'g.a' is a part of 'g'"):
        task >> group
    with pytest.raises(AuthoringError, match=r"'g.a' is a part of 'g'"):
        group >> task


def test_ids_are_one_namespace() -> None:
    with DAG("d"):
        empty("a")
        with pytest.raises(AuthoringError, match="has a task 'a' already"):
            TaskGroup("a")
        TaskGroup("g")
        with pytest.raises(AuthoringError, match="has a task group 'g' already"):
            empty("g")


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"tooltips": "x"}, "unknown_argument"),
        ({"tooltip": 3}, "bad_argument"),
        ({"prefix_group_id": "no"}, "bad_argument"),
        ({"parent_group": "p"}, "bad_argument"),
    ],
)
def test_a_groups_arguments_are_checked(arguments: dict[str, Any], rule: str) -> None:
    with DAG("d"), pytest.raises(AuthoringError) as refused:
        TaskGroup("g", **arguments)
    assert refused.value.rule == rule


def test_a_group_whose_id_is_taken_may_ask_for_another() -> None:
    with DAG("d") as dag:
        for _ in range(3):
            with TaskGroup("load", add_suffix_on_collision=True):
                empty("one")
    assert list(dag.graph.tasks) == ["load.one", "load__1.one", "load__2.one"]


def test_colours_of_groups_are_taken_and_warned_of() -> None:
    with DAG("d") as dag, TaskGroup("g", ui_color="#fff", ui_fgcolor="red"):
        empty("one")
    (note,) = dag.graph.notes
    assert note.text == "TaskGroup 'g': ui_color and ui_fgcolor have no effect: pages show states by colour"


def test_a_function_may_define_a_group_again_and_again() -> None:
    @task_group
    def load(name: str) -> None:
        """Loads."""
        empty(name)

    with DAG("d") as dag:
        empty("a") >> load("x") >> load("x")
    spec = to_spec(dag, "d.py")
    assert {task.task_id: task.upstream for task in spec.tasks} == {
        "a": (),
        "load.x": ("a",),
        "load__1.x": ("load.x",),
    }
    assert [group.tooltip for group in spec.groups] == ["Loads.", "Loads."]


def test_a_grouping_function_hands_on_what_it_returns() -> None:
    @task_group(group_id="g", tooltip="t")
    def load() -> EmptyOperator:
        return empty("last")

    with DAG("d") as dag:
        last = load()
        assert isinstance(last, EmptyOperator)
        last >> empty("z")
    assert edges(dag) == {"g.lastz"}


# --- order and cycles ---------------------------------------------------------------------------------


def test_a_cycle_is_told_as_a_path() -> None:
    with DAG("d") as dag:
        a, b, c, d, e = map(empty, "abcde")
        a >> b >> c >> d >> b
        d >> e
    with pytest.raises(AuthoringError) as refused:
        to_spec(dag, "d.py")
    assert refused.value.rule == "cycle"
    assert refused.value.message == "these tasks wait for each other: b -> c -> d -> b"
    assert refused.value.line == b.spec.line


def test_a_task_that_waits_for_itself_is_refused_at_once() -> None:
    with DAG("d"):
        a = empty("a")
    with pytest.raises(AuthoringError, match="a -> a") as refused:
        a >> a
    assert refused.value.rule == "cycle"


def test_ties_stand_in_order_of_definition() -> None:
    with DAG("d") as dag:
        tasks: list[Node] = [empty(name) for name in "zyxw"]
        tasks[3] >> tasks[1]
        tasks[2] >> tasks[0]
    spec = to_spec(dag, "d.py")
    assert [task.task_id for task in spec.tasks] == ["x", "z", "w", "y"]


def test_parents_stand_in_order_of_definition() -> None:
    with DAG("d") as dag:
        a, b, c = map(empty, "abc")
        c << b
        c << a
    assert to_spec(dag, "d.py").task("c").upstream == ("a", "b")


def test_labels_stand_in_order_of_the_tasks() -> None:
    with DAG("d") as dag:
        a, b, c = map(empty, "abc")
        b >> Label("2") >> c
        a >> Label("1") >> b
    assert to_spec(dag, "d.py").edge_labels == (
        EdgeLabel(upstream="a", downstream="b", label="1"),
        EdgeLabel(upstream="b", downstream="c", label="2"),
    )


def specs(count: int) -> dict[str, TaskSpec]:
    return {f"t{index}": TaskSpec(task_id=f"t{index}", line=index + 1) for index in range(count)}


pairs = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda pair: pair[0] != pair[1]), max_size=25
)


@given(pairs)
def test_the_order_is_the_naive_one_or_a_real_cycle_is_named(found: list[tuple[int, int]]) -> None:
    tasks = specs(10)
    written = {(f"t{up}", f"t{down}") for up, down in found}
    naive: list[str] = []
    while free := [
        task for task in tasks if task not in naive and all(up in naive for up, down in written if down == task)
    ]:
        naive.append(free[0])
    if len(naive) == len(tasks):
        assert topological(tasks, written) == naive
        return
    with pytest.raises(AuthoringError) as refused:
        topological(tasks, written)
    path = refused.value.message.partition(": ")[2].split(" -> ")
    assert path[0] == path[-1]
    assert len(set(path)) == len(path) - 1 > 1
    assert all(edge in written for edge in pairwise(path))


@given(st.permutations(range(12)), st.data())
def test_a_naive_model_finds_the_same_edges(shuffled: list[int], data: st.DataObject) -> None:
    """Groups nested at random, random edges between tasks and groups that hold something."""
    graph = Graph("d")
    groups: list[str | None] = [None]
    for index in range(data.draw(st.integers(0, 4))):
        name = f"g{index}"
        graph.add_group(GroupSpec(group_id=name, parent=data.draw(st.sampled_from(groups))), 1)
        groups.append(name)
    for index in shuffled:
        graph.add_task(TaskSpec(task_id=f"t{index}", group=data.draw(st.sampled_from(groups))))
    nodes = [*graph.tasks, *(group for group in graph.groups if members(graph, group))]
    for _ in range(data.draw(st.integers(0, 12))):
        up, down = data.draw(st.sampled_from(nodes)), data.draw(st.sampled_from(nodes))
        if not {up, down} & {*above(graph, up), *above(graph, down)} and up != down:
            graph.connect(up, down)
    assert set(graph.task_edges()) == naive_edges(graph, None)


def above(graph: Graph, name: str) -> list[str]:
    around = graph.tasks[name].group if name in graph.tasks else graph.groups[name].parent
    return [] if around is None else [around, *above(graph, around)]


def members(graph: Graph, group: str | None) -> set[str]:
    return {task for task in graph.tasks if group is None or group in above(graph, task)}


def naive_edges(graph: Graph, scope: str | None) -> set[tuple[str, str]]:
    """Inside out: first all that lies wholly in one child group, then what joins children of this scope."""
    children = [group.group_id for group in graph.groups.values() if group.parent == scope]
    found = {edge for child in children for edge in naive_edges(graph, child)}
    inside = members(graph, scope) | {
        group for group in graph.groups if scope is None or scope in above(graph, group)
    }
    for up, down in graph.edges:
        common = [group for group in above(graph, up) if group in above(graph, down)]
        if (common[0] if common else None) == scope and {up, down} <= inside:
            lasts = {up} if up in graph.tasks else {
                task for task in members(graph, up)
                if not any(task == parent and child in members(graph, up) for parent, child in found)
            }  # fmt: skip
            firsts = {down} if down in graph.tasks else {
                task for task in members(graph, down)
                if not any(task == child and parent in members(graph, down) for parent, child in found)
            }  # fmt: skip
            found = found | {(last, first) for last in lasts for first in firsts}
    return found
