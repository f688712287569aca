"""A connection: where something is and how one logs in, as Airflow's users write it, a URI or JSON. Pure."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import msgspec

from orchestrator.spec.value import Value

_FIELDS = ("conn_type", "host", "port", "login", "password", "schema", "extra", "description")
_NAMES = {"type": "conn_type", "user": "login", "username": "login", "uri": "host"}
#: The query's one name for extras that a query cannot say.
_WHOLE_EXTRA = "__extra__"


class Connection(Value, frozen=True, kw_only=True):
    """The fields of a connection; `extra` is what its kind knows besides."""

    conn_type: str = ""
    host: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = None
    schema: str | None = None
    extra: dict[str, Any] = {}
    description: str | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.conn_type}>"

    @property
    def uri(self) -> str:
        """It in one line; names and values are percent-encoded."""
        login = _quoted(self.login) + (f":{_quoted(self.password)}" if self.password is not None else "")
        place = (f"{login}@" if login else "") + _quoted(self.host) + (f":{self.port}" if self.port else "")
        schema = f"/{_quoted(self.schema)}" if self.schema else "/" if self.extra else ""
        return f"{self.conn_type.lower().replace('_', '-')}://{place}{schema}{_query(self.extra)}"


def read_connection(text: str) -> Connection:
    """A connection from either of its forms. ValueError, which tells nothing of what the text says, where it has
    neither."""
    return _from_json(text) if text.lstrip().startswith("{") else _from_uri(text.strip())


def _from_json(text: str) -> Connection:
    try:
        written = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("it begins as JSON, and is none") from None
    values = {_NAMES.get(name, name): value for name, value in written.items() if value not in (None, "")}
    values.pop("conn_id", None)
    extra = values.get("extra", {})
    try:
        if isinstance(extra, str):
            values["extra"] = msgspec.json.decode(extra, type=dict[str, Any])
        return msgspec.convert(values, Connection, strict=False)
    except (msgspec.DecodeError, RecursionError):
        raise ValueError(f"its JSON has other fields than {', '.join(_FIELDS)}, or one of the wrong type") from None


def _from_uri(text: str) -> Connection:
    """`type://login:password@host:port/schema?key=value`"""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("it is no URI that can be read") from None
    if not parts.scheme or "://" not in text:
        raise ValueError("it is neither JSON nor a URI like postgres://login:password@host:5432/schema")
    login, _, host = parts.netloc.rpartition("@")
    user, colon, password = login.partition(":")
    if ":" in host and not host.endswith("]"):
        host = host.rpartition(":")[0]
    return Connection(
        conn_type=parts.scheme.replace("-", "_"),
        host=unquote(host) or None,
        port=port,
        login=unquote(user) or None,
        password=unquote(password) if colon else None,
        schema=unquote(parts.path.removeprefix("/")) or None,
        extra=_extra(dict(parse_qsl(parts.query, keep_blank_values=True))),
    )


def _extra(query: Mapping[str, str]) -> dict[str, Any]:
    whole = query.get(_WHOLE_EXTRA)
    if whole is None:
        return dict(query)
    try:
        return msgspec.json.decode(whole, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise ValueError(f"its {_WHOLE_EXTRA} is no JSON object") from None


def _query(extra: Mapping[str, Any]) -> str:
    if not extra:
        return ""
    if all(isinstance(value, str) and value for value in extra.values()):
        return f"?{urlencode(extra)}"
    return f"?{urlencode({_WHOLE_EXTRA: msgspec.json.encode(extra).decode()})}"


def _quoted(text: str | None) -> str:
    return quote(text or "", safe="")
