"""Mapped calls as a DAG file writes them: of a function that is a task, and of one that defines a group. The
function is bound once, with something in place of each element (spec authoring 6)."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from orchestrator.authoring.data import json_of
from orchestrator.authoring.elements import map_over, read_source, refuse_inner_map
from orchestrator.authoring.faults import Rule, fault, nearest
from orchestrator.authoring.scope import Scope, begin_map
from orchestrator.spec.functions import FILLED_NAMES
from orchestrator.spec.mapping import Axis, Literal, MapSpec, Source

_R = TypeVar("_R")
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
#: Makes the task or group, of the map and the names that elements stand for, with the JSON of a default, if any.
Define = Callable[[MapSpec, Mapping[str, str | None]], _R]


class MappedCall(Generic[_R]):
    """A call with the arguments that all instances share."""

    def __init__(
        self,
        what: str,
        scope: Callable[[], Scope],
        function: Callable[..., Any],
        given: tuple[Sequence[Any], Mapping[str, Any]],
        define: Define[_R],
        max_length: int,
    ) -> None:
        self._what = what
        self._scope = scope
        self._function = function
        self._given = given
        self._define = define
        self._max_length = max_length
        self._begun = begin_map(what)

    def expand(self, **axes: Any) -> _R:
        """An instance for each element; of several arguments, for each combination."""
        graph = self._place().graph
        self._open_parameters(axes)
        found = tuple(
            Axis(argument=name, source=read_source(f"{self._what}: {name}", written, graph))
            for name, written in axes.items()
        )
        return self._define(map_over(self._what, found, self._max_length), dict.fromkeys(axes))

    def expand_kwargs(self, elements: Any) -> _R:
        """An instance for each element: a dict of several arguments."""
        source = read_source(f"{self._what}: expand_kwargs", elements, self._place().graph)
        stands = self._stands(source)
        over = map_over(self._what, (Axis(argument=None, source=source),), self._max_length)
        return self._define(over, stands)

    def _place(self) -> Scope:
        self._begun()
        scope = self._scope()
        refuse_inner_map(self._what, scope)
        return scope

    def _open_parameters(self, wanted: Mapping[str, Any]) -> dict[str, inspect.Parameter]:
        """The parameters that have no value yet; each wanted one must be one of them."""
        signature = inspect.signature(self._function)
        try:
            bound = signature.bind_partial(*self._given[0], **self._given[1]).arguments
        except TypeError as error:
            raise fault(
                f"{self._what}: {error}", rule=Rule.UNKNOWN_ARGUMENT, fix="call it as it is defined"
            ) from error
        found = {
            name: parameter
            for name, parameter in signature.parameters.items()
            if name not in bound and parameter.kind not in _VARIABLE
        }
        for name in wanted:
            if name in bound:
                raise fault(
                    f"{self._what}: {name} is given already, and expanded",
                    rule=Rule.BAD_ARGUMENT,
                    fix="give it in partial() or in expand(), not in both",
                )
            if name not in found:
                raise fault(
                    f"{self._what} has no parameter {name!r}{nearest(name, found)}",
                    rule=Rule.UNKNOWN_ARGUMENT,
                    fix="name a parameter of the function",
                )
        return found

    def _stands(self, source: Source) -> dict[str, str | None]:
        """Of which parameters elements may hold arguments, and their defaults."""
        named: set[str] = set()
        for element in source.values if isinstance(source, Literal) else ():
            if not isinstance(element, Mapping):
                raise fault(
                    f"{self._what}: an element of expand_kwargs is {element!r:.80}",
                    rule=Rule.BAD_ARGUMENT,
                    fix='write dicts of arguments, like {"name": "..."}',
                )
            named |= element.keys()
        parameters = self._open_parameters(dict.fromkeys(sorted(named)))
        open_names = [name for name, each in parameters.items() if name in named or not _is_filled(each)]
        return {name: self._default(parameters[name]) for name in open_names}

    def _default(self, parameter: inspect.Parameter) -> str | None:
        if parameter.default is parameter.empty:
            return None
        try:
            return msgspec.json.encode(json_of(parameter.name, parameter.default)).decode()
        except ValueError as error:
            raise fault(
                f"{self._what}: the default of {parameter.name} cannot travel: {error}",
                rule=Rule.BAD_ARGUMENT,
                fix="give this argument in partial()",
            ) from error


def _is_filled(parameter: inspect.Parameter) -> bool:
    """Whether the context gives the argument where nobody else does."""
    return parameter.name in FILLED_NAMES and parameter.default in (None, parameter.empty)
