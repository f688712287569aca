"""Mapped tasks and groups as DAG files write them, and what is refused of them."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import (
    DAG,
    BranchDockerOperator,
    DockerOperator,
    EmptyOperator,
    Mount,
    TaskGroup,
    TemplateFile,
    task,
    task_group,
)
from orchestrator.authoring import to_spec
from orchestrator.errors import AuthoringError
from orchestrator.spec.dag import DagSpec
from orchestrator.spec.mapping import Axis, Concat, FromResult, Literal, MapSpec, Zip
from orchestrator.spec.merging import written_template


def written(define: Callable[[], Any]) -> DagSpec:
    with DAG("d") as dag:
        define()
    return to_spec(dag, "d.py")


def refused(define: Callable[[], Any]) -> AuthoringError:
    with pytest.raises(AuthoringError) as caught:
        written(define)
    return caught.value


def lister() -> Any:
    return DockerOperator(task_id="list", image="x").output


# --- operators ----------------------------------------------------------------------------------------


def test_partial_is_shared_and_expand_makes_an_axis_for_each_argument() -> None:
    def define() -> None:
        DockerOperator.partial(task_id="a", image="x", retries=2, max_map_length=50).expand(
            command=["echo one", ["echo", "two"]], environment=[{"N": 1}, {"N": 2}]
        )

    spec = written(define).task("a")
    assert spec.map == MapSpec(
        axes=(
            Axis(argument="command", source=Literal(values=["echo one", ["echo", "two"]])),
            Axis(argument="environment", source=Literal(values=[{"N": "1"}, {"N": "2"}])),
        ),
        max_length=50,
    )
    assert (spec.retry.retries, spec.container and spec.container.image) == (2, "x")
    chosen = [written_template(spec, index) for index in range(4)]
    assert [(each.command, each.environment["N"]) for each in chosen] == [
        ("echo one", "1"),
        ("echo one", "2"),
        (["echo", "two"], "1"),
        (["echo", "two"], "2"),
    ]


def test_elements_are_read_as_the_constructor_reads_them() -> None:
    def define() -> None:
        DockerOperator.partial(task_id="a", image="x").expand(
            volumes=[[Mount.run("/run-data"), "cache:/c:ro"], [{"source": "vol", "target": "/v"}]]
        )
        DockerOperator(task_id="b", image="x", mounts=[Mount.run("/run-data"), "cache:/c:ro"])

    spec = written(define)
    container = spec.task("b").container
    assert container is not None
    assert written_template(spec.task("a"), 0).mounts == container.mounts


def test_a_result_is_expanded_over_and_waited_for() -> None:
    def define() -> None:
        rows = lister()
        DockerOperator.partial(task_id="all", image="x").expand(command=rows)
        DockerOperator.partial(task_id="part", image="x").expand(command=rows["files"])
        DockerOperator.partial(task_id="several", image="x").expand_kwargs(rows)

    spec = written(define)
    axes = [task.map.axes for task in spec.tasks if task.map is not None]
    assert axes == [
        (Axis(argument="command", source=FromResult(task_id="list")),),
        (Axis(argument="command", source=FromResult(task_id="list", key="files")),),
        (Axis(argument=None, source=FromResult(task_id="list")),),
    ]
    assert all(task.upstream == ("list",) for task in spec.tasks[1:])


def test_sources_are_zipped_and_joined() -> None:
    def define() -> None:
        rows = lister()
        pairs = rows.zip(["a", "b"], fillvalue=None)
        DockerOperator.partial(task_id="a", image="x").expand(command=pairs.concat([["c", "d"]]))

    spec = written(define).task("a")
    assert spec.map is not None
    zipped = Zip(sources=(FromResult(task_id="list"), Literal(values=["a", "b"])), filled=True)
    assert spec.map.axes[0].source == Concat(sources=(zipped, Literal(values=[["c", "d"]])))


def test_a_dict_is_expanded_over_its_pairs() -> None:
    spec = written(lambda: DockerOperator.partial(task_id="a", image="x").expand(command={"x": "1", "y": "2"}))
    assert written_template(spec.task("a"), 1).command == ["y", "2"]


def test_expand_kwargs_takes_several_arguments_at_once() -> None:
    def define() -> None:
        DockerOperator.partial(task_id="a").expand_kwargs(
            [{"image": "x", "command": "one"}, {"image": "y", "environment": {"N": 1}}]
        )

    spec = written(define).task("a")
    assert [(each.image, each.command) for each in (written_template(spec, index) for index in range(2))] == [
        ("x", "one"),
        ("y", None),
    ]


def test_results_and_files_in_elements_are_templates_and_are_waited_for(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.sql").write_text("select {{ ds }}")

    def define() -> None:
        rows = lister()
        DockerOperator.partial(task_id="a", image="x").expand(command=[["f", rows], ["g", TemplateFile("q.sql")]])

    spec = written(define).task("a")
    assert spec.upstream == ("list",)
    assert written_template(spec, 0).command == ["f", '{{ result("list") | text }}']
    assert written_template(spec, 1).command == ["g", "select {{ ds }}"]


def test_default_args_give_way_to_what_is_expanded() -> None:
    with DAG("d", default_args={"command": "default", "image": "x"}) as dag:
        DockerOperator.partial(task_id="a").expand(script=["one", "two"])
    template = written_template(to_spec(dag, "d.py").task("a"), 0)
    assert (template.script, template.command, template.image) == ("one", None, "x")


def test_what_is_made_of_an_operator_can_be_expanded_too() -> None:
    spec = written(lambda: BranchDockerOperator.partial(task_id="a", image="x").expand(command=["a", "b"]))
    assert spec.task("a").choice is not None
    assert spec.task("a").map is not None


# --- functions ----------------------------------------------------------------------------------------


def test_a_function_is_expanded_over_its_parameters() -> None:
    def define() -> None:
        @task.docker(image="x", max_map_length=9)
        def square(number: int, scale: int = 1, *, note: str = "") -> int:
            return number * number * scale

        square.partial(scale=3).expand(number=lister())

    spec = written(define).task("square")
    assert spec.map == MapSpec(axes=(Axis(argument="number", source=FromResult(task_id="list")),), max_length=9)
    assert spec.upstream == ("list",)
    assert spec.container is not None
    assert spec.container.call is not None
    assert spec.container.call.args == ['{{ element("number") | text }}', 3]


def test_a_function_expanded_over_dicts_keeps_its_defaults() -> None:
    def define() -> None:
        @task.docker(image="x")
        def join(left: str, right: str = "r", ds: str | None = None) -> str:
            return left + right

        join.expand_kwargs([{"left": "a"}, {"left": "b", "right": "c"}])

    spec = written(define).task("join")
    assert spec.container is not None
    assert spec.container.call is not None
    assert spec.container.call.args == [
        '{{ element("left") | text }}',
        '{{ element("right", default="\\"r\\"") | text }}',
    ]
    assert spec.container.call.kwargs == {"ds": "{{ ds | text }}"}


# --- groups -------------------------------------------------------------------------------------------


def test_a_group_is_expanded_with_all_its_tasks() -> None:
    def define() -> None:
        @task_group
        def load(name: str, table: str) -> Any:
            fetch = DockerOperator(task_id="fetch", image="x", command=["fetch", name])
            store = DockerOperator(
                task_id="store", image="x", script=f"store {table}", environment={"N": f"<{name}>"}
            )
            fetch >> store
            return store.output

        done = load.partial(table="t").expand(name=lister())
        DockerOperator(task_id="sum", image="x", command=["sum", done])

    spec = written(define)
    (group,) = spec.groups
    assert group.map == MapSpec(axes=(Axis(argument="name", source=FromResult(task_id="list")),))
    fetch, store = spec.task("load.fetch").container, spec.task("load.store").container
    assert fetch is not None
    assert store is not None
    assert fetch.command == ["fetch", '{{ element("name") | text }}']
    assert (store.script, store.environment) == ("store t", {"N": '<{{ element("name") | text }}>'})
    assert [task.upstream for task in spec.tasks] == [(), ("list",), ("load.fetch",), ("load.store",)]


def test_parts_of_a_groups_element_can_be_named() -> None:
    def define() -> None:
        @task_group
        def load(row: Any) -> None:
            DockerOperator(task_id="fetch", image="x", command=["fetch", row["name"]])

        load.expand(row=[{"name": "a"}, {"name": "b"}])

    container = written(define).task("load.fetch").container
    assert container is not None
    assert container.command == ["fetch", '{{ element("row", "name") | text }}']


# --- refusals -----------------------------------------------------------------------------------------


def of_group(body: Callable[[Any], Any]) -> Callable[[], Any]:
    def define() -> Any:
        @task_group
        def outer(item: Any) -> None:
            body(item)

        return outer.expand(item=[1, 2])

    return define


def function() -> Any:
    @task.docker(image="x")
    def square(number: int) -> int:
        return number * number

    return square


PARTIAL = DockerOperator.partial


@pytest.mark.parametrize(
    ("define", "says"),
    [
        (lambda: PARTIAL(task_id="a").expand(), "expand() names nothing"),
        (lambda: PARTIAL(task_id="a").expand(retries=[1, 2]), "'retries' cannot be expanded"),
        (lambda: PARTIAL(task_id="a").expand(comand=["x"]), "did you mean 'command'"),
        (lambda: PARTIAL(task_id="a").expand(env_file=["x"]), "'env_file' cannot be expanded"),
        (lambda: PARTIAL(task_id="a", command="x").expand(command=["y"]), "given command already"),
        (lambda: PARTIAL(task_id="a", command="x").expand(script=["y"]), "given command already"),
        (lambda: PARTIAL(task_id="a").expand(volumes=[[]], mounts=[[]]), "given mounts already"),
        (lambda: PARTIAL(task_id="a").expand(command="echo"), "cannot be expanded over 'echo'"),
        (lambda: PARTIAL(task_id="a").expand(command="{{ params.x }}"), "cannot be expanded over"),
        (lambda: PARTIAL(task_id="a").expand(environment=[{"N": []}]), "element 0"),
        (lambda: PARTIAL(task_id="a").expand(mem_limit=["much"]), "mem_limit"),
        (lambda: PARTIAL(task_id="a", max_map_length=2).expand(command=["x"] * 3), "would have 3 instances"),
        (lambda: PARTIAL(task_id="a", max_map_length=0).expand(command=["x"]), "max_map_length is 0"),
        (lambda: PARTIAL(task_id="a").expand_kwargs(["x"]), "element 0 of expand_kwargs is 'x'"),
        (lambda: PARTIAL(task_id="a").expand_kwargs([{"pool": "p"}]), "'pool' cannot be expanded"),
        (lambda: PARTIAL(task_id="a").expand(command=lister().map(str)), "@task.docker"),
        (lambda: lister().zip([1], fill=2), "zip takes no argument 'fill'"),
        (lambda: PARTIAL(task_id="a").expand(command=EmptyOperator(task_id="e").output), "runs no container"),
        (
            lambda: PARTIAL(task_id="a").expand(
                command=DockerOperator(task_id="b", image="x", do_xcom_push=False).output
            ),
            "keeps no result",
        ),
        (lambda: DockerOperator(task_id="a", image="x", map_index_template="x"), "is not mapped"),
        (lambda: function().expand(numbr=[1]), "did you mean 'number'"),
        (lambda: function().partial(number=1).expand(number=[1]), "number is given already"),
        (lambda: function().expand_kwargs([1]), "an element of expand_kwargs is 1"),
        (lambda: function().expand_kwargs([{"x": 1}]), "has no parameter 'x'"),
        (of_group(lambda item: PARTIAL(task_id="a").expand(command=item)), "no mapping inside a mapped group"),
        (of_group(lambda _: PARTIAL(task_id="a").expand(command=["x"])), "no mapping inside a mapped group"),
        (of_group(lambda _: of_group(lambda _: None)()), "no mapping inside a mapped group"),
        (of_group(list), "is not there yet"),
    ],
)
def test_what_cannot_be_mapped_is_refused_with_what_to_do(define: Callable[[], Any], says: str) -> None:
    error = refused(define)
    assert says in error.message + error.fix
    assert error.fix


def test_groups_without_a_map_may_stand_in_a_mapped_one() -> None:
    def inside(item: Any) -> None:
        with TaskGroup("inner"):
            DockerOperator(task_id="a", image="x", command=["a", item])

    assert written(of_group(inside)).task("outer.inner.a").group == "outer.inner"
