"""The rules about secrets in DAG files: what is refused, and what only looks like it."""

from typing import Any

import pytest

from orchestrator.dagfiles.checks.every import check
from orchestrator.spec.dag import ContainerTemplate, DagSpec, Problem, TaskSpec


def errors(**fields: Any) -> list[Problem]:
    task = TaskSpec(task_id="t", container=ContainerTemplate(**{"image": "tool:1", **fields}), line=7)
    found = check(DagSpec(dag_id="d", file="d.py", tasks=(task,)), frozenset())
    return [each for each in found if each.rule in ("literal_secret", "secret_in_command")]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"environment": {"DB_PASSWORD": "hunter2"}}, "environment.DB_PASSWORD: the value of a secret"),
        ({"env_file": {"API_KEY": "hunter2"}}, "env_file.API_KEY: the value of a secret"),
        ({"labels": {"token": "hunter2"}}, "labels.token: the value of a secret"),
        ({"environment": {"DB": "postgres://u:hunter2@h/s"}}, "environment.DB: a URL with a password"),
        ({"script": "psql postgres://u:hunter2@h"}, "script: a URL with a password"),
        ({"inputs": {"/k": "-----BEGIN RSA PRIVATE KEY-----\nx"}}, "inputs./k: a private key"),
        ({"command": ["aws", "AKIAABCDEFGHIJKLMNOP"]}, "command[1]: an access key of AWS"),
        ({"script": f"curl -H ghp_{'a' * 36}"}, "script: a token of GitHub"),
        ({"environment": {"X": "xoxb-1234567890-a"}}, "environment.X: a token of Slack"),
        ({"command": "tool --password hunter2"}, "command: an option with the value of a secret"),
        ({"command": ["tool", "--api-key", "hunter2"]}, "command: an option with the value of a secret"),
        ({"script": "tool --db-password='hunter2' x"}, "script: an option with the value of a secret"),
    ],
)
def test_a_secret_that_stands_in_the_file_is_an_error_that_does_not_repeat_it(
    fields: dict[str, Any], told: str
) -> None:
    (found,) = errors(**fields)
    assert (found.rule, found.severity, found.task_id, found.line) == ("literal_secret", "error", "t", 7)
    assert found.text == f"{told} stands in the file, and is stored and shown with the DAG"
    assert 'secrets=[Secret("id", env="NAME")]' in found.fix
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    "fields",
    [
        {
            "environment": {
                "PASSWORD": "",
                "TOKEN_URL": "https://h/t",
                "SECRET_NAME": "x",
                "DB_PASSWORD": "{{ params.p }}",
            }
        },
        {"environment": {"PASSWORD_FILE": "/run/secrets/db", "TOKEN": "/run/secrets/t", "PGPASSWORD": "$DB"}},
        {"environment": {"USE_TOKEN": "true", "HOST": "http://user@host:80/a:b@c"}},
        {"command": "tool --password-file /x --token $TOKEN --secret={{ params.s }}"},
        {"script": 'tool --password "$DB" --token "${T}" --no-password -p x; curl "http://u:$P@h" --secret --x'},
        {"inputs": {"/k": "-----BEGIN CERTIFICATE-----"}, "command": ["say", "token", "or", "password", "x"]},
        {"environment": {"DB": "postgres://{{ conn.pg.login }}:{{ conn.pg.password }}@h"}},
    ],
)
def test_what_only_looks_like_one_is_left_in_peace(fields: dict[str, Any]) -> None:
    assert errors(**fields) == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"command": "tool {{ conn.pg.password }}"}, "command: conn.pg.password is secret"),
        ({"command": ["a", "{{ conn['pg'].password }}"]}, "command[1]: conn.pg.password is secret"),
        ({"script": "x {{ var.value.api_token }}"}, "script: var.value.api_token is secret"),
        ({"labels": {"a": "{{ var.json.x.secret_key }}"}}, "labels.a: var.json.x.secret_key is secret"),
        ({"user": "{{ conn.pg.extra_dejson.token }}"}, "user: conn.pg.extra_dejson.token is secret"),
    ],
)
def test_a_secret_where_everybody_would_see_it_is_an_error(fields: dict[str, Any], told: str) -> None:
    (found,) = errors(**fields)
    assert found.rule == "secret_in_command"
    assert found.text.startswith(told)
    assert "connections=" in found.fix


@pytest.mark.parametrize("field", ["environment", "private_environment", "inputs"])
def test_a_secret_may_stand_where_it_is_kept_as_a_reference(field: str) -> None:
    assert errors(**{field: {"/x": "{{ conn.pg.password }} {{ var.value.token }}"}}) == []


def test_public_parts_may_stand_anywhere() -> None:
    assert errors(command=["{{ conn.pg.host }}", "{{ var.value.region }}", "{{ conn.pg[ds] }}"]) == []
