"""One parse, in a worker: run a DAG file, take the DAGs it constructed, and say what is wrong with either."""

import ast
import hashlib
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType

import orchestrator
from orchestrator.authoring.dag import DAG, collecting
from orchestrator.authoring.faults import Note, gathering
from orchestrator.authoring.serialize import to_spec
from orchestrator.authoring.without_effect import engine_called
from orchestrator.clock import Clock
from orchestrator.dagfiles.checks.book import finding
from orchestrator.dagfiles.checks.every import check
from orchestrator.dagfiles.checks.source import check_source
from orchestrator.dagfiles.enclosure import use_reserve
from orchestrator.dagfiles.imports import in_place_of
from orchestrator.dagfiles.traces import MissingVariableError, ParseEnvironment, Traces
from orchestrator.dagfiles.wire import ParseTask
from orchestrator.errors import AuthoringError
from orchestrator.spec.dag import DagSpec, ParsedFile, Problem, Severity

_LONGEST = 2000


def parse(task: ParseTask, clock: Clock) -> ParsedFile:
    """Whatever the file does, the answer says it."""
    began = clock.monotonic()
    root = Path(task.root)
    path = root / "dags" / task.file
    try:
        source = path.read_bytes()
    except OSError as error:
        return ParsedFile(file=task.file, problems=(unreadable(task.file, error),))
    traces = _prepare(task, path)
    dags, problems = _run(source, path, task)
    problems += _heard(task.file, traces, [problem.line for problem in problems if problem.rule == "environment"])
    broken = any(problem.severity is Severity.ERROR for problem in problems)
    installed = (Path(sys.prefix), Path(orchestrator.__file__).parent, *map(Path, task.ignored))
    return ParsedFile(
        file=task.file,
        content_hash=hashlib.sha256(source).hexdigest(),
        dags=() if broken else tuple(dags),
        problems=tuple(problems),
        dependencies=traces.files(root, installed),
        seconds=clock.monotonic() - began,
    )


def unreadable(file: str, error: OSError) -> Problem:
    return finding("unreadable", str(error), "let the scheduler's user read it", file=file)


def _prepare(task: ParseTask, path: Path) -> Traces:
    """The file's own folder and `dags/` are where its imports are found; the project is where it stands."""
    dags = str(Path(task.root) / "dags")
    sys.path[:0] = list(dict.fromkeys((str(path.parent), dags)))
    os.chdir(task.root)
    traces = Traces(path, Path(task.root))
    shown = ParseEnvironment(task.environment, traces.missed)
    os.environ = shown  # type: ignore[assignment]  # noqa: B003 - nothing inherits it
    return traces


def _run(source: bytes, path: Path, task: ParseTask) -> tuple[list[DagSpec], list[Problem]]:
    """The DAGs, and what is wrong: all that is found, and last what ended the file, if anything did."""
    specs: list[DagSpec] = []
    problems: list[Problem] = []
    with gathering() as mistakes, engine_called(task.engine_aliases), collecting(str(path)) as dags:
        try:
            tree = ast.parse(source, str(path))
            _execute(tree, path)
            problems += check_source(tree, task.file, dags[0].dag_id if len(dags) == 1 else None)
            for dag in dags:
                if not any(each.dag_id in (None, dag.dag_id) and each.task_id is None for each in mistakes):
                    specs.append(to_spec(dag, task.file))
                    problems += _findings(specs[-1], mistakes, task)
        except BaseException as error:  # noqa: BLE001 - a DAG file may raise anything, and hurts itself only
            if isinstance(error, MemoryError):
                use_reserve()
            problems.append(_problem(error, path, task))
    told = [_problem(each, path, task) for each in mistakes]
    noted = [_noted(note, dag, task.file) for dag in dags for note in dag.graph.notes]
    return specs, list(dict.fromkeys([*told, *noted, *problems]))


def _findings(dag: DagSpec, mistakes: Iterable[AuthoringError], task: ParseTask) -> list[Problem]:
    """What the rules say of a DAG. Beside mistakes, which leave less than its author wrote, only the errors of
    tasks that are whole: what is doubtful may be so for what is missing."""
    found = list(check(dag, frozenset(task.task_images), frozenset(task.bare_images)))
    broken = {each.task_id for each in mistakes if each.dag_id == dag.dag_id}
    errors = (each for each in found if each.severity is Severity.ERROR and each.task_id not in broken)
    return list(errors) if broken else found


def _noted(note: Note, dag: DAG, file: str) -> Problem:
    return finding(
        note.rule, note.text, note.fix, file=file, line=note.line, dag_id=dag.dag_id, task_id=note.task_id
    )


def _execute(tree: ast.Module, path: Path) -> None:
    module = ModuleType(f"dag_file_{path.stem}")  # a name of its own: a file may be called json.py
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    exec(compile(tree, str(path), "exec"), module.__dict__)  # noqa: S102 - what a parse worker is for


