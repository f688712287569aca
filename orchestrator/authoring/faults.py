"""How a DAG file is told what it got wrong: the rules by name, the line in the user's file, the DAG and the task,
the nearest name. A parse gathers what can be told together; elsewhere the first mistake is raised."""

import difflib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from orchestrator.errors import AuthoringError

_PACKAGE = str(Path(__file__).parent.parent) + "/"
#: The DAG file that is being parsed: lines are told of it, even where a module it imports constructs the task.
dag_file: ContextVar[str | None] = ContextVar("orchestrator_dag_file", default=None)
#: Where mistakes are gathered; None: nowhere.
_gathered: ContextVar[list[AuthoringError] | None] = ContextVar("orchestrator_mistakes", default=None)


class Subject(NamedTuple):
    """What is being written: a DAG, and of it a task."""

    dag_id: str | None = None
    task_id: str | None = None


_subject: ContextVar[Subject | None] = ContextVar("orchestrator_subject", default=None)


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
    NEVER_EXPANDED = "never_expanded"


class Note(NamedTuple):
    """A warning about what was written: it stands, and may not do what its author thinks."""

    rule: Rule
    text: str
    fix: str
    line: int
    task_id: str | None = None


def fault(message: str, *, rule: Rule, fix: str, line: int | None = None) -> AuthoringError:
    """The error to raise, about what is being written now; without `line` it stands at the user's line that is
    running."""
    dag_id, task_id = _subject.get() or Subject()
    place = user_line() if line is None else line
    return AuthoringError(message, rule=rule, line=place, fix=fix, dag_id=dag_id, task_id=task_id)


@contextmanager
def about(dag_id: str, task_id: str | None = None) -> Iterator[None]:
    """What is wrong inside is of this DAG, and of this task of it."""
    token = open_subject(dag_id, task_id)
    try:
        yield
    finally:
        close_subject(token)


def open_subject(dag_id: str, task_id: str | None = None) -> Token[Subject | None]:
    """From here on what is wrong is of this DAG."""
    return _subject.set(Subject(dag_id, task_id))


def close_subject(token: Token[Subject | None]) -> None:
    _subject.reset(token)


@contextmanager
def gathering() -> Iterator[list[AuthoringError]]:
    """Mistakes after which a file can be read on are put into this list, and not raised."""
    kept: list[AuthoringError] = []
    token = _gathered.set(kept)
    try:
        yield kept
    finally:
        _gathered.reset(token)


def keep(error: AuthoringError) -> None:
    """Gather a mistake after which the file can be read on; raise it where nobody gathers."""
    kept = _gathered.get()
    if kept is None:
        raise error
    trace, frame = error.__traceback__, sys._getframe().f_back  # noqa: SLF001 - as in `user_line`
    while frame is not None:  # it ends where the error was caught, and is to begin where the file does
        trace = TracebackType(trace, frame, frame.f_lasti, frame.f_lineno)
        frame = frame.f_back
    kept.append(error.with_traceback(trace))


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
