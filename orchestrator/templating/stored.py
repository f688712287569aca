"""`var` and `conn`: what is kept outside DAG files, as templates see it. The process that renders is never told a
secret part; it has an opaque value for it, which only knows where it is kept. Inserted into a text it leaves a
mark, and the text comes out as pieces with a reference in between (invariant I10)."""

import re
from collections.abc import Callable
from typing import Any, NoReturn

from orchestrator.errors import RenderError
from orchestrator.spec.sealing import SEALABLE
from orchestrator.spec.secrets import Sealed, SecretKind, SecretRef, Shown, is_sensitive

#: Tells what templates may see of a variable or a connection.
Stored = Callable[[SecretKind, str], Shown]
_PLACES = ", ".join(f"{name}=" for name in ("private_environment", "environment", "inputs"))


def nothing_stored(kind: SecretKind, stored_id: str) -> Shown:
    """Where nothing is kept."""
    return Shown(missing=f"the {kind} {stored_id!r} is nowhere")


def refuse(ref: SecretRef) -> NoReturn:
    """`RenderError`: whatever looks at a secret may give it away."""
    raise RenderError(
        f"{ref} is secret, so a template cannot compare, change or show it, only insert it into {_PLACES}",
        fix='give it to the task itself: secrets=[Secret("id")] or connections=["id"]',
    )


class Opaque:
    """A secret part. Whatever is asked of it is refused."""

    __slots__ = ("ref",)
    __hash__ = None  # type: ignore[assignment]  # it is a key of nothing

    def __init__(self, ref: SecretRef) -> None:
        self.ref = ref

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        refuse(self.ref)

    __str__ = __repr__ = __format__ = __bool__ = __len__ = __iter__ = __contains__ = __call__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __add__ = __radd__ = __mul__ = __rmul__ = __mod__ = __rmod__ = __getitem__ = __int__ = __float__ = _refuse


class Seals:
    """The marks of one rendering. `nonce` must be unknown to whoever wrote what is inserted."""

    def __init__(self, nonce: str) -> None:
        self._refs: list[SecretRef] = []
        self._nonce = nonce
        self._mark = re.compile(f"\ue000{re.escape(nonce)}:(\\d+)\ue001")

    def mark(self, secret: Opaque) -> str:
        """What is written for it."""
        self._refs.append(secret.ref)
        return f"\ue000{self._nonce}:{len(self._refs) - 1}\ue001"

    def parted(self, text: str) -> Sealed:
        """The text with references for its marks. `RenderError` where a template has changed one."""
        pieces = self._mark.split(text)
        if any(self._nonce in piece for piece in pieces[::2]):
            refuse(self._refs[-1])
        parts = (self._refs[int(each)] if index % 2 else each for index, each in enumerate(pieces))
        return tuple(part for part in parts if part)


def may_hold_secrets(field: str) -> bool:
    """Whether a secret may be inserted into the field: it is then stored as a reference."""
    return field.partition(".")[0] in SEALABLE


def is_secret_name(chain: tuple[str, ...]) -> bool:
    """Whether names in a template lead to what is secret, whatever is kept there."""
    match chain:
        case ("var", "value" | "json", *path):
            return any(map(is_sensitive, path))
        case ("conn", _, "password"):
            return True
        case ("conn", _, "extra_dejson", *path):
            return any(map(is_sensitive, path))
    return False


class _Kept:
    """Things of one kind by their ids, as attributes and as items."""

    kind: SecretKind

    def __init__(self, stored: Stored, *, private: bool = False) -> None:
        self._stored = stored
        self._private = private
        self._known: dict[str, Shown] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or self._shown(name).missing:
            raise AttributeError(name)
        return self._of(name, self._shown(name))

    def __getitem__(self, name: str) -> Any:
        if self._shown(name).missing:
            raise KeyError(name)
        return self._of(name, self._shown(name))

    def get(self, name: str, default: Any = None) -> Any:
        """The one of this id, or `default`."""
        return default if self._shown(name).missing else self._of(name, self._shown(name))

    def absent(self, name: str) -> str:
        """What to say of an id that nothing has."""
        return self._shown(name).missing

    def _shown(self, name: str) -> Shown:
        if name not in self._known:
            self._known[name] = self._stored(self.kind, name)
        return self._known[name]

    def _of(self, name: str, shown: Shown) -> Any:
        raise NotImplementedError


class VariableTexts(_Kept):
    """`var.value`"""

    kind = SecretKind.VARIABLE

    def _of(self, name: str, shown: Shown) -> Any:
        if self._private or shown.text is None:
            return Opaque(SecretRef(kind=self.kind, id=name))
        return shown.text


class VariableTrees(_Kept):
    """`var.json`"""

    kind = SecretKind.VARIABLE

    def _of(self, name: str, shown: Shown) -> Any:
        ref = SecretRef(kind=self.kind, id=name)
        if shown.tree is None and () not in shown.hidden:
            raise RenderError(f"the variable {name!r} holds no JSON", fix=f"write var.value.{name} for its text")
        return _tree(ref, shown.tree, shown.hidden, private=self._private)


class Connections(_Kept):
    """`conn`"""

    kind = SecretKind.CONNECTION

    def _of(self, name: str, shown: Shown) -> Any:
        fields = _tree(SecretRef(kind=self.kind, id=name), shown.tree, shown.hidden)
        return ConnectionFacade(name, fields)


class ConnectionFacade:
    """`conn.id`: its fields, secret ones opaque."""

    def __init__(self, conn_id: str, fields: dict[str, Any]) -> None:
        self.conn_id = conn_id
        for name, value in fields.items():
            setattr(self, name, value)

    def get_uri(self) -> Any:
        """It in one line."""
        return self.uri  # type: ignore[attr-defined]  # one of its fields

    def __str__(self) -> str:
        return self.conn_id


class Variables:
    """`var`"""

    def __init__(self, stored: Stored, *, private: bool = False) -> None:
        self.value = VariableTexts(stored, private=private)
        self.json = VariableTrees(stored, private=private)
        self._stored = stored

    def in_private(self) -> "Variables":
        """The same where all they say is secret."""
        return Variables(self._stored, private=True)


def _tree(ref: SecretRef, tree: Any, hidden: tuple[tuple[str, ...], ...], *, private: bool = False) -> Any:
    """A tree with opaque values for its secret parts."""
    if ref.path in hidden:
        return Opaque(ref)

    def inner(key: str, value: Any) -> Any:
        below = SecretRef(kind=ref.kind, id=ref.id, path=(*ref.path, key))
        return _tree(below, value, hidden, private=private)

    if isinstance(tree, dict):
        return {key: inner(key, value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [inner(str(index), value) for index, value in enumerate(tree)]
    return Opaque(ref) if private else tree
