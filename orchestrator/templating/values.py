"""Values that templates come to, where not only text may stand: a function's arguments, a command that is a list.

A template that is one expression with the filter `text`, and nothing around it, stands for the expression's value
there; that is how handles are written. In a DAG with `render_template_as_native_obj` any lone expression does. What
comes out is data: it is inserted once and never read as a template, nor as Python.
"""

import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from jinja2 import Environment, nodes
from jinja2.runtime import Undefined

from orchestrator.errors import RenderError
from orchestrator.templating.filters import text
from orchestrator.templating.stored import Opaque, refuse
from orchestrator.templating.task_instance import TaskInstanceFacade

#: A filter that no template can name.
_KEEP = "keep the value"
_WORDS = ("command", "entrypoint")
_ARGUMENTS = ("call.", "element", "conf")


def takes_values(field: str) -> bool:
    """Whether the field may hold other values than text."""
    return field in _WORDS or field.startswith(_ARGUMENTS)


class Kept:
    """The value of a template's lone expression, once the template was evaluated."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def of_lone(self, tree: nodes.Template, environment: Environment, *, native: bool) -> bool:
        """Whether the template is a lone expression whose value is wanted; it then leaves the value here."""
        expression = _lone(tree)
        handed = isinstance(expression, nodes.Filter) and expression.name == "text"
        if expression is None or not (handed or native):
            return False
        if isinstance(expression, nodes.Filter) and handed and expression.node is not None:
            expression = expression.node
        environment.filters[_KEEP] = self._keep
        kept = nodes.Filter(expression, _KEEP, [], [], None, None, lineno=expression.lineno)
        kept.set_environment(environment)
        tree.body = [nodes.Output([kept], lineno=1)]
        return True

    def _keep(self, value: Any) -> str:
        self.values.append(value)
        return ""


def fitted(field: str, value: Any) -> Any:
    """What a field takes of a value: JSON as an argument, a list of texts or a text as a command."""
    found = plain(value)
    if field.startswith(_ARGUMENTS):
        return found
    if found is None:
        return ""
    return [text(each) for each in found] if isinstance(found, list) else text(found)


def plain(value: Any) -> Any:
    """The value as JSON says it: dates in ISO 8601, durations in seconds. RenderError where it cannot."""
    if isinstance(value, Undefined):
        str(value)  # which raises, and names what is undefined
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Mapping):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return _named(value)


def _named(value: Any) -> Any:
    if isinstance(value, Opaque):
        refuse(value.ref)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, TaskInstanceFacade):
        return plain(value.json_parts())
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    raise RenderError(
        f"it comes to a {type(value).__name__}, which JSON cannot say", fix="make text or numbers of it"
    )


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise RenderError(f"it comes to an object with the key {key!r}", fix="JSON's keys are texts")
    return key


def _lone(tree: nodes.Template) -> nodes.Expr | None:
    """The one expression that a template is, None where it is more or other."""
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output) or len(tree.body[0].nodes) != 1:
        return None
    expression = tree.body[0].nodes[0]
    return None if isinstance(expression, nodes.TemplateData) else expression
