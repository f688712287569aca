"""`orchestrator policy`: what the site lets tasks ask of the engine, and which DAGs ask for more."""

import sys

import click

from orchestrator.cli.check import parsed_files
from orchestrator.cli.output import show_json
from orchestrator.cli.session import located, open_app, say
from orchestrator.dagfiles.discover import dag_files
from orchestrator.dagfiles.site_rules import POLICY_RULE
from orchestrator.spec.dag import Severity


@click.group()
def policy() -> None:
    """Show what DAGs ask for and this site's policy.toml does not allow."""


@policy.command()
@click.option("--output", type=click.Choice(["plain", "json"]), default="plain", help="How to print.")
def check(output: str) -> None:
    """List what DAGs violate, each with the line of policy.toml that would allow it. Exit code 1 if one does."""
    app = open_app()
    files = dag_files(app.project.dags_folder)
    parsed = parsed_files(app, files)
    found = [problem for each in parsed for problem in each.problems if problem.severity is Severity.ERROR]
    problems = [located(app, problem) for problem in found if problem.rule == POLICY_RULE]
    if output == "json":
        show_json(problems)
    for problem in problems if output == "plain" else ():
        click.echo(str(problem))
    broken = {problem.file for problem in found if problem.rule != POLICY_RULE}
    if broken:
        say(f"{len(broken)} files are broken and were not looked at: `orchestrator dags check`")
    say(f"{len(files)} files, {len(problems)} violations of {app.project.home / 'policy.toml'}")
    sys.exit(1 if problems else 0)
