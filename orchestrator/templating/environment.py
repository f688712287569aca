"""The Jinja environment: sandboxed, nothing changeable, nothing undefined passes, no files, no HTML."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from jinja2 import StrictUndefined, pass_context
from jinja2.filters import FILTERS as BUILT_IN
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from orchestrator.templating.filters import FILTERS
from orchestrator.templating.names import nearest, unknown
from orchestrator.templating.stored import Connections, Opaque, Seals, VariableTexts, VariableTrees, refuse


class Unknown(StrictUndefined):
    """An undefined value that may not be used, and that names the nearest known one when it is."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        name, owner = self._undefined_name, self._undefined_obj
        if owner is missing:
            return unknown(str(name))
        if isinstance(owner, VariableTexts | VariableTrees | Connections):
            return owner.absent(str(name))
        hint = nearest(str(name), _parts(owner))
        if isinstance(owner, dict) and not hint:
            hint = f"; where it may be missing, write .get('{name}', ...) in place of .{name}"
        return f"{_kind(owner)} has no {name!r}{hint}"


def new_environment(seals: Seals | None = None) -> ImmutableSandboxedEnvironment:
    """An environment of its own for one rendering. Nothing is computed before the rendering, so that reading a
    template is quick whatever it would compute. With `seals` secrets may be inserted."""

    @pass_context
    def output(_: Context, value: Any) -> Any:
        """What every output passes through. It asks for the context, which keeps outputs from being constants."""
        return seals.mark(value) if seals is not None and isinstance(value, Opaque) else value

    environment = ImmutableSandboxedEnvironment(
        undefined=Unknown, keep_trailing_newline=True, cache_size=0, optimized=False, finalize=output
    )
    environment.filters.update(_GUARDED)
    return environment


def _guarded(change: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, which no secret passes."""

    @wraps(change)
    def guarded(*arguments: Any, **options: Any) -> Any:
        for each in arguments:
            if isinstance(each, Opaque):
                refuse(each.ref)
        return change(*arguments, **options)

    return guarded


_GUARDED = {name: _guarded(change) for name, change in {**BUILT_IN, **FILTERS}.items()}


def _kind(owner: Any) -> str:
    kind = type(owner).__name__
    known = {"dict": "the mapping", "list": "the list", "str": "the text", "NoneType": "None"}
    return known.get(kind, kind.removesuffix("Facade"))


def _parts(owner: Any) -> list[str]:
    if isinstance(owner, dict):
        return [str(key) for key in owner]
    return [name for name in dir(owner) if not name.startswith("_")]
