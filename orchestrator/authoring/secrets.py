"""`Secret`: which secret a task needs, and where it finds it."""

import re
from typing import Any

from orchestrator.authoring.faults import Rule, fault
from orchestrator.authoring.forms import texts
from orchestrator.spec.secrets import SecretUse, is_stored_id

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Secret:
    """The secret of this id, in the file `/run/secrets/<id>`, which only the task's user may read; with `env` in
    that variable instead, which `docker inspect` shows."""

    __slots__ = ("spec",)

    def __init__(self, id: str, *, env: str | None = None) -> None:  # noqa: A002 - what users call it
        self.spec = SecretUse(id=_stored_id("Secret", id), env=env)
        if env is not None and not (isinstance(env, str) and _VARIABLE.fullmatch(env)):
            raise _misfit(f"Secret {id!r}: env={env!r} is no variable's name", "use letters, digits and _")

    def __repr__(self) -> str:
        return f"Secret({self.spec.id!r}{f', env={self.spec.env!r}' if self.spec.env else ''})"


def secrets(written: Any) -> Any:
    """A list of secrets, or of the ids of some; None for none."""
    uses = tuple(_use(each) for each in _listed('[Secret("db")]', written))
    for place in ("id", "env"):
        named = [getattr(use, place) for use in uses if (use.env is not None) == (place == "env")]
        for name in named:
            if named.count(name) > 1:
                raise ValueError(f"{name!r} stands in it twice")
    return uses


def connections(written: Any) -> Any:
    """A list of ids of connections; None for none."""
    ids = (_stored_id("a connection", each) for each in _listed('["my_db"]', written))
    return tuple(dict.fromkeys(ids))


def private(written: Any) -> Any:
    """Text to text; None for none."""
    return texts({} if written is None else written)


def connection(written: Any) -> Any:
    """The id of a connection, or None."""
    return None if written is None else _stored_id("a connection", written)


def _listed(like: str, written: Any) -> Any:
    if written is not None and not isinstance(written, list | tuple):
        raise _misfit(f"expected a list like {like}, not {written!r}", "write a list")
    return written or ()


def _use(written: Any) -> SecretUse:
    return written.spec if isinstance(written, Secret) else SecretUse(id=_stored_id("a secret", written))


def _stored_id(what: str, written: object) -> str:
    if not (isinstance(written, str) and is_stored_id(written)):
        raise _misfit(
            f"{what}: {written!r} is no id; it is no template either, so that nobody who triggers a run can choose",
            "use letters, digits and _.-, 200 at most",
        )
    return written


def _misfit(message: str, fix: str) -> Exception:
    return fault(message, rule=Rule.BAD_ARGUMENT, fix=fix)
