"""`orchestrator dags check`: are the DAG files sound? Needs no scheduler and, outside a container, no engine; a
database, where there is one, tells which pools there are and DAGs that come from no file here."""

import sys
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from orchestrator.app import App
from orchestrator.cli.output import show_json
from orchestrator.cli.reports import github, junit
from orchestrator.cli.session import located, open_app, say
from orchestrator.dagfiles.catalogue import Deployment, duplicate_problems, reference_problems
from orchestrator.dagfiles.discover import dag_files
from orchestrator.errors import NotFoundError, SchemaError, StoreUnavailableError
from orchestrator.spec.dag import ParsedFile, Problem, Severity

#: Files checked at one time.
_PARALLEL = 4


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--output",
    "--format",
    type=click.Choice(["plain", "json", "github", "junit"]),
    default="plain",
    help="How to print: github: annotations of a workflow; junit: XML for a CI server.",
)
def check(paths: tuple[Path, ...], output: str) -> None:
    """Check DAG files, all or those at PATHS: one line for each problem (file:line: rule: text). Exit code 1 if
    there is an error. Files at PATHS that are no DAG files, such as ignored ones, are passed over."""
    app = open_app()
    files = _wanted(app, paths)
    parsed = parsed_files(app, files)
    problems = [located(app, problem) for problem in _problems(app, parsed)]
    _print(problems, [located(app, file) for file in files], output)
    dags = sum(len(each.dags) for each in parsed)
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    say(f"{len(files)} files, {dags} DAGs, {errors} errors, {len(problems) - errors} warnings")
    sys.exit(1 if errors else 0)


def parsed_files(app: App, files: Iterable[str]) -> tuple[ParsedFile, ...]:
    """What each of these files (relative to `dags/`) says, several at a time."""
    with app.authoring() as authoring, ThreadPoolExecutor(_PARALLEL) as pool:
        return tuple(pool.map(authoring.parse, files))


def _print(problems: list[Problem], files: list[str], output: str) -> None:
    match output:
        case "json":
            show_json(problems)
        case "junit":
            click.echo(junit(problems, files))
        case _:
            for problem in problems:
                click.echo(github(problem) if output == "github" else str(problem))


def _problems(app: App, parsed: tuple[ParsedFile, ...]) -> list[Problem]:
    found = [problem for each in parsed for problem in each.problems]
    found += duplicate_problems(parsed)
    found += _unknown(app, parsed)
    return sorted(found, key=lambda problem: (problem.file, problem.line or 0, problem.rule))


def _unknown(app: App, parsed: tuple[ParsedFile, ...]) -> tuple[Problem, ...]:
    """What they name and is not there. Only where something is missing are the files that were not asked for
    looked at."""
    looked_at = {each.file for each in parsed}
    deployment = _deployment(app, looked_at)
    found = reference_problems(parsed, deployment=deployment)
    rest = [file for file in dag_files(app.project.dags_folder) if file not in looked_at]
    return reference_problems(parsed, parsed_files(app, rest), deployment) if found and rest else found


def _deployment(app: App, looked_at: Collection[str]) -> Deployment | None:
    """What the database knows; None where there is none that can be read."""
    if not app.database.exists():
        return None
    try:
        with app.queries() as queries:
            pools = frozenset(pool.name for pool in queries.pools(0))
            views = queries.dags(app.clock.now())
    except (SchemaError, StoreUnavailableError) as trouble:
        say(f"pools are not looked at: {trouble.message}")
        return None
    return Deployment(
        pools=pools, dags=tuple(view.spec for view in views if view.dag.active and view.dag.file not in looked_at)
    )


def _wanted(app: App, paths: tuple[Path, ...]) -> tuple[str, ...]:
    """The DAG files at these paths, each once; all, where there are no paths."""
    files = dag_files(app.project.dags_folder)
    if not paths:
        return files
    chosen = {file for path in paths for file in _at(app, path, files)}
    return tuple(file for file in files if file in chosen)


def _at(app: App, path: Path, files: tuple[str, ...]) -> list[str]:
    folder = app.project.dags_folder
    wanted = path.resolve()
    chosen = [file for file in files if wanted in (folder / file, (folder / file).resolve())
              or wanted in (folder / file).resolve().parents]  # fmt: skip
    if not chosen and not (wanted.exists() and wanted.is_relative_to(folder.resolve())):
        raise NotFoundError("DAG file", str(path), fix=f"DAG files live in {folder}")
    return chosen
