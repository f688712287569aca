"""Handles: the result of a task, or a part of it, as a value that a DAG file can pass on (spec authoring 5).

In text a handle is a template, the same wherever it stands, so that it can be found again in what was written:
edges follow from that. Where a value of any type may stand, the template that is a handle and nothing else gives
the value itself.
"""

import re
from collections.abc import Iterator, Mapping

import msgspec

from orchestrator.spec.value import Value

_TEXT = re.compile(r"\{\{ result\((?P<arguments>\"[^\"]*\"(?:, \"(?:[^\"\\]|\\.)*\")?)\) \| text \}\}")


class Handle(Value, frozen=True, kw_only=True):
    """The result of a task, or, with a key, that part of a result which is an object."""

    task_id: str
    key: str = ""

    @property
    def text(self) -> str:
        """The template that stands for it: text as it is, anything else as JSON."""
        arguments = [self.task_id, self.key] if self.key else [self.task_id]
        return f"{{{{ result({', '.join(msgspec.json.encode(each).decode() for each in arguments)}) | text }}}}"


def handles_in(value: object) -> Iterator[Handle]:
    """Every handle in the strings of `value`, at any depth, in order."""
    if isinstance(value, str):
        for found in _TEXT.finditer(value):
            task_id, key = [*msgspec.json.decode(f"[{found['arguments']}]"), ""][:2]
            yield Handle(task_id=task_id, key=key)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from handles_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from handles_in(item)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from handles_in(getattr(value, name))
