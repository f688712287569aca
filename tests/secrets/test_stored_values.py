"""What is kept, as it is read: connections in both forms, and which parts of anything are secret."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.spec.connections import Connection, read_connection
from orchestrator.spec.secrets import SecretKind, SecretRef, Shown, is_sensitive, is_stored_id
from orchestrator.spec.stored import confidential, part, shown

PG = b"postgres://bob:p%40ss@db.example:5432/shop?sslmode=require&aws_secret=s3cret99"
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
connections = st.builds(
    Connection,
    conn_type=st.sampled_from(["postgres", "google_cloud", "http"]),
    host=st.none() | texts,
    port=st.none() | st.integers(1, 65535),
    login=st.none() | texts,
    password=st.none() | texts,
    schema=st.none() | texts,
    extra=st.dictionaries(texts, texts | st.lists(st.integers(), max_size=2), max_size=3),
)


def ref(kind: SecretKind, *path: str) -> SecretRef:
    return SecretRef(kind=kind, id="x", path=path)


@given(connection=connections)
def test_a_connection_is_the_same_from_its_uri_and_from_its_json(connection: Connection) -> None:
    assert read_connection(connection.uri) == connection
    assert read_connection(msgspec.json.encode(connection).decode()) == connection


def test_a_uri_is_read_as_airflow_writes_it() -> None:
    assert read_connection(PG.decode()) == Connection(
        conn_type="postgres",
        host="db.example",
        port=5432,
        login="bob",
        password="p@ss",  # noqa: S106 - no secret of anybody's
        schema="shop",
        extra={"sslmode": "require", "aws_secret": "s3cret99"},
    )
    whole = read_connection("aws://?__extra__=%7B%22region%22%3A+%22eu%22%2C+%22n%22%3A+%5B1%5D%7D")
    assert whole == Connection(conn_type="aws", extra={"region": "eu", "n": [1]})


def test_json_may_hold_its_extra_as_text_and_its_port_too() -> None:
    text = '{"conn_type": "http", "port": "80", "extra": "{\\"a\\": 1}", "password": ""}'
    assert read_connection(text) == Connection(conn_type="http", port=80, extra={"a": 1})


@pytest.mark.parametrize(
    "text",
    ["hunter2", "{hunter2", '{"hunter2": 1}', '{"port": "hunter2"}', "http://h:hunter2", "x://?__extra__=hunter2"],
)
def test_what_is_no_connection_is_told_without_its_text(text: str) -> None:
    with pytest.raises(ValueError) as told:
        read_connection(text)
    assert "hunter2" not in str(told.value)
    assert told.value.__context__ is None or told.value.__suppress_context__
    assert "p%40ss" not in repr(read_connection(PG.decode()))


def test_templates_see_where_a_connection_leads_and_not_how_one_logs_in() -> None:
    seen = shown(SecretKind.CONNECTION, PG)
    assert seen.tree["host"] == "db.example"
    assert seen.tree["extra_dejson"] == {"sslmode": "require", "aws_secret": None}
    assert seen.hidden == (("password",), ("extra_dejson", "aws_secret"), ("uri",), ("extra",))
    assert b"p@ss" not in msgspec.json.encode(seen)
    assert b"p%40ss" not in msgspec.json.encode(seen)
    assert b"s3cret99" not in msgspec.json.encode(seen)


def test_a_connection_without_anything_secret_is_seen_whole() -> None:
    assert shown(SecretKind.CONNECTION, b"http://h:80").hidden == ()


def test_a_variable_that_holds_a_secret_part_is_secret_as_a_whole() -> None:
    seen = shown(SecretKind.VARIABLE, b'{"region": "eu", "keys": [{"api_key": "k"}]}\n')
    assert seen == Shown(tree={"region": "eu", "keys": [{"api_key": None}]}, hidden=(("keys", "0", "api_key"),))
    assert shown(SecretKind.VARIABLE, b"eu\n") == Shown(text="eu")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((), PG),
        (("password",), b"p@ss"),
        (("uri",), PG),
        (("extra_dejson", "aws_secret"), b"s3cret99"),
        (("port",), b"5432"),
    ],
)
def test_a_reference_means_a_part(path: tuple[str, ...], value: bytes) -> None:
    assert part(ref(SecretKind.CONNECTION, *path), PG) == value


def test_the_json_of_a_connection_has_its_id_and_all_it_knows() -> None:
    told = msgspec.json.decode(part(ref(SecretKind.CONNECTION, "json"), PG))
    assert told == {
        "conn_id": "x", "conn_type": "postgres", "host": "db.example", "port": 5432, "login": "bob",
        "password": "p@ss", "schema": "shop", "extra": {"sslmode": "require", "aws_secret": "s3cret99"},
    }  # fmt: skip


def test_a_secret_is_bytes_and_a_variable_text() -> None:
    assert part(ref(SecretKind.SECRET), b"\xff\n") == b"\xff\n"
    assert part(ref(SecretKind.VARIABLE), b"a\r\n") == b"a"
    assert part(ref(SecretKind.VARIABLE, "a", "1"), b'{"a": [0, {"b": 1}]}') == b'{"b":1}'
    for broken in (ref(SecretKind.VARIABLE, "b"), ref(SecretKind.VARIABLE, "a", "7")):
        with pytest.raises(ValueError, match="it has no"):
            part(broken, b'{"a": [0]}')


def test_every_secret_part_is_confidential_whichever_is_meant() -> None:
    assert set(confidential(ref(SecretKind.CONNECTION, "json"), PG)) == {b"p@ss", b"s3cret99"}
    assert set(confidential(ref(SecretKind.CONNECTION, "login"), PG)) == {b"p@ss", b"s3cret99", b"bob"}
    assert set(confidential(ref(SecretKind.SECRET), b" key\n")) == {b"key"}
    assert set(confidential(ref(SecretKind.VARIABLE), b"False")) == set()
    assert set(confidential(ref(SecretKind.CONNECTION, "uri"), b"\xff")) == set()


@pytest.mark.parametrize("name", ["DB_PASSWORD", "api-key", "slack_token", "Client Secret", "keyfile_dict"])
def test_a_name_tells_a_secret(name: str) -> None:
    assert is_sensitive(name)
    assert not is_sensitive("region")


@pytest.mark.parametrize(("text", "fits"), [("my-db.1", True), ("", False), ("..", False), ("a/b", False)])
def test_an_id_is_a_files_name(text: str, *, fits: bool) -> None:
    assert is_stored_id(text) is fits
