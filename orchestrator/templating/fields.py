"""Where the strings of a container template, or of a task without one, stand: each has a path such as
`environment.DAY` or `command[2]`."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec

from orchestrator.spec.control import Control
from orchestrator.spec.dag import ContainerTemplate

T = TypeVar("T", bound=msgspec.Struct)


def strings(template: ContainerTemplate | Control) -> Iterator[tuple[str, str]]:
    """Path and text of every string value; the keys of mappings are names, not templates."""
    yield from _strings(msgspec.to_builtins(template), "")


def with_strings(template: T, change: Callable[[str, str], Any]) -> T:
    """The template with `change(path, text)` in place of every string value, wherever that fits."""
    return msgspec.convert(_changed(msgspec.to_builtins(template), "", change), type(template))


def _strings(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    for place, child in _children(value, path):
        yield from _strings(child, place)


def _changed(value: Any, path: str, change: Callable[[str, str], Any]) -> Any:
    if isinstance(value, str):
        return change(path, value)
    parts = [_changed(child, place, change) for place, child in _children(value, path)]
    if isinstance(value, dict):
        return dict(zip(value, parts, strict=True))
    return parts if isinstance(value, list | tuple) else value


def _children(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"{path}.{key}" if path else str(key), child) for key, child in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"{path}[{index}]", child) for index, child in enumerate(value))
