"""Operators that decide which of the tasks after them run (spec authoring 4)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from msgspec.structs import replace

from orchestrator.authoring.arguments import DockerArguments, ShortCircuitArguments
from orchestrator.authoring.operators import AtOnceOperator, DockerOperator
from orchestrator.authoring.reading import Fields
from orchestrator.authoring.scope import Scope
from orchestrator.authoring.taken import SHORT_CIRCUIT
from orchestrator.spec.dag import BranchChoice, ShortCircuitChoice, TaskKind, TaskSpec

#: What says skip where a task says nothing else about it.
_SKIP: Mapping[str, Any] = {"skip_on_exit_code": 99}


class BranchDockerOperator(DockerOperator):
    """Its result (a task id, a list of them, ids of groups too, or null) names which of its direct children run.
    The others are skipped, unless they come after a chosen one as well."""

    __slots__ = ()
    presets: ClassVar[Mapping[str, Any]] = _SKIP

    def __init__(self, **arguments: Unpack[DockerArguments]) -> None:
        super().__init__(**arguments)

    def _spec(self, scope: Scope, fields: Fields) -> TaskSpec:
        return replace(super()._spec(scope, fields), choice=BranchChoice())


class ShortCircuitDockerOperator(DockerOperator):
    """Where its result is false, zero, empty or null, or it exits with 99, everything after it is skipped."""

    __slots__ = ()
    presets: ClassVar[Mapping[str, Any]] = _SKIP
    takes = SHORT_CIRCUIT

    def __init__(self, **arguments: Unpack[ShortCircuitArguments]) -> None:
        super().__init__(**arguments)  # type: ignore[misc]  # a TypedDict with one key more than the parent's

    def _spec(self, scope: Scope, fields: Fields) -> TaskSpec:
        choice = ShortCircuitChoice(**fields.get(ShortCircuitChoice, {}))
        return replace(super()._spec(scope, fields), choice=choice)


class LatestOnlyOperator(AtOnceOperator):
    """Its direct children are skipped in every run but that of the newest interval; never in one asked for by hand.
    It runs no container."""

    __slots__ = ()
    kind = TaskKind.LATEST_ONLY
