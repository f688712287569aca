"""Handles: results of tasks as values of a DAG file."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import DAG, DockerOperator, EmptyOperator, Mount, TaskGroup
from orchestrator.authoring import to_spec
from orchestrator.authoring.outputs import Output
from orchestrator.errors import AuthoringError
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.handles import Handle, handles_in


def task(name: str, **arguments: Any) -> DockerOperator:
    return DockerOperator(task_id=name, image="x:1", **arguments)


def upstream(dag: DAG, name: str) -> tuple[str, ...]:
    return to_spec(dag, "d.py").task(name).upstream


def container(dag: DAG, name: str) -> ContainerTemplate:
    found = to_spec(dag, "d.py").task(name).container
    assert found is not None
    return found


@given(st.builds(Handle, task_id=st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True), key=st.text()))
def test_a_handle_is_found_again_in_any_text(handle: Handle) -> None:
    other = Handle(task_id="other")
    assert list(handles_in(f"a {handle.text} b {other.text}{{{{ ds }}}}")) == [handle, other]


def test_every_operator_has_an_output_that_stands_for_its_result() -> None:
    with DAG("d") as dag:
        task("load", command=["load", task("count").output, EmptyOperator(task_id="none").output["rows"]])
    assert container(dag, "load").command == [
        "load",
        '{{ result("count") | text }}',
        '{{ result("none", "rows") | text }}',
    ]
    assert upstream(dag, "load") == ("count", "none")


@pytest.mark.parametrize(
    "use",
    [
        lambda output: {"command": output},
        lambda output: {"script": f"echo {output}"},
        lambda output: {"script": f"echo {output:s}"},
        lambda output: {"environment": {"ROWS": output["rows"]}},
        lambda output: {"inputs": {"/in.json": output}},
        lambda output: {"mounts": [Mount(f"v-{output}", "/v")]},
        lambda output: {"mounts": [{"source": output, "target": "/v"}]},
        lambda output: {"labels": {"rows": output}},
        lambda output: {"mem_limit": output["memory"]},
    ],
)
def test_a_task_waits_for_what_its_arguments_name(use: Callable[[Output], dict[str, Any]]) -> None:
    with DAG("d") as dag:
        task("after", **use(task("before").output))
    assert upstream(dag, "after") == ("before",)


def test_a_handle_stands_for_its_task_in_edges() -> None:
    with DAG("d") as dag:
        a, b, c = task("a"), task("b"), task("c")
        a.output >> b >> [c.output["x"]]
        [a.output] >> c.output
    assert upstream(dag, "b") == ("a",)
    assert upstream(dag, "c") == ("a", "b")


def test_a_handle_names_its_task_with_the_prefix_of_its_group() -> None:
    with DAG("d") as dag:
        with TaskGroup("inside"):
            count = task("count")
        task("load", command=["load", count.output])
    assert upstream(dag, "load") == ("inside.count",)


def test_default_args_may_hold_handles() -> None:
    with DAG("d") as dag:
        first = task("first")
        with TaskGroup("rest", default_args={"environment": {"ROWS": first.output}}):
            task("second")
    assert upstream(dag, "rest.second") == ("first",)


def test_a_handle_of_another_dag_is_refused() -> None:
    with DAG("one"):
        output = task("a").output
    with DAG("two"), pytest.raises(AuthoringError, match=r"'b': <result of one\.a> is of another DAG") as raised:
        task("b", command=["b", output])
    assert raised.value.rule == "bad_edge"


@pytest.mark.parametrize("look", [bool, list, len, lambda output: "x" in output])
def test_nobody_can_look_into_a_result_while_the_dag_is_written(look: Callable[[Output], object]) -> None:
    with DAG("d"):
        output = task("a").output
    with pytest.raises(AuthoringError, match=r"<result of d\.a> is not there yet"):
        look(output)


@pytest.mark.parametrize("key", [0, "", None])
def test_a_handle_takes_one_text_as_its_key(key: Any) -> None:
    with DAG("d"):
        output = task("a").output
    with pytest.raises(AuthoringError, match="takes one key, which is a text"):
        output[key]
    with pytest.raises(AuthoringError, match="takes one key, which is a text"):
        output["rows"]["first"]
