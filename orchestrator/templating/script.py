"""Which outputs of a template carry data: values that somebody else than the DAG file's author wrote.

Found on the syntax tree, before anything runs: an expression carries data if it names a source of data, or a
variable that was ever set from one. `| raw` around an expression says that it does not.
"""

from collections.abc import Iterator

from jinja2 import Environment, nodes
from jinja2.exceptions import TemplateSyntaxError

from orchestrator.templating.names import DATA_NAMES
from orchestrator.templating.shell import Marks

#: A filter that no template can name.
_MARK = "mark of data"

#: Statements whose text is used again inside expressions, where a mark could be cut or changed.
_CAPTURES = (nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.AssignBlock, nodes.Block)


def data_outputs(tree: nodes.Template) -> Iterator[nodes.Expr]:
    """The expressions between `{{` and `}}` that carry data, in order."""
    names = _data_names(tree)
    for output in tree.find_all(nodes.Output):
        yield from (each for each in output.nodes if _carries_data(each, names))


def mark_data(tree: nodes.Template, environment: Environment, marks: Marks) -> None:
    """Have each output that carries data write a mark instead. TemplateSyntaxError where one cannot."""
    names = _data_names(tree)
    for capture in tree.find_all((*_CAPTURES, nodes.For)):
        if isinstance(capture, _CAPTURES) or (isinstance(capture, nodes.For) and capture.recursive):
            _refuse_data_in(capture, names)
    environment.filters[_MARK] = marks.mark
    for output in tree.find_all(nodes.Output):
        output.nodes = [_marked(each, environment) if _carries_data(each, names) else each for each in output.nodes]


def add_raw(environment: Environment) -> None:
    """Let templates say `| raw`."""
    environment.filters["raw"] = lambda value: value


def _marked(expression: nodes.Expr, environment: Environment) -> nodes.Expr:
    if isinstance(expression, nodes.Filter) and expression.name == "shell_quote" and expression.node is not None:
        expression = expression.node  # the place decides how it is quoted, and once is enough
    marked = nodes.Filter(expression, _MARK, [], [], None, None, lineno=expression.lineno)
    marked.set_environment(environment)
    return marked


def _refuse_data_in(capture: nodes.Node, names: frozenset[str]) -> None:
    for output in capture.find_all(nodes.Output):
        for each in output.nodes:
            if _carries_data(each, names):
                raise TemplateSyntaxError(
                    "in script=, a value from conf, params or results cannot stand inside a macro, a block, a"
                    " recursive loop, or a set, call or filter block; set a variable from it instead, or say | raw",
                    each.lineno,
                )


def _data_names(tree: nodes.Template) -> frozenset[str]:
    """The sources of data and all variables set from them, whatever their scope."""
    names = DATA_NAMES | {"varargs", "kwargs"}
    while True:
        found = names.union(*(_learned(node, names) for node in tree.find_all(nodes.Stmt)))
        if found == names:
            return names
        names = found


def _learned(node: nodes.Node, names: frozenset[str]) -> frozenset[str]:
    if isinstance(node, nodes.Assign) and _carries_data(node.node, names):
        return _targets(node.target)
    if isinstance(node, nodes.For) and _carries_data(node.iter, names):
        return _targets(node.target) | {"loop"}
    if isinstance(node, nodes.With) and any(_carries_data(value, names) for value in node.values):
        return frozenset().union(*(_targets(target) for target in node.targets))
    if isinstance(node, (nodes.Macro, nodes.CallBlock)):
        return frozenset().union(*(_targets(argument) for argument in node.args))
    return frozenset()


def _targets(node: nodes.Node) -> frozenset[str]:
    if isinstance(node, (nodes.Name, nodes.NSRef)):
        return frozenset({node.name})
    return frozenset().union(*(_targets(child) for child in node.iter_child_nodes()))


def _carries_data(node: nodes.Node, names: frozenset[str]) -> bool:
    if isinstance(node, nodes.Filter) and node.name == "raw":
        return False
    if isinstance(node, nodes.Name):
        return node.name in names
    skipped = ("test",) if isinstance(node, nodes.CondExpr) else ()  # it chooses, and is not a part of the text
    return any(_carries_data(child, names) for child in node.iter_child_nodes(exclude=skipped))
