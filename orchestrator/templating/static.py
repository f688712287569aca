"""What can be said of a template without rendering it: its syntax, the names it uses, the results it asks for."""

from collections.abc import Collection, Iterator, Mapping

from jinja2 import meta, nodes
from jinja2.exceptions import TemplateSyntaxError

from orchestrator.errors import RenderError
from orchestrator.templating.environment import new_environment
from orchestrator.templating.names import NAMES, nearest, unknown
from orchestrator.templating.render import file_name
from orchestrator.templating.script import add_raw, data_outputs, mark_data
from orchestrator.templating.shell import Marks
from orchestrator.templating.stored import is_secret_name

#: Methods of a mapping, which `params.x` may also mean.
_MAPPING_METHODS = frozenset({"get", "items", "keys", "values"})


class StaticTemplate:
    """One field's template, read but not rendered. RenderError where its syntax is wrong."""

    def __init__(self, field: str, text: str) -> None:
        self.field = field
        self._environment = new_environment()
        if field == "script":
            add_raw(self._environment)
        try:
            self._tree = self._environment.parse(text, name=field, filename=file_name(field))
            self._environment.compile(self._read_again(text), name=field, filename=file_name(field))
        except TemplateSyntaxError as error:
            place = f" (line {error.lineno} of it)" if error.lineno > 1 else ""
            raise RenderError(f"{error.message}{place}", field=field) from error

    def _read_again(self, text: str) -> nodes.Template:
        """A tree to compile, which finds unknown filters and tests; in `script` also misplaced data."""
        tree = self._environment.parse(text, name=self.field, filename=file_name(self.field))
        if self.field == "script":
            mark_data(tree, self._environment, Marks(nonce=""))
        return tree

    def unknown_names(self, macros: Collection[str] = ()) -> Iterator[str]:
        """A sentence for each name that no template knows, and that is none of the DAG's own `macros`."""
        finder = meta.TrackingCodeGenerator(self._environment)
        finder.optimizer = None  # which would compute what is constant
        finder.visit(self._tree)
        used = finder.undeclared_identifiers
        found = sorted(used - NAMES - self._environment.globals.keys())
        yield from (unknown(name, macros) for name in found if name not in macros)

    def element_names(self) -> Iterator[str]:
        """The arguments whose elements are asked for by a literal name."""
        for call in self._tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "element":
                yield from _literals(call.args[:1])

    def unknown_params(self, params: Mapping[str, object]) -> Iterator[str]:
        """A sentence for each param that is asked for by name, without a default, and does not exist."""
        excused = {id(node) for guard in self._tree.find_all((nodes.Filter, nodes.Test)) if _guards(guard)
                   for node in guard.find_all((nodes.Getattr, nodes.Getitem))}  # fmt: skip
        for node in self._tree.find_all((nodes.Getattr, nodes.Getitem)):
            name = _param(node)
            if name is not None and name not in params and id(node) not in excused:
                yield f"params has no {name!r}{nearest(name, params)}"

    def pulled_tasks(self) -> Iterator[str]:
        """The ids of tasks whose results are asked for by a literal id."""
        for call in self._tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "result":
                yield from _literals(call.args[:1])
            elif isinstance(call.node, nodes.Getattr) and call.node.attr == "xcom_pull":
                given = [keyword.value for keyword in call.kwargs if keyword.key == "task_ids"]
                yield from _literals((given or call.args)[:1])

    def taken_outputs(self) -> Iterator[tuple[str, str]]:
        """Task and path of each output that is asked for by literals."""
        for call in self._tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "output":
                match [part for argument in call.args for part in _literals([argument])]:
                    case [task_id, path]:
                        yield task_id, path
                    case _:
                        pass

    def secret_names(self) -> Iterator[str]:
        """What it names of variables and connections that is surely secret, as in `conn.pg.password`."""
        chains = map(_chain, self._tree.find_all((nodes.Getattr, nodes.Getitem)))
        yield from dict.fromkeys(".".join(chain) for chain in chains if is_secret_name(chain))

    def carries_data(self) -> bool:
        """Whether it puts conf, params or results into the text."""
        return any(True for _ in data_outputs(self._tree))


def _guards(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Filter):
        return node.name in ("default", "d")
    return isinstance(node, nodes.Test) and node.name in ("defined", "undefined")


def _param(node: nodes.Node) -> str | None:
    if not isinstance(node, (nodes.Getattr, nodes.Getitem)):
        return None
    if not (isinstance(node.node, nodes.Name) and node.node.name == "params"):
        return None
    if isinstance(node, nodes.Getattr):
        return None if node.attr in _MAPPING_METHODS else node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) else None


def _chain(node: nodes.Node) -> tuple[str, ...]:
    """`a.b['c']` as its parts; empty where one of them is no constant."""
    if isinstance(node, nodes.Name):
        return (node.name,)
    if isinstance(node, nodes.Getattr):
        part: object = node.attr
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        part = node.arg.value
    else:
        return ()
    before = _chain(node.node)
    return (*before, str(part)) if before else ()


def _literals(values: list[nodes.Expr]) -> Iterator[str]:
    for value in values:
        parts = value.items if isinstance(value, (nodes.List, nodes.Tuple)) else [value]
        for part in parts:
            if isinstance(part, nodes.Const) and isinstance(part.value, str):
                yield part.value
