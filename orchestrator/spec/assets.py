"""Assets: named things that tasks produce and DAGs wait for, and conditions made of them with and, or."""

from collections.abc import Container, Iterator
from typing import Any

from orchestrator.spec.value import Value


class AssetSpec(Value, frozen=True, kw_only=True, tag="asset"):
    """An asset as a DAG file names it. Its name alone tells it from others; the rest is for people, templates."""

    name: str
    uri: str | None = None
    group: str = ""
    extra: dict[str, Any] = {}


class AllOf(Value, frozen=True, kw_only=True, tag="all"):
    """Each of these has been updated."""

    of: tuple["AssetCondition", ...]


class AnyOf(Value, frozen=True, kw_only=True, tag="any"):
    """One of these has been updated."""

    of: tuple["AssetCondition", ...]


AssetCondition = AssetSpec | AllOf | AnyOf


def assets_in(condition: AssetCondition) -> Iterator[AssetSpec]:
    """Every asset in it, as often as it is named, from left to right."""
    if isinstance(condition, AssetSpec):
        yield condition
    else:
        for part in condition.of:
            yield from assets_in(part)


def is_met(condition: AssetCondition, updated: Container[str]) -> bool:
    """Whether it holds once the assets of these names have been updated."""
    match condition:
        case AssetSpec():
            return condition.name in updated
        case AllOf():
            return all(is_met(part, updated) for part in condition.of)
        case AnyOf():
            return any(is_met(part, updated) for part in condition.of)


def in_words(condition: AssetCondition, updated: Container[str] = ()) -> str:
    """The condition as one may write it: `a & (b | c)`; without what holds already, as these have been updated.
    Empty where all of it does."""
    return _spoken(condition, updated, inside=False)


def _spoken(condition: AssetCondition, updated: Container[str], *, inside: bool) -> str:
    if is_met(condition, updated):
        return ""
    if isinstance(condition, AssetSpec):
        return condition.name
    parts = [text for part in condition.of if (text := _spoken(part, updated, inside=True))]
    text = (" & " if isinstance(condition, AllOf) else " | ").join(parts)
    return f"({text})" if inside and len(parts) > 1 else text
