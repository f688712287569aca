"""The DAG itself, as a class for `with`, as a decorator, and the registry of those that a parse constructs."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, Unpack, overload

from msgspec.structs import replace

from orchestrator.authoring.arguments import DagArguments
from orchestrator.authoring.data import ParamText
from orchestrator.authoring.dates import read_date, read_zone
from orchestrator.authoring.faults import Rule, about, dag_file, fault, keep, user_line
from orchestrator.authoring.graph import Graph
from orchestrator.authoring.params import Param
from orchestrator.authoring.reading import check_names, read_arguments, read_defaults
from orchestrator.authoring.schedules import own_zone
from orchestrator.authoring.scope import Scope
from orchestrator.authoring.taken import DAG as TAKES
from orchestrator.authoring.template_files import read_searchpath
from orchestrator.authoring.without_effect import IDLE_DAG, without_idle
from orchestrator.errors import AuthoringError
from orchestrator.ids import is_identifier
from orchestrator.spec.dag import DagSpec

_P = ParamSpec("_P")


class DAG(Scope):
    """A graph of tasks with a schedule. Define its tasks inside `with DAG(...):`, or give them `dag=`."""

    __slots__ = ("spec",)

    def __init__(self, dag_id: str, **arguments: Unpack[DagArguments]) -> None:
        if not isinstance(dag_id, str) or not is_identifier(dag_id):
            raise fault(
                f"{dag_id!r} cannot be the id of a DAG",
                rule=Rule.BAD_ID,
                fix="use letters, digits and ._- only, 250 at most",
            )
        with about(dag_id):
            try:
                graph, self.spec, defaults = _read(dag_id, arguments)
            except AuthoringError as error:
                keep(error)
                graph, self.spec, defaults = Graph(dag_id), DagSpec(dag_id=dag_id, file="", line=user_line()), {}
            super().__init__(graph, group_id=None, prefix="", default_args=defaults)
            _register(self)

    @property
    def dag_id(self) -> str:
        """The id."""
        return self.spec.dag_id

    @property
    def doc_md(self) -> str:
        """Markdown shown beside the DAG; may also be set after construction, as DAG files often do."""
        return self.spec.doc_md

    @doc_md.setter
    def doc_md(self, text: str | None) -> None:
        self.spec = replace(self.spec, doc_md=text or "")

    def __repr__(self) -> str:
        return f"<DAG {self.dag_id}>"


def _read(dag_id: str, arguments: Mapping[str, Any]) -> tuple[Graph, DagSpec, dict[str, Any]]:
    """An empty graph, what is said of the DAG itself, and the defaults of its tasks."""
    what = f"DAG {dag_id!r}"
    graph = Graph(dag_id, read_searchpath(what, arguments.get("template_searchpath")))
    taken = DagArguments.__annotations__
    given = without_idle(what, taken, IDLE_DAG, arguments, graph)
    check_names(f"{what} takes no argument", taken, given)
    defaults = read_defaults(what, given.pop("default_args", None), graph)
    zone = given.pop("timezone", None)
    given.pop("template_searchpath", None)
    dates = {name: defaults.pop(name) for name in _DATES if name in defaults}
    texts = {**given, "doc_md": given.get("doc_md") or ""}
    fields = read_arguments(what, TAKES, texts, dates, graph.searchpath)
    start = given.get("start_date", dates.get("start_date"))
    own = fields.get(DagSpec, {})
    timezone = read_zone(zone, own_zone(own.get("schedule")), start)
    spec = DagSpec(dag_id=dag_id, file="", line=user_line(), timezone=timezone, **own)
    _check_dates(spec)
    return graph, spec, defaults | _of_tasks(dates, spec)


#: What `default_args` may say of the DAG as well as of its tasks.
_DATES = ("start_date", "end_date")


def _of_tasks(dates: Mapping[str, Any], spec: DagSpec) -> dict[str, Any]:
    """Of the dates in `default_args`, those that are not the DAG's own: it has others, and these are its tasks'."""
    read = {name: read_date(f"default_args: {name}", written) for name, written in dates.items()}
    return {name: date for name, date in read.items() if date != getattr(spec, name)}


@overload
def dag(dag_id: Callable[_P, object], /) -> Callable[_P, DAG]: ...
@overload
def dag(
    dag_id: str | None = None, **arguments: Unpack[DagArguments]
) -> Callable[[Callable[_P, object]], Callable[_P, DAG]]: ...
def dag(dag_id: Callable[..., object] | str | None = None, **arguments: Any) -> Any:
    """Make a function that defines tasks define a DAG of its name when it is called. Its docstring becomes
    `doc_md`. Its parameters become `params` of the DAG: a default (or a `Param`) is the param's, a call's argument
    comes before it, and the body receives the template text that stands for the param's value in each run; as an
    argument of a Python task it is that value."""
    if callable(dag_id):
        return _defined(dag_id, None, arguments)
    return lambda function: _defined(function, dag_id, arguments)


def _defined(function: Callable[..., object], dag_id: str | None, arguments: Mapping[str, Any]) -> Any:
    @wraps(function)
    def define(*args: Any, **kwargs: Any) -> DAG:
        params = _params(function, args, kwargs)
        given: dict[str, Any] = {"doc_md": inspect.getdoc(function), **arguments}
        if params:
            given["params"] = {**given.get("params", {}), **params}
        made = DAG(dag_id or function.__name__, **given)
        with made:
            function(**{name: ParamText(name) for name in params})
        return made

    return define


def _params(function: Callable[..., object], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The function's parameters with the values of this call, else their defaults."""
    signature = inspect.signature(function)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise fault(
            f"{function.__name__}(): {error}",
            rule=Rule.BAD_ARGUMENT,
            fix="give each param a default or a value: nobody is asked when a run is scheduled",
        ) from error
    given = {name: _over(signature.parameters[name].default, value) for name, value in bound.arguments.items()}
    bound.apply_defaults()
    return {**bound.arguments, **given}


def _over(default: Any, value: Any) -> Any:
    """A value given in a call, which keeps the schema of the Param whose default it takes the place of."""
    return default.with_default(value) if isinstance(default, Param) and not isinstance(value, Param) else value


_registry: ContextVar[list[DAG] | None] = ContextVar("orchestrator_dags", default=None)


@contextmanager
def collecting(file: str | None = None) -> Iterator[list[DAG]]:
    """Collect the DAGs that are constructed inside. `file` is the path that the DAG file was compiled with:
    lines in specs and errors are then lines of that file."""
    dags: list[DAG] = []
    registry, path = _registry.set(dags), dag_file.set(file)
    try:
        yield dags
    finally:
        _registry.reset(registry)
        dag_file.reset(path)


def _register(made: DAG) -> None:
    known = _registry.get()
    if known is None:
        return
    earlier = next((other for other in known if other.dag_id == made.dag_id), None)
    if earlier is None:
        known.append(made)
        return
    text = f"this file has a DAG {made.dag_id!r} already (line {earlier.spec.line})"
    keep(fault(text, rule=Rule.DUPLICATE_ID, fix="give one of them another id"))


def _check_dates(spec: DagSpec) -> None:
    if spec.start_date is not None and spec.end_date is not None and spec.end_date < spec.start_date:
        raise fault(
            f"DAG {spec.dag_id!r} ends ({spec.end_date.date()}) before it starts ({spec.start_date.date()})",
            rule=Rule.BAD_ARGUMENT,
            fix="correct start_date or end_date",
        )
