"""A Python function as a task: its source as it stands in the file, and the arguments of one call. What cannot
travel into a container, because only the source and JSON do, is found here."""

import __future__

import ast
import builtins
import dis
import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from orchestrator.authoring.data import json_of
from orchestrator.authoring.faults import Rule, fault
from orchestrator.spec.functions import FILLED_NAMES, Call, Function, placed

_READS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
_WRITES = ("STORE_NAME", "STORE_GLOBAL")
_ALWAYS = frozenset(dir(builtins)) | {"__name__", "__file__", "__qualname__", "__module__"}
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def read_function(what: str, function: object) -> Function:
    """What travels of a function. Raises `bad_function` where it would not run in a container: it is none that was
    written with `def`, or uses what is defined outside it."""
    if isinstance(function, FunctionType) and (why := _unfit(function)):
        raise _fault(f"{what}: {why}", "write it as a plain function: def, arguments, return")
    if not isinstance(function, FunctionType):
        raise _fault(f"{what}: {function!r} is no function", "decorate a function that is written with def")
    path = Path(function.__code__.co_filename)
    node, lines = _definition(what, function, path)
    found = Function(
        name=function.__name__,
        source="".join(lines[node.lineno - 1 : node.end_lineno]),
        file=_shown(path),
        line=node.lineno,
    )
    _refuse_outer_names(what, found, function)
    return found


def bind(
    what: str, function: FunctionType, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Call, list[str]]:
    """The arguments of one call, and which of them the context gives: parameters of its names that have no value,
    and no default or None. Raises `missing_argument`, `unknown_argument` and `bad_argument`."""
    signature = inspect.signature(function)
    shown = f"{function.__name__}({', '.join(signature.parameters)})"
    try:
        bound = signature.bind_partial(*args, **kwargs)
    except TypeError as error:
        raise fault(f"{what}: {error}", rule=Rule.UNKNOWN_ARGUMENT, fix=f"call it as {shown}") from error
    filled = [name for name in _open(signature, bound.arguments) if name in FILLED_NAMES]
    missing = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and name not in (*bound.arguments, *filled)
    ]
    if missing:
        raise fault(
            f"{what}: {function.__name__}() needs {', '.join(missing)}",
            rule=Rule.MISSING_ARGUMENT,
            fix=f"call it as {shown}, or give the parameter a name of the context, like ds",
        )
    named = {name: f"{{{{ {name} | text }}}}" for name in filled}
    try:
        given = [json_of(f"argument {place + 1}", value) for place, value in enumerate(bound.args)]
        by_name = {name: json_of(name, value) for name, value in bound.kwargs.items()}
    except ValueError as error:
        raise fault(
            f"{what}: {error}",
            rule=Rule.BAD_ARGUMENT,
            fix="pass text, numbers, lists, dicts with text keys, or another task's result; a date as isoformat()",
        ) from error
    return Call(args=given, kwargs=by_name | named), filled


def _open(signature: inspect.Signature, given: Mapping[str, Any]) -> Iterator[str]:
    """Names that may be filled: parameters without a value, and of a function with `**context` every other."""
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            taken = {*signature.parameters, *given, *given.get(name, ())}
            yield from (each for each in FILLED_NAMES if each not in taken)
        elif name not in given and parameter.kind in _NAMED and _without_default(parameter):
            yield name


def _without_default(parameter: inspect.Parameter) -> bool:
    return parameter.default is None or parameter.default is parameter.empty


def _unfit(function: FunctionType) -> str | None:
    if function.__name__ == "<lambda>":
        return "a lambda cannot be a task"
    if hasattr(function, "__wrapped__"):
        return "there is another decorator between it and its function"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "an async function cannot be a task"
    return (
        "a generator cannot be a task: what it yields has no end" if inspect.isgeneratorfunction(function) else None
    )


def _definition(what: str, function: FunctionType, path: Path) -> tuple[ast.FunctionDef, list[str]]:
    try:
        text = path.read_text(encoding="utf-8")
        nodes = _definitions(text)
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        raise _fault(f"{what}: its source cannot be read: {error}", "define it in a file of the project") from error
    first = function.__code__.co_firstlineno
    for node in nodes:
        if node.name == function.__name__ and first in (
            node.lineno,
            *(each.lineno for each in node.decorator_list),
        ):
            return node, text.splitlines(keepends=True)
    raise _fault(f"{what}: its source is not in {_shown(path)}", "define it in a file of the project, with def")


@lru_cache(maxsize=8)
def _definitions(text: str) -> tuple[ast.FunctionDef, ...]:
    return tuple(node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef))


def _shown(path: Path) -> str:
    """The file as the project's people call it; elsewhere they would not know it."""
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else path.name


def _refuse_outer_names(what: str, found: Function, function: FunctionType) -> None:
    flags = __future__.annotations.compiler_flag
    code = compile(placed(found), found.file, "exec", flags, dont_inherit=True)
    defined = {found.name} | {name for each in _codes(code) for name, _ in _names(each, ("STORE_GLOBAL",))}
    for each in _codes(code):
        own = {name for name, _ in _names(each, _WRITES)}
        for name, line in _names(each, _READS):
            if name not in _ALWAYS | own | defined:
                outer = function.__globals__.get(name)
                raise _fault(
                    f"{what}: line {line} uses {name}, which is defined outside the function; only its own lines"
                    " travel into the container",
                    f"import {outer.__name__} inside the function"
                    if isinstance(outer, ModuleType)
                    else f"pass {name} as an argument, or define it or import it inside the function",
                )


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


def _names(code: CodeType, operations: Sequence[str]) -> Iterator[tuple[str, int | None]]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in operations:
            line = instruction.positions.lineno if instruction.positions else None
            yield str(instruction.argval), line


def _fault(message: str, fix: str) -> Exception:
    return fault(message, rule=Rule.BAD_FUNCTION, fix=fix)
