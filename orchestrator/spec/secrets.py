"""What stands for a secret wherever a container is written down: a reference, never the value. It is replaced just
before the container is created, in the launcher's memory only (invariant I10)."""

import re
from enum import StrEnum
from typing import Any

from orchestrator.spec.value import Value

#: Where secrets are in a container.
SECRETS_FOLDER = "/run/secrets"
#: Parts of names that make what they name a secret. Most are those that Airflow hides.
_SENSITIVE = ("access_key", "api_key", "apikey", "authorization", "credential", "keyfile", "passphrase", "passwd",
              "password", "private_key", "secret", "service_account", "token")  # fmt: skip
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


class SecretKind(StrEnum):
    """What can be kept outside DAG files: a secret is bytes, a variable text, a connection a URI or JSON fields."""

    SECRET = "secret"  # noqa: S105 - the name of a kind
    VARIABLE = "variable"
    CONNECTION = "connection"


class SecretRef(Value, frozen=True, kw_only=True):
    """A secret by its name. `path` leads to the part that is meant: of a connection one of its fields (`password`,
    `uri`, `json`, `extra_dejson` and a key), of a variable keys of the JSON that it holds; empty: all of it."""

    kind: SecretKind
    id: str
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        part = f" ({'.'.join(self.path)})" if self.path else ""
        return f"{self.kind} {self.id!r}{part}"


#: A text with references in it.
Sealed = tuple[str | SecretRef, ...]


class StoredKey(Value, frozen=True, kw_only=True):
    """A variable or a connection that a template asks for."""

    kind: SecretKind
    id: str


class Shown(Value, frozen=True, kw_only=True):
    """What templates may see of a variable or a connection. `text` is all of a variable, None where that is secret;
    `tree` the fields of a connection, or the JSON that a variable holds, without its secret parts, which `hidden`
    leads to. `missing`: it is not there, and where it was looked for."""

    text: str | None = None
    tree: Any = None
    hidden: tuple[tuple[str, ...], ...] = ()
    missing: str = ""


class SecretUse(Value, frozen=True, kw_only=True):
    """`Secret(id)` is a file of the task's, `Secret(id, env="X")` a variable of its environment."""

    id: str
    env: str | None = None


class SecretFile(Value, frozen=True, kw_only=True):
    """A file that is copied in before start, and that only its owner, a user by name or number (empty: root), may
    read. `volume` as of an `InputFile`."""

    path: str
    content: Sealed
    owner: str = ""
    volume: str = "/"
    mode: int = 0o400


def is_sensitive(name: str) -> bool:
    """Whether what has this name is taken for a secret."""
    folded = name.lower().replace("-", "_").replace(" ", "_")
    return any(part in folded for part in _SENSITIVE)


def is_stored_id(text: str) -> bool:
    """Whether a secret, a variable or a connection can have this id."""
    return _ID.fullmatch(text) is not None


def variable_suffix(stored_id: str) -> str:
    """An id as a part of an environment variable's name: `my-db` is MY_DB."""
    return re.sub(r"[.-]", "_", stored_id).upper()


def references(*sealed: Sealed) -> tuple[SecretRef, ...]:
    """The references in these texts, each once, in order."""
    return tuple(dict.fromkeys(part for text in sealed for part in text if isinstance(part, SecretRef)))
