"""Parts of what is kept as a secret, a variable or a connection: which of them templates may see, which value a
reference means, and which values must not be seen in a log. Pure; no message tells a value."""

from collections.abc import Iterator
from typing import Any

import msgspec

from orchestrator.spec.connections import Connection, read_connection
from orchestrator.spec.secrets import SecretKind, SecretRef, Shown, is_sensitive

#: Values that are no secrets, whatever their name: hiding them would spoil every log.
_COMMON = frozenset({b"", b"true", b"false", b"none", b"null"})


def shown(kind: SecretKind, data: bytes) -> Shown:
    """What templates may see of a variable or a connection. A variable that holds secret parts is secret as a
    whole; one whose own name is sensitive is made so by `hide`. ValueError where it cannot be read."""
    if kind is SecretKind.CONNECTION:
        tree, hidden = _without_of_connection(read_connection(_text(data)))
        return Shown(tree=tree, hidden=hidden)
    text = _text(data)
    tree, hidden = _without(_json(text))
    return Shown(text=None if hidden else text, tree=tree, hidden=hidden)


def hide(seen: Shown) -> Shown:
    """The same with nothing to be seen."""
    return Shown(hidden=((),), missing=seen.missing)


def part(ref: SecretRef, data: bytes) -> bytes:
    """The value that a reference means. ValueError where there is no such part."""
    if ref.kind is SecretKind.SECRET:
        return data
    if not ref.path:
        return _text(data).encode()
    if ref.kind is SecretKind.VARIABLE:
        return _bytes(_at(_json(_text(data)), ref.path))
    connection = read_connection(_text(data))
    if ref.path == ("json",):
        return msgspec.json.encode({"conn_id": ref.id} | msgspec.to_builtins(connection))
    return _bytes(_at(_fields(connection), ref.path))


def confidential(ref: SecretRef, data: bytes) -> Iterator[bytes]:
    """The values behind a reference that no log may show: what it means, and every secret part beside it. Nothing
    where it cannot be read: nobody was given it then."""
    try:
        values = list(_confidential(ref, data))
    except ValueError:
        return
    yield from (value for value in values if value.lower() not in _COMMON)


def _confidential(ref: SecretRef, data: bytes) -> Iterator[bytes]:
    if ref.kind is SecretKind.SECRET:
        yield data.strip()
        return
    if ref.kind is SecretKind.CONNECTION:
        tree: Any = _fields(read_connection(_text(data)))
        if ref.path and ref.path not in (("json",), ("uri",)):
            yield part(ref, data).strip()
    else:
        tree = _json(_text(data))
        yield part(ref, data).strip()
    for path in _without(tree)[1]:
        yield _bytes(_at(tree, path)).strip()


def _fields(connection: Connection) -> dict[str, Any]:
    """As templates name them."""
    fields = {name: getattr(connection, name) for name in connection.__struct_fields__ if name != "extra"}
    extra = {"extra": msgspec.json.encode(connection.extra).decode() if connection.extra else ""}
    return fields | {"uri": connection.uri, "extra_dejson": connection.extra} | extra


def _without(tree: Any, path: tuple[str, ...] = ()) -> tuple[Any, tuple[tuple[str, ...], ...]]:
    """The tree with None for each secret part, and the paths of these."""
    if not isinstance(tree, dict | list):
        return tree, ()
    keyed = tree.items() if isinstance(tree, dict) else ((str(index), each) for index, each in enumerate(tree))
    hidden: list[tuple[str, ...]] = []
    kept: dict[str, Any] = {}
    for name, value in keyed:
        key = str(name)
        secret = is_sensitive(key) and value not in (None, "", {}, [])
        kept[key], inner = (None, ((*path, key),)) if secret else _without(value, (*path, key))
        hidden += inner
    return kept if isinstance(tree, dict) else list(kept.values()), tuple(hidden)


def _without_of_connection(connection: Connection) -> tuple[Any, tuple[tuple[str, ...], ...]]:
    """The same of its fields, two of which tell what others say."""
    tree, hidden = _without(_fields(connection))
    telling = ("uri", "extra") if any(path[0] == "extra_dejson" for path in hidden) else ("uri",)
    told = tuple((name,) for name in telling) if hidden else ()
    return tree | dict.fromkeys((path[0] for path in told), None), hidden + told


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if isinstance(tree, dict) and key in tree:
            tree = tree[key]
        elif isinstance(tree, list) and key.isdecimal() and int(key) < len(tree):
            tree = tree[int(key)]
        else:
            raise ValueError(f"it has no {'.'.join(path)}")
    return tree


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else msgspec.json.encode(value)


def _json(text: str) -> Any:
    """What the text says where it is JSON, else None."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


def _text(data: bytes) -> str:
    """Without the end of the last line, which files have and values do not."""
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError("it is no text (UTF-8)") from None
