"""Rules over the text of a DAG file, which say what its DAGs no longer show."""

import ast
from collections.abc import Iterator

from orchestrator.dagfiles.checks.book import finding
from orchestrator.spec.dag import Problem

_MOVING = frozenset({"now", "utcnow", "today", "days_ago", "yesterday"})
_START = "start_date"


def check_source(source: ast.Module, file: str, dag_id: str | None) -> Iterator[Problem]:
    """What is doubtful about a file's text; `dag_id` is that of its only DAG."""
    yield from moving_start_date(source, file, dag_id)


def moving_start_date(source: ast.Module, file: str, dag_id: str | None) -> Iterator[Problem]:
    moving = _names_that_move(source)
    for value in _start_dates(source):
        name = _moves(value) or next((moving[each.id] for each in _names(value) if each.id in moving), None)
        if name is not None:
            text = f"start_date={name}(...) is another date at every parse"
            fix = "write a fixed date, as in datetime(2024, 1, 1, tzinfo=UTC)"
            yield finding("moving_start_date", text, fix, file=file, line=value.lineno, dag_id=dag_id)


def _start_dates(source: ast.Module) -> Iterator[ast.expr]:
    """What is written for a start date: as an argument, or in a dict such as `default_args`."""
    for node in ast.walk(source):
        if isinstance(node, ast.keyword) and node.arg == _START:
            yield node.value
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (value for key, value in pairs if isinstance(key, ast.Constant) and key.value == _START)


def _names_that_move(source: ast.Module) -> dict[str, str]:
    """Variables of the file that are set from the present time, with the function that tells it."""
    assigned = (node for node in ast.walk(source) if isinstance(node, ast.Assign))
    pairs = ((target, _moves(node.value)) for node in assigned for target in node.targets)
    return {target.id: name for target, name in pairs if isinstance(target, ast.Name) and name is not None}


def _moves(value: ast.expr) -> str | None:
    called = (_called(node) for node in ast.walk(value) if isinstance(node, ast.Call))
    return next((name for name in called if name in _MOVING), None)


def _names(value: ast.expr) -> Iterator[ast.Name]:
    yield from (node for node in ast.walk(value) if isinstance(node, ast.Name))


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""
