"""Finding a DAG in the files, for commands that need no database."""

import difflib
from pathlib import Path

from orchestrator.dagfiles.discover import dag_files
from orchestrator.errors import AuthoringError, NotFoundError
from orchestrator.ports import Parser
from orchestrator.spec.dag import DagSpec, Severity


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
    known: list[str] = []
    broken: list[str] = []
    for parsed in (*first, *(parser.parse(file) for file in files if file not in mention)):
        for dag in parsed.dags:
            if dag.dag_id == dag_id:
                return dag
            known.append(dag.dag_id)
        broken += [str(problem) for problem in parsed.problems if problem.severity is Severity.ERROR]
    nearest = difflib.get_close_matches(dag_id, known, n=1)
    if broken and not nearest:
        raise AuthoringError(
            "\n".join([f"no sound DAG file has {dag_id!r}; these files are broken:", *broken]),
            rule="broken_file",
            fix="correct them; `orchestrator dags check` shows all problems",
        )
    raise NotFoundError("DAG", dag_id, nearest=nearest[0] if nearest else None, fix=f"DAG files live in {folder}")
