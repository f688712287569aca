"""Where tasks are defined: a DAG, and the task groups inside it. `with` makes a scope the current one."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import Any, Self

from orchestrator.authoring.faults import Note, Rule, Subject, close_subject, fault, open_subject, user_line
from orchestrator.authoring.graph import Graph


class Scope:
    """A DAG or a task group. `prefix` precedes the ids defined in it; `group_id` is None in a DAG itself."""

    __slots__ = ("_tokens", "default_args", "graph", "group_id", "prefix")

    def __init__(self, graph: Graph, *, group_id: str | None, prefix: str, default_args: Mapping[str, Any]) -> None:
        self.graph = graph
        self.group_id = group_id
        self.prefix = prefix
        self.default_args = dict(default_args)
        self._tokens: list[tuple[Token[Scope | None], Token[Subject | None]]] = []

    def __enter__(self) -> Self:
        self._tokens.append((_current.set(self), open_subject(self.graph.dag_id)))
        return self

    def __exit__(self, *_: object) -> None:
        current, subject = self._tokens.pop()
        _current.reset(current)
        close_subject(subject)


_current: ContextVar[Scope | None] = ContextVar("orchestrator_scope", default=None)


def current_searchpath() -> tuple[str, ...]:
    """Where the template files of the surrounding DAG are looked for; empty outside every DAG."""
    current = _current.get()
    return () if current is None else current.graph.searchpath


def begin_map(what: str, *named: object) -> Callable[[], None]:
    """Have a warning stand of a map that was begun with `partial` and defines nothing yet, in the group or DAG that
    it names, else in the current scope; what is returned takes it away."""
    scope = next((each for each in named if isinstance(each, Scope)), _current.get())
    if scope is None:
        return lambda: None
    notes = scope.graph.notes
    text = f"{what}: .partial(...) alone defines no task"
    note = Note(Rule.NEVER_EXPANDED, text, "add .expand(...)", user_line())
    notes.append(note)

    def take_away() -> None:
        notes[:] = [each for each in notes if each is not note]

    return take_away


def scope_for(what: str, *, dag: object = None, group: object = None) -> Scope:
    """Where `what` is to be defined: in the group or the DAG it names, else in the current scope."""
    named = [_scope(what, each) for each in (group, dag) if each is not None]
    current = _current.get()
    if len({id(scope.graph) for scope in named}) > 1:
        ids = " and ".join(repr(scope.graph.dag_id) for scope in named)
        raise fault(
            f"{what}: its task group and its dag= are parts of two DAGs, {ids}",
            rule=Rule.OUTSIDE_DAG,
            fix="a task belongs to one DAG: name one of the two",
        )
    if group is None and current is not None and (not named or current.graph is named[0].graph):
        return current
    if not named:
        raise fault(
            f"{what} stands outside every DAG",
            rule=Rule.OUTSIDE_DAG,
            fix="define it inside `with DAG(...):`, or give it dag=...",
        )
    return named[0]


def _scope(what: str, thing: object) -> Scope:
    if not isinstance(thing, Scope):
        raise fault(
            f"{what}: {thing!r} is no DAG and no task group",
            rule=Rule.BAD_ARGUMENT,
            fix="give it the DAG or the TaskGroup itself",
        )
    return thing
