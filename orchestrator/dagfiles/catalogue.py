"""What can only be said of all DAG files together."""

from collections.abc import Iterable

from orchestrator.spec.dag import ParsedFile, Problem


def duplicate_problems(files: Iterable[ParsedFile]) -> tuple[Problem, ...]:
    """An error for each DAG whose id an earlier file (by name) has already; the earlier one keeps it."""
    owners: dict[str, str] = {}
    found = []
    for parsed in sorted(files, key=lambda each: each.file):
        for dag in parsed.dags:
            owner = owners.setdefault(dag.dag_id, parsed.file)
            if owner != parsed.file:
                found.append(
                    Problem(
                        file=parsed.file,
                        line=dag.line or None,
                        rule="duplicate_id",
                        text=f"{owner} has a DAG {dag.dag_id!r} already",
                        fix="give one of them another id",
                        dag_id=dag.dag_id,
                    )
                )
    return tuple(found)
