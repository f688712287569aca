"""`output()` in templates: where it may stand, and what it becomes."""

import pytest
from template_facts import context

from orchestrator.errors import RenderError
from orchestrator.spec.artifacts import OutputRef
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.templating.render import render
from orchestrator.templating.static import StaticTemplate


def test_alone_in_an_input_it_is_a_reference() -> None:
    template = ContainerTemplate(
        inputs={
            "/in/a": "{{ output('fetch', '/out/' ~ ds ~ '.csv') }}",
            "/in/b": " {% if false %}{{ output('x', '/x') }}{% else %}{{ output('y', '/y') }}{% endif %}\n",
            "/in/c": "{{ ds }}",
        }
    )
    assert render(template, context()).inputs == {
        "/in/a": OutputRef(task_id="fetch", path="/out/2013-01-31.csv"),
        "/in/b": OutputRef(task_id="y", path="/y"),
        "/in/c": "2013-01-31",
    }


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"command": ["cat", "{{ output('a', '/x') }}"]}, "command[1]"),
        ({"script": "cat {{ output('a', '/x') }}"}, "script"),
        ({"environment": {"A": "{{ output('a', '/x') }}"}}, "environment.A"),
        ({"inputs": {"/i": "x {{ output('a', '/x') }}"}}, "inputs./i"),
        ({"inputs": {"/i": "{{ output('a', '/x') | upper }}"}}, "inputs./i"),
        ({"inputs": {"/i": "{{ output('a', '/x') }}{{ output('a', '/x') }}"}}, "inputs./i"),
    ],
)
def test_anywhere_else_it_is_refused_with_the_way_to_write_it(arguments: dict[str, object], field: str) -> None:
    with pytest.raises(RenderError, match="no text") as refused:
        render(ContainerTemplate(**arguments), context())  # type: ignore[arg-type]  # a table of arguments
    assert refused.value.field == field
    assert refused.value.fix == "copy it in: inputs={'/x': \"{{ output('a', '/x') }}\"}"


def test_what_looks_like_one_and_is_data_stays_text() -> None:
    template = ContainerTemplate(inputs={"/i": "{{ params.city }}"})
    assert render(template, context(conf={"city": "<output a /x>"})).inputs == {"/i": "<output a /x>"}


@pytest.mark.parametrize("call", ["output('a', 'x')", "output(1, '/x')", "output('a', none)"])
def test_one_that_names_nothing_is_refused(call: str) -> None:
    with pytest.raises(RenderError, match="names no output"):
        render(ContainerTemplate(inputs={"/i": f"{{{{ {call} }}}}"}), context())


def test_literal_ones_are_found_without_rendering() -> None:
    text = "{{ output('a', '/x') }}{{ output('b', ds) }}{{ output('c', '/' ~ ds) }}{{ output('d', '/y') }}"
    assert list(StaticTemplate("inputs./i", text).taken_outputs()) == [("a", "/x"), ("d", "/y")]
