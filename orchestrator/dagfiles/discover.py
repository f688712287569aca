"""Which files under `dags/` are DAG files: every `*.py` that is not hidden and not ignored."""

import os
from collections.abc import Iterator
from pathlib import Path

import pathspec

#: Files with patterns as in .gitignore, for their own folder and those below.
IGNORE_FILES = (".airflowignore", ".orchestratorignore")

_Patterns = tuple[Path, pathspec.GitIgnoreSpec]


def dag_files(dags: Path) -> tuple[str, ...]:
    """The DAG files, relative to `dags`, with forward slashes, sorted. Links are followed, loops are not."""
    return tuple(sorted(path.relative_to(dags).as_posix() for path in _walk(dags, (), frozenset())))


def _walk(folder: Path, above: tuple[_Patterns, ...], passed: frozenset[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in passed:
        return
    patterns = (*_patterns(folder), *above)
    for entry in _entries(folder):
        path = folder / entry.name
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        if entry.is_dir() and not _ignored(path, patterns, folder=True):
            yield from _walk(path, patterns, passed | {real})
        elif entry.name.endswith(".py") and entry.is_file() and not _ignored(path, patterns, folder=False):
            yield path


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:  # it went away while we looked
        return []


def _patterns(folder: Path) -> Iterator[_Patterns]:
    for name in IGNORE_FILES:
        try:
            lines = (folder / name).read_text(errors="replace").splitlines()
        except OSError:
            continue
        yield folder, pathspec.GitIgnoreSpec.from_lines(lines)


def _ignored(path: Path, patterns: tuple[_Patterns, ...], *, folder: bool) -> bool:
    """As git decides: the nearest folder with a pattern that fits, negated or not."""
    for base, spec in patterns:
        verdict = spec.check_file(path.relative_to(base).as_posix() + ("/" if folder else "")).include
        if verdict is not None:
            return verdict
    return False
