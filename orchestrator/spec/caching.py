"""When a task need not run because it would come to the same again (spec authoring 8): what its result depends on,
in parts, so that people can be told which of them differs."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import msgspec

from orchestrator.spec.value import Value

#: How people are told of each part, in the order in which they are told.
PARTS: Mapping[str, str] = {
    "image": "its image",
    "command": "its command",
    "environment": "its environment",
    "settings": "its user or its working_dir",
    "files": "the files that it is given",
    "inputs": "the project's files that its cache names",
    "outputs": "what is kept of it",
    "key_extra": "key_extra",
}


class CachePolicy(Value, frozen=True, kw_only=True):
    """That a task has a cache. `key_extra` is text that belongs to the key; `inputs` are files of the project, or
    patterns for them, whose content does. A result older than `max_age` is not used again."""

    key_extra: str = ""
    inputs: tuple[str, ...] = ()
    max_age: timedelta | None = None


def part(value: Any) -> str:
    """The hash of what JSON can say, 16 hex digits."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:16]


def key_of(parts: Mapping[str, str]) -> str:
    """The key of all parts together."""
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def differing(parts: Mapping[str, str], earlier: Mapping[str, str]) -> str:
    """Which parts are not what they were, in words."""
    return _listed(words for name, words in PARTS.items() if parts.get(name) != earlier.get(name))


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