def _problem(error: BaseException, path: Path, task: ParseTask) -> Problem:
    line = _line(error, path)
    for kind, describe in _KINDS:
        if isinstance(error, kind):
            rule, text, fix = describe(error, path, task)
            break
    else:
        rule, text, fix = "exception", _words(error), "a DAG file is run to read it: make it run without an error"
    dag_id = task_id = None
    if isinstance(error, AuthoringError):
        line, dag_id, task_id = error.line or line, error.dag_id, error.task_id
    text += _elsewhere(error, path, task)
    return finding(rule, text, fix, file=task.file, line=line, dag_id=dag_id, task_id=task_id)


def _syntax(error: SyntaxError, path: Path, _: ParseTask) -> tuple[str, str, str]:
    shown = f": {error.text.strip()}" if error.text and error.text.strip() else ""
    place = "" if error.filename == str(path) else f"{error.filename}:{error.lineno}: "
    return "syntax", f"{place}{error.msg}{shown}", "correct the Python syntax"


def _missing_module(error: ModuleNotFoundError, _: Path, __: ParseTask) -> tuple[str, str, str]:
    top = (error.name or "").partition(".")[0]
    if top == "airflow":
        return (
            "import",
            f"there is no module {error.name!r} here",
            "write `from orchestrator import DAG, DockerOperator`",
        )
    fix = (
        f"import {top} in the program that a task runs, and install it in that task's image"
        " (task-images/NAME/requirements.txt); a DAG file has orchestrator, yaml, pendulum and the standard library"
    )
    return "import", f"there is no module {error.name!r} here", fix


def _import(error: ImportError, _: Path, __: ParseTask) -> tuple[str, str, str]:
    return "import", *(in_place_of(error) or (_words(error), "import a name that the module has"))


def _variable(error: MissingVariableError, _: Path, __: ParseTask) -> tuple[str, str, str]:
    name = error.args[0]
    return (
        "environment",
        f"DAG files are not shown the environment variable {name!r}",
        _let_through(name),
    )


def _memory(_: MemoryError, __: Path, task: ParseTask) -> tuple[str, str, str]:
    limit = task.limits.memory // (1024 * 1024)
    return (
        "parse_memory",
        f"it takes more memory than the {limit} MiB a parse may",
        "do this work in a task; the limit is [dags] parse_memory",
    )


def _authoring(error: AuthoringError, _: Path, __: ParseTask) -> tuple[str, str, str]:
    return error.rule, error.message, error.fix


def _exit(error: SystemExit, _: Path, __: ParseTask) -> tuple[str, str, str]:
    return "exception", f"it ends the process: {_words(error)}", "a DAG file only describes: take the exit out"


_Describe = Callable[..., tuple[str, str, str]]
#: How each kind of error is told; the first that fits.
_KINDS: tuple[tuple[type[BaseException], _Describe], ...] = (
    (AuthoringError, _authoring),
    (MissingVariableError, _variable),
    (SyntaxError, _syntax),
    (ModuleNotFoundError, _missing_module),
    (ImportError, _import),
    (MemoryError, _memory),
    (SystemExit, _exit),
)


def _line(error: BaseException, path: Path) -> int | None:
    """The last line of the DAG file itself on the way to the error."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    return next((line for file, line in reversed(list(_frames(error))) if file == str(path)), None)


def _elsewhere(error: BaseException, path: Path, task: ParseTask) -> str:
    """` (at lib/days.py:3)` where the error came up in another file of the project."""
    root = Path(task.root)
    for file, line in reversed(list(_frames(error))):
        if file == str(path):
            return ""
        if Path(file).is_relative_to(root) and not Path(file).is_relative_to(Path(orchestrator.__file__).parent):
            return f" (at {Path(file).relative_to(root).as_posix()}:{line})"
    return ""


def _frames(error: BaseException) -> Iterator[tuple[str, int]]:
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield frame.f_code.co_filename, line


def _words(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()[:_LONGEST]


def _heard(file: str, traces: Traces, told: list[int | None]) -> Iterator[Problem]:
    """What the file did while it ran, and had better not. `told` are the lines of variables that it needs."""
    if traces.network_line is not None:
        text = "it goes to the network while it is parsed"
        fix = "do this work in a task: a DAG file is parsed again and again"
        yield finding("network", text, fix, file=file, line=traces.network_line)
    for name, line in traces.variables.items():
        if line not in told:
            text = f"it asks for the environment variable {name!r}, which DAG files are not shown"
            yield finding("environment_read", text, _let_through(name), file=file, line=line)


def _let_through(name: str) -> str:
    return (
        f'let it through with [dags] parse_env = ["{name}"]; better, give the task a value: environment=, params='
    )
