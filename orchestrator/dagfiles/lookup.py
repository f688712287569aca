"""Finding a DAG in the files, for commands that need no database."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from orchestrator.dagfiles.discover import dag_files
from orchestrator.errors import AuthoringError, NotFoundError
from orchestrator.ports import Parser
from orchestrator.spec.dag import DagSpec, ParsedFile


def find_dag(folder: Path, parser: Parser, dag_id: str) -> DagSpec:
    """The DAG of this id as its file says it now; files that mention the id are parsed first.

    `AuthoringError` where its file is broken, `NotFoundError` where no file has it."""
    files = dag_files(folder)
    mention = {file for file in files if dag_id.encode() in (folder / file).read_bytes()}
    first = [parser.parse(file) for file in files if file in mention]
    found = [dag for parsed in first for dag in parsed.dags if dag.dag_id == dag_id]
    if len(found) > 1:
        raise AuthoringError(
            f"{dag_id!r} stands in {' and in '.join(dag.file for dag in found)}",
            rule="duplicate_id",
            fix="give one of them another id, or remove it",
        )
    if found:
        return found[0]
    _refuse_broken(dag_id, first)
    rest = [parser.parse(file) for file in files if file not in mention]
    known = {dag.dag_id: dag for parsed in (*first, *rest) for dag in parsed.dags}
    if dag_id in known:
        return known[dag_id]
    nearest = difflib.get_close_matches(dag_id, known, n=1)
    if not nearest:
        _refuse_broken(dag_id, rest)
    raise NotFoundError("DAG", dag_id, nearest=nearest[0] if nearest else None, fix=f"DAG files live in {folder}")


def _refuse_broken(dag_id: str, files: Iterable[ParsedFile]) -> None:
    """`AuthoringError` where any of these files, one of which may be the DAG's, is broken."""
    errors = [str(problem) for parsed in files for problem in parsed.errors]
    if errors:
        raise AuthoringError(
            "\n".join([f"no sound DAG file has {dag_id!r}; broken is:", *errors]),
            rule="broken_file",
            fix="correct that; `orchestrator dags check` shows the problems of all files",
        )
