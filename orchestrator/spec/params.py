"""Params: what a run may be given, with defaults, and schemas that its conf has to fit (spec authoring 2)."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import UNSET, UnsetType

from orchestrator.spec.param_schemas import misfits
from orchestrator.spec.value import Value


class ParamSpec(Value, frozen=True, kw_only=True):
    """One param. Without a default every run must be given it. `schema` also tells how a form shows it."""

    default: Any | UnsetType = UNSET
    schema: dict[str, Any] = {}


#: By name.
Params = Mapping[str, ParamSpec]


def values_of(params: Params, conf: Mapping[str, Any]) -> dict[str, Any]:
    """What a run's conf makes of params: it sets those that exist, and adds none. What has no value is left out."""
    found = {name: conf.get(name, param.default) for name, param in params.items()}
    return {name: value for name, value in found.items() if value is not UNSET}


def problems_of(params: Params, conf: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each param that a run with this conf would have no value for, or one that does not fit."""
    values = values_of(params, conf)
    for name, param in params.items():
        if name in values:
            yield from misfits(param.schema, values[name], f"params.{name}")
        else:
            yield f"params.{name} has no default, and the run's conf does not say it"
