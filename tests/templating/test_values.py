"""Values in place of text, and that what is inserted is never read as a template."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from template_facts import context

from orchestrator.errors import RenderError
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.handles import Handle
from orchestrator.templating.render import render, render_value

#: What data could be mistaken for: templates, shell, SQL, and the text of a handle itself.
NASTY = ("{{ ds }}", "{% raw %}", "{# x #}", "$(id)", "`id`", "'; DROP TABLE x; --", '"', "\\", "a\nb",
         '{{ result("a") | text }}')  # fmt: skip
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.sampled_from(NASTY)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
ROWS, A = Handle(task_id="count", key="rows"), Handle(task_id="a")


def value(
    field: str, text: str, results: dict[str, Any] | None = None, *, native: bool = False, **facts: Any
) -> Any:
    encoded = {name: json.dumps(result).encode() for name, result in (results or {}).items()}
    return render_value(field, text, context(encoded, **facts), native=native)


@given(json_values)
def test_a_handle_as_an_argument_is_the_result_itself(result: Any) -> None:
    assert value("call.kwargs.x", A.text, {"a": result}) == result
    assert value("call.kwargs.x", ROWS.text, {"count": {"rows": result}}) == result


@given(json_values)
def test_a_handle_in_text_is_the_text_or_json(result: Any) -> None:
    found = value("environment.X", f"<{A.text}>", {"a": result})
    inner = found[1:-1]
    assert inner == result if isinstance(result, str) else json.loads(inner) == result


@given(st.lists(texts, min_size=1, max_size=4))
def test_a_command_that_is_a_handle_on_a_list_stays_a_list(words: list[str]) -> None:
    assert value("command", A.text, {"a": words}) == words


@given(texts)
def test_a_container_is_rendered_once(nasty: str) -> None:
    template = ContainerTemplate(
        image="x:1",
        command=["echo", A.text, "{{ params.city }}"],
        environment={"CITY": "{{ dag_run.conf.city }}", "DAY": "{{ ds }}"},
    )
    names = context({"a": json.dumps(nasty).encode()}, conf={"city": nasty})
    rendered = render(template, names)
    assert rendered.command == ["echo", nasty, nasty]
    assert rendered.environment == {"CITY": nasty, "DAY": "2013-01-31"}


def test_words_of_a_command_that_are_no_text_are_written_as_json() -> None:
    assert value("command", A.text, {"a": ["x", 1, True, None, {"k": []}]}) == [
        "x",
        "1",
        "true",
        "null",
        '{"k": []}',
    ]
    assert value("command", A.text, {"a": "echo 1"}) == "echo 1"
    assert value("command", A.text, {"a": 12}) == "12"


def test_a_parent_that_gave_nothing_gives_null() -> None:
    assert value("call.kwargs.x", A.text) is None
    assert value("call.kwargs.x", ROWS.text) is None
    assert value("environment.X", A.text) == "null"


def test_a_command_that_nobody_gave_is_refused() -> None:
    with pytest.raises(RenderError, match="renders to nothing"):
        value("command", A.text)


@pytest.mark.parametrize(
    ("result", "words"),
    [({"row": 1}, "no part 'rows'; did you mean 'row'?"), ([1], "no part 'rows', which is no object")],
)
def test_a_part_that_is_not_there_names_the_nearest(result: Any, words: str) -> None:
    with pytest.raises(RenderError) as raised:
        value("call.kwargs.x", ROWS.text, {"count": result})
    assert words in raised.value.message
    assert raised.value.field == "call.kwargs.x"


def test_other_templates_give_text_but_in_a_native_dag() -> None:
    conf = {"top": [1, 2]}
    assert value("call.kwargs.x", "{{ params.top }}", conf=conf) == "[1, 2]"
    assert value("call.kwargs.x", "{{ params.top }}", conf=conf, native=True) == [1, 2]
    assert value("command", "{{ params.top }}", conf=conf, native=True) == ["1", "2"]
    assert value("call.kwargs.x", "<{{ params.top }}>", conf=conf, native=True) == "<[1, 2]>"
    assert value("environment.X", "{{ params.top }}", conf=conf, native=True) == "[1, 2]"


def test_a_text_that_looks_like_python_stays_a_text_in_a_native_dag() -> None:
    assert value("call.kwargs.x", "{{ params.city }}", conf={"city": "[1, 2]"}, native=True) == "[1, 2]"


def test_dates_and_facades_are_values_too() -> None:
    assert value("call.kwargs.x", "{{ logical_date | text }}") == "2013-01-31T00:00:00+00:00"
    assert value("call.kwargs.x", "{{ dag_run | text }}", conf={"a": 1})["conf"] == {"a": 1}
    assert value("call.kwargs.x", "{{ macros.timedelta(hours=1) | text }}") == 3600


@pytest.mark.parametrize("text", ["{{ macros | text }}", "{{ macros.json | text }}", "{{ {1: 2} | text }}"])
def test_what_json_cannot_say_is_refused(text: str) -> None:
    with pytest.raises(RenderError, match="it comes to"):
        value("call.args[0]", text)


def test_an_undefined_value_names_what_is_undefined() -> None:
    with pytest.raises(RenderError, match=r"has no 'cty'; did you mean 'city'"):
        value("call.args[0]", "{{ params.cty | text }}")
