"""Template files: texts that stand in a file of their own, read when a DAG file is parsed, so that they are part of
the DAG's version (spec authoring 7). Nothing becomes a file by its ending: who wants one says so."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.authoring.faults import Rule, dag_file, fault

#: Bytes that a template file may have.
_LIMIT = 1024 * 1024


class TemplateFile:
    """The text of the file `name`, a template like any other: it may stand wherever a text may, also in lists and
    mappings. It is found beside the DAG file, else in the DAG's `template_searchpath`."""

    __slots__ = ("name",)

    def __init__(self, name: str | Path) -> None:
        self.name = str(name)

    def __repr__(self) -> str:
        return f"TemplateFile({self.name!r})"


def with_texts(what: str, written: Any, searchpath: Sequence[str]) -> Any:
    """The same value with the text of each `TemplateFile` in its place, at any depth. `what` names the argument in
    messages; raises `template_file` where a file is missing or cannot be a template."""
    if isinstance(written, TemplateFile):
        return _text(what, written.name, searchpath)
    if isinstance(written, str):
        return str(written)  # never one of a class that only this process knows
    if isinstance(written, Mapping):
        return {name: with_texts(what, value, searchpath) for name, value in written.items()}
    if type(written) in (list, tuple):
        return type(written)(with_texts(what, value, searchpath) for value in written)
    return written


def read_searchpath(what: str, written: Any) -> tuple[str, ...]:
    """`template_searchpath`: a folder or several; `bad_argument` otherwise."""
    folders = [written] if isinstance(written, str | Path) else written or []
    if not isinstance(folders, list | tuple) or not all(isinstance(each, str | Path) for each in folders):
        raise fault(
            f"{what}: template_searchpath is {written!r}",
            rule=Rule.BAD_ARGUMENT,
            fix='write a folder, or a list of folders, like "sql"',
        )
    return tuple(str(folder) for folder in folders)


def _text(what: str, name: str, searchpath: Sequence[str]) -> str:
    places = list(dict.fromkeys(_places(name, searchpath)))
    found = next((found for found in map(_read, places) if found is not None), None)
    if found is None:
        raise _fault(
            f"there is no template file {name!r}; looked for {', '.join(map(str, places))}",
            "put it beside the DAG file, or name its folder in the DAG's template_searchpath",
            what,
        )
    if len(found) > _LIMIT:
        raise _fault(f"{name} is larger than the {_LIMIT} B of a template", "mount large data", what)
    try:
        return found.decode()
    except UnicodeDecodeError as error:
        raise _fault(f"{name} is no UTF-8 text: {error}", "a template is a text; mount other data", what) from error


def _read(place: Path) -> bytes | None:
    """What is there, None where nothing is. It is opened and not only looked for, so that a parse depends on every
    place where the file might appear."""
    try:
        with place.open("rb") as file:
            return file.read(_LIMIT + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    except OSError as error:
        raise _fault(f"{place} cannot be read: {error}", "let the scheduler's user read it") from error


def _places(name: str, searchpath: Sequence[str]) -> Iterator[Path]:
    """Beside the DAG file; then in each folder of the path, which is one beside the DAG file or in the project."""
    file = dag_file.get()
    beside = Path.cwd() if file is None else Path(file).parent
    yield beside / name
    for folder in searchpath:
        yield beside / folder / name
        yield Path.cwd() / folder / name


def _fault(message: str, fix: str, what: str = "a template file") -> Exception:
    return fault(f"{what}: {message}", rule=Rule.TEMPLATE_FILE, fix=fix)
