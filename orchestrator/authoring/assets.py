"""Assets as DAG files write them: what tasks name as inlets and outlets, and conditions of `schedule=`, made of
them with `&` and `|`."""

from collections.abc import Mapping, Sequence
from typing import Any, Never

from orchestrator.authoring.data import json_of
from orchestrator.authoring.faults import Rule, fault, nearest
from orchestrator.spec.assets import AllOf, AnyOf, AssetCondition, AssetSpec

_LONGEST = 250


class AssetExpression:
    """Assets that a DAG waits for: `a & b` for both, `a | b` for any."""

    __slots__ = ("spec",)

    def __init__(self, spec: AssetCondition) -> None:
        self.spec = spec

    def __and__(self, other: "AssetExpression") -> "AssetExpression":
        return self._joined(AllOf, other)

    def __or__(self, other: "AssetExpression") -> "AssetExpression":
        return self._joined(AnyOf, other)

    def _joined(self, kind: type[AllOf] | type[AnyOf], other: "AssetExpression") -> "AssetExpression":
        """One list for a chain of one kind, however it is put together."""
        if not isinstance(other, AssetExpression):
            return NotImplemented
        parts = (part.of if isinstance(part, kind) else (part,) for part in (self.spec, other.spec))
        return AssetExpression(kind(of=tuple(each for part in parts for each in part)))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.spec}>"


class Asset(AssetExpression):
    """A named thing that tasks produce (`outlets=`) and DAGs wait for (`schedule=`). Its name alone tells it from
    others; `uri`, `group` and `extra` (JSON) are for people and templates."""

    __slots__ = ()
    spec: AssetSpec

    def __init__(
        self,
        name: str,
        uri: str | None = None,
        *,
        group: str = "",
        extra: Mapping[str, Any] | None = None,
        **unknown: Never,
    ) -> None:
        for argument in unknown:
            known = ("name", "uri", "group", "extra")
            raise fault(
                f"Asset takes no argument {argument!r}{nearest(argument, known)}",
                rule=Rule.UNKNOWN_ARGUMENT,
                fix="correct the name, or leave it out",
            )
        if not isinstance(name, str) or not _is_name(name):
            raise fault(
                f"{name!r} cannot be the name of an asset",
                rule=Rule.BAD_ID,
                fix=f"use printable characters, {_LONGEST} at most, with no space around",
            )
        try:
            told = json_of("extra", extra or {})
            super().__init__(
                AssetSpec(name=name, uri=_text("uri", uri), group=_text("group", group) or "", extra=told)
            )
        except ValueError as error:
            raise fault(
                f"Asset {name!r}: {error}", rule=Rule.BAD_ARGUMENT, fix="write a value that fits"
            ) from error

    @property
    def name(self) -> str:
        """What tells it from others."""
        return self.spec.name


def read_condition(written: object) -> AssetCondition | None:
    """What an asset, an expression of assets, or a list of them (all) means; None where it is none of these."""
    if isinstance(written, AssetExpression):
        return written.spec
    if isinstance(written, Sequence) and written and all(isinstance(each, AssetExpression) for each in written):
        parts = tuple(each.spec for each in written)
        return parts[0] if len(parts) == 1 else AllOf(of=parts)
    return None


def read_assets(written: Any) -> tuple[AssetSpec, ...]:
    """One asset, several, or None; each once."""
    listed = [written] if isinstance(written, AssetExpression) else list(written or ())
    specs: dict[str, AssetSpec] = {}
    for each in listed:
        spec = each.spec if isinstance(each, Asset) else None
        if spec is None:
            raise ValueError(f'{each!r} is no asset: write Asset("name")')
        specs.setdefault(spec.name, spec)
    return tuple(specs.values())


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _LONGEST and text.isprintable() and text == text.strip()


def _text(what: str, written: object) -> str | None:
    if written is None or isinstance(written, str):
        return written
    raise ValueError(f"{what} is {written!r}, no text")
