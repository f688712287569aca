"""Values from conf, params and results in script=: every one reaches the program whole, none is run."""

import subprocess

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from template_facts import context

from orchestrator.errors import RenderError
from orchestrator.templating.render import render_field

VALUES = st.one_of(
    st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), max_size=12),
    st.lists(st.sampled_from([*"$`\"'\\ ;&|<>(){}\n#!*~=", "$(", "EOF", "\n", "a"]), max_size=8).map("".join),
)
PLACES = {
    "bare": "printf %s {{ params.city }}",
    "assigned": 'x={{ params.city }}\nprintf %s "$x"',
    "double quotes": 'printf %s "{{ params.city }}"',
    "single quotes": "printf %s '{{ params.city }}'",
    "substitution": 'x=$(printf %s {{ params.city }}; echo .)\nprintf %s "${x%.}"',
    "substitution in quotes": 'x="$(printf %s "{{ params.city }}"; echo .)"\nprintf %s "${x%.}"',
    "subshell": "(printf %s {{ params.city }})",
    "default": 'printf %s "${nope:-"{{ params.city }}"}"',
    "after an apostrophe in a comment": "# it's\nprintf %s {{ params.city }}",
    "set before": "{% set c = params.city %}printf %s {{ c }}",
    "in a loop": "{% for c in [params.city] %}printf %s {{ c }}{% endfor %}",
    "in a namespace": "{% set n = namespace(c='') %}{% set n.c = params.city %}printf %s {{ n.c }}",
    "in with": "{% with c = params.city %}printf %s {{ c }}{% endwith %}",
    "quoted already": "printf %s {{ params.city | shell_quote }}",
    "from a result": "printf %s {{ ti.xcom_pull('fetch').name }}",
    "from conf": "printf %s {{ dag_run.conf.city }}",
    "joined": "printf %s {{ params.city ~ '' }}",
}  # fmt: skip


def run(shell: str, script: str) -> str:
    done = subprocess.run(
        [shell, "-ec", script], capture_output=True, check=False, env={"LC_ALL": "C.UTF-8"}, timeout=20
    )
    assert done.returncode == 0, (script, done.stderr)
    return done.stdout.decode()


def rendered(script: str, value: object) -> str:
    results = {"fetch": msgspec.json.encode({"name": value})}
    return render_field("script", script, context(results, conf={"city": value}))


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=8, deadline=None)
@given(value=VALUES)
@example(value="$(echo run >&2; exit 9)`exit 9`'; exit 9; \"")
@example(value="a'\nexit 9\n")
def test_a_value_reaches_the_program_whole_wherever_it_stands(shell: str, place: str, value: str) -> None:
    assert run(shell, rendered(PLACES[place], value)) == value


@pytest.mark.parametrize("value", ["EOF", "x\nEOF\nexit 9", "$(exit 9)", "E", "a'b\"c\\"])
def test_a_value_in_a_here_document_neither_ends_nor_runs_it(value: str) -> None:
    script = "cat <<EOF\n{{ params.city }}\n{{ params.city }}\nEOF\nprintf end"
    assert run("sh", rendered(script, value)) == f"{value}\n{value}\nend"


def test_a_here_document_that_replaces_nothing_is_refused() -> None:
    with pytest.raises(RenderError, match="without quotes"):
        rendered("cat <<'EOF'\n{{ params.city }}\nEOF\n", "a")


def test_arithmetic_takes_whole_numbers_only() -> None:
    assert run("sh", rendered("printf %s $(( ({{ params.city }}) + 1 ))", 41)) == "42"
    with pytest.raises(RenderError, match="no whole number"):
        rendered("printf %s $(( ({{ params.city }}) + 1 ))", "a[$(exit 9)]")


def test_a_backslash_before_a_value_is_refused() -> None:
    with pytest.raises(RenderError, match="backslash"):
        rendered("echo \\{{ params.city }}", "a b")


def test_simple_values_are_written_as_they_are() -> None:
    assert rendered("rank --day {{ params.city }} > out", "2013-01-31") == "rank --day 2013-01-31 > out"


def test_other_values_are_set_at_the_beginning_and_referred_to() -> None:
    assert rendered('echo {{ params.city }} "{{ params.city }}"', "a b") == (
        "orc_data_1='a b'\norc_data_2='a b'\necho \"${orc_data_1}\" \"${orc_data_2}\""
    )


@pytest.mark.parametrize("value", ["done", "2", ""])
def test_words_with_a_meaning_to_the_shell_lose_it(value: str) -> None:
    assert run("sh", rendered("printf '<%s>' {{ params.city }}>/dev/stdout", value)) == f"<{value}>"


def test_raw_leaves_the_quoting_to_the_author() -> None:
    assert rendered("{{ params.city | raw }} {{ ('-' ~ params.city) | raw }}", "a b") == "a b -a b"


def test_what_the_author_wrote_is_not_quoted() -> None:
    script = "{% set flags = '-v -x' %}tool {{ flags }} {{ logical_date }} {{ 'a b' if params.city else '' }}"
    assert rendered(script, "") == "tool -v -x 2013-01-31 00:00:00+00:00 "


@pytest.mark.parametrize(
    "script",
    [
        "{% macro m(x) %}-f {{ x }}{% endmacro %}tool {{ m(params.city) }}",
        "{% set x %}-f {{ params.city }}{% endset %}tool {{ x }}",
        "{% filter upper %}{{ params.city }}{% endfilter %}",
        "{% block b %}{{ params.city }}{% endblock %}{{ self.b() }}",
        "{% for x in params.city recursive %}{{ x }}{% endfor %}",
    ],
)
def test_text_that_is_used_again_cannot_hold_values(script: str) -> None:
    with pytest.raises(RenderError, match=r"say \| raw"):
        rendered(script, ["a b"])


def test_an_unknown_name_in_a_script_is_still_named() -> None:
    with pytest.raises(RenderError, match="'cty'; did you mean 'city'"):
        rendered("echo {{ params.cty }}", "a")


@given(st.text(st.sampled_from("\ue000\ue001:0123456789 '\"$("), max_size=12))
def test_values_that_look_like_marks_are_values(value: str) -> None:
    assert run("sh", rendered("printf %s {{ params.city }}{{ params.city }}", value)) == value * 2
