"""How a DAG file is told what it got wrong: the rules by name, the line in the user's file, the nearest name."""

import difflib
import sys
from collections.abc import Iterable
from contextvars import ContextVar
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from orchestrator.errors import AuthoringError

_PACKAGE = str(Path(__file__).parent.parent) + "/"
#: The DAG file that is being parsed: lines are told of it, even where a module it imports constructs the task.
dag_file: ContextVar[str | None] = ContextVar("orchestrator_dag_file", default=None)


class Rule(StrEnum):
    """What is checked where a DAG is written; the `rule` of an `AuthoringError` or a `Note`."""

    UNKNOWN_ARGUMENT = "unknown_argument"
    MISSING_ARGUMENT = "missing_argument"
    BAD_ARGUMENT = "bad_argument"
    BAD_ID = "bad_id"
    DUPLICATE_ID = "duplicate_id"
    BAD_FUNCTION = "bad_function"
    NAIVE_DATE = "naive_date"
    BAD_SCHEDULE = "bad_schedule"
    BAD_EDGE = "bad_edge"
    EMPTY_GROUP = "empty_group"
    CYCLE = "cycle"
    OUTSIDE_DAG = "outside_dag"
    TEMPLATE_FILE = "template_file"
    NO_EFFECT = "no_effect"


class Note(NamedTuple):
    """A warning about what was written: it stands, and may not do what its author thinks."""

    rule: Rule
    text: str
    fix: str
    line: int
    task_id: str | None = None


def fault(message: str, *, rule: Rule, fix: str, line: int | None = None) -> AuthoringError:
    """The error to raise; without `line` it stands at the user's line that is running now."""
    return AuthoringError(message, rule=rule, line=user_line() if line is None else line, fix=fix)


def user_line() -> int:
    """The line of the innermost call in the DAG file; where no file is known or on the way, of the innermost
    call outside this package; 0 where there is none."""
    file = dag_file.get()
    outside = 0
    frame = sys._getframe()  # noqa: SLF001 - what `inspect.currentframe` is, without importing inspect
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_filename == file:
            return frame.f_lineno
        if not outside and not frame.f_code.co_filename.startswith(_PACKAGE):
            outside = frame.f_lineno
    return outside


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'image'?` where a known name is near, else nothing."""
    found = difflib.get_close_matches(name, [str(each) for each in known], n=1)
    return f"; did you mean {found[0]!r}?" if found else ""
