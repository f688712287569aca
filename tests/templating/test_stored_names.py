"""`var` and `conn`: what is public is inserted; what is secret leaves a reference, and can nothing else."""

from typing import Any

import pytest
from template_facts import facts

from orchestrator.errors import RenderError
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.secrets import SecretKind, SecretRef, Shown
from orchestrator.spec.stored import hide, shown
from orchestrator.templating.context import build_context
from orchestrator.templating.render import render

VARIABLE, CONNECTION = SecretKind.VARIABLE, SecretKind.CONNECTION
KEPT = {
    (VARIABLE, "region"): shown(VARIABLE, b"eu; rm"),
    (VARIABLE, "api_token"): hide(shown(VARIABLE, b"hunter2")),
    (VARIABLE, "mixed"): shown(VARIABLE, b'{"a": {"b": [1]}, "api_key": "hunter2"}'),
    (CONNECTION, "pg"): shown(CONNECTION, b"postgres://bob:hunter2@db:5432/shop?sslmode=on"),
}


def stored(kind: SecretKind, stored_id: str) -> Shown:
    return KEPT.get((kind, stored_id), Shown(missing=f"the {kind} {stored_id!r} is nowhere; asked: the moon"))


def rendered(results: dict[str, bytes] | None = None, /, conf: dict[str, Any] | None = None, **fields: Any) -> Any:
    names = build_context(facts(conf=conf or {}), (results or {}).get, stored)
    return render(ContainerTemplate(**fields), names)


def refusal(field: str = "environment", text: str = "", **names: Any) -> str:
    with pytest.raises(RenderError) as refused:
        rendered(
            **({field: {"X": text}} if field in ("environment", "inputs", "labels") else {field: text}), **names
        )
    assert "hunter2" not in str(refused.value)
    return f"{refused.value.message} {refused.value.fix}"


def ref(kind: SecretKind, stored_id: str, *path: str) -> SecretRef:
    return SecretRef(kind=kind, id=stored_id, path=path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ var.value.region }}", "eu; rm"),
        ("{{ var.value['region'] | upper }}", "EU; RM"),
        ("{{ var.value.get('no', 'default') }}", "default"),
        ("{{ var.value.no | default('d') }}", "d"),
        ("{{ var.json.mixed.a.b[0] + 1 }}", "2"),
        ("{{ conn.pg.login }}@{{ conn.pg.host }}:{{ conn.pg.port }}/{{ conn.pg.schema }}", "bob@db:5432/shop"),
        ("{{ conn.pg.extra_dejson.sslmode }} {{ conn.pg.conn_type }} {{ conn.pg }}", "on postgres pg"),
    ],
)
def test_what_is_no_secret_is_a_value_like_any_other(text: str, value: str) -> None:
    assert rendered(command=[text]).command == [value]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("{{ var.value.api_token }}", (ref(VARIABLE, "api_token"),)),
        ("{{ var.json.mixed.api_key }}", (ref(VARIABLE, "mixed", "api_key"),)),
        ("{{ var.value.mixed }}", (ref(VARIABLE, "mixed"),)),
        ("u:{{ conn.pg.password }}@{{ conn.pg.host }}", ("u:", ref(CONNECTION, "pg", "password"), "@db")),
        ("{{ conn.pg.get_uri() }}", (ref(CONNECTION, "pg", "uri"),)),
        ("{% set p = conn.pg.password %}{{ p }}{{ p }}", (ref(CONNECTION, "pg", "password"),) * 2),
        (
            "{% if conn.pg.password is defined %}{{ conn.pg.password }}{% endif %}",
            (ref(CONNECTION, "pg", "password"),),
        ),
    ],
)
@pytest.mark.parametrize("field", ["environment", "private_environment", "inputs", "env_file"])
def test_a_secret_leaves_a_reference(field: str, text: str, parts: tuple[Any, ...]) -> None:
    made = rendered(**{field: {"/a.b": text, "C": "{{ ds }}"}})
    assert made.sealed == {f"{field}./a.b": parts}
    assert getattr(made, field) == {"/a.b": "", "C": "2013-01-31"}


def test_every_variable_is_secret_in_a_private_environment() -> None:
    made = rendered(private_environment={"A": "{{ var.value.region }}", "B": "{{ var.json.mixed.a.b[0] }}"})
    assert made.sealed == {
        "private_environment.A": (ref(VARIABLE, "region"),),
        "private_environment.B": (ref(VARIABLE, "mixed", "a", "b", "0"),),
    }


@pytest.mark.parametrize(
    "text",
    [
        "{{ var.value.api_token | upper }}",
        "{{ var.value.api_token | tojson }}",
        "{{ var.value.api_token | shell_quote }}",
        "{{ var.value.api_token | length }}",
        "{{ 'x' ~ var.value.api_token }}",
        "{{ 'x' + var.value.api_token }}",
        "{{ '%s' % var.value.api_token }}",
        "{{ '%s' | format(var.value.api_token) }}",
        "{{ var.value.api_token[0] }}",
        "{% if var.value.api_token == 'hunter2' %}{% endif %}",
        "{% if var.value.api_token in ['hunter2'] %}{% endif %}",
        "{% if 'h' in var.value.api_token %}{% endif %}",
        "{% if var.value.api_token %}{% endif %}",
        "{% if conn.pg.password < 'i' %}{% endif %}",
        "{% for each in conn.pg.password %}{% endfor %}",
        "{{ {'a': conn.pg.password} }}",
        "{{ [conn.pg.password] | join }}",
        "{{ var.json.mixed }}",
        "{% filter upper %}{{ conn.pg.password }}{% endfilter %}{{ var.json.mixed }}",
        "{% macro m() %}{{ conn.pg.password }}{% endmacro %}{{ m()[:9] }}{{ m() | replace(':', '') }}",
    ],
)
def test_nothing_but_its_insertion_can_be_done_with_a_secret(text: str) -> None:
    assert "secrets=[Secret(" in refusal(text=text)


@pytest.mark.parametrize("field", ["script", "image", "labels", "user", "hostname", "command"])
def test_a_secret_may_not_stand_where_it_would_be_seen(field: str) -> None:
    told = refusal(field, "echo {{ conn.pg.password }}")
    assert "connection 'pg' (password) is secret" in told
    assert "secrets=[Secret(" in told


def test_what_is_nowhere_is_told_with_the_places_that_were_asked() -> None:
    assert "the variable 'no' is nowhere; asked: the moon" in refusal(text="{{ var.value.no }}")
    assert "the connection 'no' is nowhere; asked: the moon" in refusal(text="{{ conn.no.host }}")
    assert "holds no JSON" in refusal(text="{{ var.json.region }}")
    assert "did you mean 'password'" in refusal(text="{{ conn.pg.pasword }}")
    assert "did you mean 'value'" in refusal(text="{{ var.valu.x }}")


def test_no_data_can_pass_for_a_mark() -> None:
    """Nor be a template: it is inserted once."""
    forged = "\ue0000:0\ue001 {{ conn.pg.password }}"
    made = rendered(conf={"x": forged}, environment={"A": "{{ dag_run.conf.x }}{{ conn.pg.password }}"})
    assert made.sealed == {"environment.A": (forged, ref(CONNECTION, "pg", "password"))}


def test_a_value_that_others_wrote_stays_data_in_a_script() -> None:
    assert rendered(script="echo {{ var.value.region }}").script == "orc_data_1='eu; rm'\necho \"${orc_data_1}\""
