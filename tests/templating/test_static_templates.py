import pytest

from orchestrator.errors import RenderError
from orchestrator.templating.static import StaticTemplate


def names(text: str, field: str = "command") -> list[str]:
    return list(StaticTemplate(field, text).unknown_names())


def test_known_names_and_jinjas_own_pass() -> None:
    assert (
        names("{{ ds }} {% for i in range(3) %}{{ i }}{{ loop.index }}{% endfor %} {{ macros.ds_add(ds, 1) }}")
        == []
    )


def test_unknown_names_are_told_with_the_nearest() -> None:
    assert names("{{ dss }} {{ zzz }}") == ["'dss' is undefined; did you mean 'ds'?", "'zzz' is undefined"]


@pytest.mark.parametrize("text", ["{{ ds", "{% if %}", "{{ ds | nope }}", "{{ ds is nope }}", "{% nope %}"])
def test_wrong_syntax_is_an_error(text: str) -> None:
    with pytest.raises(RenderError):
        StaticTemplate("command", text)


def test_raw_is_known_in_scripts_only() -> None:
    StaticTemplate("script", "{{ params.a | raw }}")
    with pytest.raises(RenderError, match="raw"):
        StaticTemplate("command", "{{ params.a | raw }}")


def test_misplaced_data_in_a_script_is_found_before_it_runs() -> None:
    with pytest.raises(RenderError, match=r"say \| raw"):
        StaticTemplate("script", "{% set x %}{{ params.city }}{% endset %}{{ x }}")


def test_unknown_params_are_told_unless_they_have_a_default() -> None:
    template = StaticTemplate(
        "command",
        "{{ params.cty }}{{ params['city'] }}{{ params.x | default(1) }}{% if params.y is defined %}{% endif %}"
        "{{ params.get('z') }}",
    )
    assert list(template.unknown_params({"city": 1})) == ["params has no 'cty'; did you mean 'city'?"]


def test_pulled_tasks_are_found() -> None:
    text = "{{ ti.xcom_pull('a') }}{{ task_instance.xcom_pull(task_ids=['b', 'c'])[0] }}{{ ti.xcom_pull(ds) }}"
    assert list(StaticTemplate("command", text).pulled_tasks()) == ["a", "b", "c"]


def test_data_is_told_from_what_the_author_wrote() -> None:
    assert StaticTemplate("command", "{{ dag_run.conf.x }}").carries_data()
    assert not StaticTemplate("command", "{{ ds }}{% if params.x %}y{% endif %}").carries_data()
