import pytest
from hypothesis import given
from hypothesis import strategies as st
from template_facts import context

from orchestrator.errors import RenderError
from orchestrator.spec.container import Mount, MountType
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.templating.render import render, render_field


def failure(text: str, field: str = "command", **changes: object) -> RenderError:
    with pytest.raises(RenderError) as caught:
        render_field(field, text, context(**changes))
    assert caught.value.field == field
    return caught.value


def test_every_string_is_rendered_wherever_it_stands() -> None:
    template = ContainerTemplate(
        image="tool:{{ ds_nodash }}",
        command=["run", "{{ ds }}", "{{ '' }}"],
        environment={"{{ key }}": "{{ params.city }}"},
        labels={"day": "{{ ds }}"},
        mounts=(Mount(type=MountType.ROOT, source="flights", target="/data/{{ ds }}"),),
        tmpfs={"/tmp": "size={{ params.top }}m"},
        cpus="{{ ti.try_number }}",
        mem_limit="{{ 512 * ti.try_number }}m",
        cap_add=("{{ 'NET_ADMIN' }}",),
        pids_limit=5,
    )
    assert render(template, context()) == ContainerTemplate(
        image="tool:20130131",
        command=["run", "2013-01-31", ""],
        environment={"{{ key }}": "New York"},
        labels={"day": "2013-01-31"},
        mounts=(Mount(type=MountType.ROOT, source="flights", target="/data/2013-01-31"),),
        tmpfs={"/tmp": "size=5m"},
        cpus="2",
        mem_limit="1024m",
        cap_add=("NET_ADMIN",),
        pids_limit=5,
    )


@given(st.text().filter(lambda text: not any(mark in text for mark in ("{{", "{%", "{#"))))
def test_text_without_marks_comes_through_as_it_is(text: str) -> None:
    template = ContainerTemplate(command=text, environment={"A": text})
    assert render(template, {}) == template


@given(st.text(st.characters(exclude_characters="\0")))
def test_what_data_says_is_never_a_template(text: str) -> None:
    value = "{{ ds }}" + text
    rendered = render(ContainerTemplate(environment={"A": "{{ params.city }}"}), context(conf={"city": value}))
    assert rendered.environment["A"] == value


def test_a_final_line_end_stays() -> None:
    assert render_field("inputs./a", "{{ ds }}\n", context()) == "2013-01-31\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ dss }}", "'dss' is undefined; did you mean 'ds'?"),
        ("{{ params.cty }}", "the mapping has no 'cty'; did you mean 'city'?"),
        ("{{ dag_run.config }}", "DagRun has no 'config'; did you mean 'conf'?"),
        ("{{ var.value.x }}", "the variable 'x' is nowhere"),
        ("{{ conn.db.host }}", "the connection 'db' is nowhere"),
        ("{{ output('a', 'b') }}", "output('a', 'b') names no output"),
        ("{{ ds", "unexpected end of template"),
        ("{{ ds | dayly }}", "No filter named 'dayly'"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ ''.__class__ }}", "unsafe"),
        ("{{ params.update({'a': 1}) }}", "unsafe"),
        ("{% include 'x' %}", "no loader"),
        ("{{ params.city | raw }}", "No filter named 'raw'"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    assert words in failure(text).message


def test_the_line_within_a_long_template_is_said() -> None:
    assert "(line 3 of it)" in failure("a\nb\n{{ nope }}").message


@pytest.mark.parametrize("field", ["image", "command", "script", "mounts[0].source", "mounts[1].target"])
def test_what_must_not_be_empty_may_not_render_to_nothing(field: str) -> None:
    assert "renders to nothing" in failure("{% if test_mode %}x{% endif %} ", field).message


def test_other_fields_may_render_to_nothing() -> None:
    assert render_field("environment.A", "{{ '' }}", context()) == ""


def test_a_nul_character_is_refused() -> None:
    assert "NUL" in failure("{{ params.city }}", conf={"city": "a\0b"}).message
