"""Template marks: where they stand, and what is known, and checked, without rendering."""

from typing import Any

import pytest

from orchestrator import DAG, DockerOperator
from orchestrator.authoring import to_spec
from orchestrator.errors import AuthoringError
from orchestrator.spec.container import Mount
from orchestrator.spec.dag import ContainerTemplate, TaskSpec
from orchestrator.spec.finalize import check_literals, has_templates
from orchestrator.spec.marks import unmarked

VOLUME = Mount(source="data", target="/v")


@pytest.mark.parametrize("value", ["{{ a }}", "x{% if a %}", "{# a #}", ["a", ["{{"]], {"a": {"b": "{{"}}, ("{{",)])
def test_marks_are_found_at_any_depth(value: Any) -> None:
    assert has_templates(value)


@pytest.mark.parametrize(
    "value", ["", "{ a }", "{", "}}", None, 3, ["a"], {"a": "b"}, ContainerTemplate(image="a")]
)
def test_nothing_else_is_a_mark(value: Any) -> None:
    assert not has_templates(value)


def test_marks_are_found_in_every_field_of_a_template() -> None:
    assert has_templates(ContainerTemplate(mounts=(Mount(source="{{ x }}", target="/d"),)))
    assert has_templates(ContainerTemplate(mem_limit="{{ 512 * ti.try_number }}m"))
    assert has_templates(ContainerTemplate(inputs={"/a": "{% raw %}"}))


def test_only_what_has_marks_is_left_out() -> None:
    template = ContainerTemplate(
        image="a",
        command="{{ ds }}",
        environment={"A": "x", "B": "{{ ds }}"},
        mounts=(VOLUME, Mount(source="{{ x }}", target="/x")),
        inputs={"/x/a": "text"},
        cpus=1.5,
    )
    assert unmarked(template) == ContainerTemplate(image="a", environment={"A": "x"}, mounts=(VOLUME,), cpus=1.5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"mem_limit": "lots"},
        {"cpus": "none"},
        {"labels": {"orchestrator.x": "y"}},
        {"mounts": ["data:relative"]},
        {"inputs": {"/in": "x"}, "read_only": True},
        {"inputs": {"/in": "{{ ds }}"}, "read_only": True},
        {"command": ""},
        {"image": ""},
    ],
)
def test_a_mistake_that_shows_without_rendering_shows_at_parse(arguments: dict[str, Any]) -> None:
    with DAG("d") as dag:
        task = DockerOperator(task_id="t", **arguments)
    with pytest.raises(AuthoringError, match="DockerOperator 't': ") as refused:
        to_spec(dag, "d.py")
    assert (refused.value.rule, refused.value.line) == ("bad_argument", task.spec.line)
    assert refused.value.fix


@pytest.mark.parametrize(
    "container",
    [
        None,
        ContainerTemplate(),
        ContainerTemplate(mem_limit="{{ x }}", image="{{ x }}", command="{{ x }}"),
        ContainerTemplate(
            read_only=True, inputs={"/v/a": "x"}, mounts=(Mount(source="data", target="{{ '/v' }}"),)
        ),
    ],
)
def test_what_is_not_known_yet_is_not_refused(container: ContainerTemplate | None) -> None:
    check_literals(TaskSpec(task_id="t", container=container))
