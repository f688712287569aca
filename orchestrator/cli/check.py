"""`orchestrator dags check`: are the DAG files sound? Needs no engine, no database, no scheduler."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from orchestrator.app import App
from orchestrator.cli.output import show_json
from orchestrator.cli.session import open_app, say
from orchestrator.dagfiles.catalogue import duplicate_problems
from orchestrator.dagfiles.discover import dag_files
from orchestrator.errors import NotFoundError
from orchestrator.spec.dag import ParsedFile, Problem, Severity

#: Files checked at one time.
_PARALLEL = 4


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--output", type=click.Choice(["plain", "json"]), default="plain", help="How to print.")
def check(path: Path | None, output: str) -> None:
    """Check DAG files: one line for each problem (file:line: rule: text). Exit code 1 if there is an error."""
    app = open_app()
    files = _wanted(app, path)
    with app.authoring() as authoring, ThreadPoolExecutor(_PARALLEL) as pool:
        parsed = tuple(pool.map(authoring.parse, files))
    problems = _problems(parsed)
    if output == "json":
        show_json(problems)
    for problem in problems if output == "plain" else ():
        click.echo(str(problem))
    dags = sum(len(each.dags) for each in parsed)
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    say(f"{len(files)} files, {dags} DAGs, {errors} errors, {len(problems) - errors} warnings")
    sys.exit(1 if errors else 0)


def _problems(parsed: tuple[ParsedFile, ...]) -> list[Problem]:
    found = [problem for each in parsed for problem in each.problems]
    found += duplicate_problems(parsed)
    return sorted(found, key=lambda problem: (problem.file, problem.line or 0, problem.rule))


def _wanted(app: App, path: Path | None) -> tuple[str, ...]:
    files = dag_files(app.project.dags_folder)
    if path is None:
        return files
    wanted = path.resolve()
    chosen = tuple(
        file
        for file in files
        if (full := app.project.dags_folder / file) == wanted
        or wanted in full.resolve().parents
        or full.resolve() == wanted
    )
    if not chosen:
        raise NotFoundError("DAG file", str(path), fix=f"DAG files live in {app.project.dags_folder}")
    return chosen
