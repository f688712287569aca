"""`orchestrator doctor`: one line for each thing this machine needs, and the repair of what can be repaired."""

import sys

import click

from orchestrator.app import App
from orchestrator.bootstrap.doctor_steps import doctor_steps
from orchestrator.bootstrap.machine_steps import database_step
from orchestrator.bootstrap.steps import Check, Finding, Say, Status, fail, ok, run_steps
from orchestrator.cli.output import show_json
from orchestrator.cli.session import open_app, say
from orchestrator.engines.owners import OWNER_LABEL
from orchestrator.errors import EngineUnavailableError, SchemaError, StoreError
from orchestrator.leftovers import sweep_trials
from orchestrator.store.migrate import upgrade

_LOOKS = {
    Status.OK: ("ok  ", "green"),
    Status.WARN: ("warn", "yellow"),
    Status.FAIL: ("FAIL", "red"),
    Status.SKIP: ("skip", "bright_black"),
}


@click.command()
@click.option(
    "--fix", is_flag=True, help="Repair what can be repaired: install and start an engine, make a base image."
)
@click.option("--yes", is_flag=True, help="Do not ask before repairing.")
@click.option("--output", type=click.Choice(["plain", "json"]), default="plain")
def doctor(fix: bool, yes: bool, output: str) -> None:
    """Check this machine. Exit code 1 if something that is needed is missing."""
    app = open_app()
    checks = examine(app, fix=fix, yes=yes, quiet=output == "json")
    if output == "json":
        show_json(checks)
    sys.exit(1 if any(check.status is Status.FAIL for check in checks) else 0)


def examine(app: App, *, fix: bool, yes: bool, quiet: bool = False, only_trouble: bool = False) -> list[Check]:
    """Look at everything, repair what may be repaired, and print a line for each thing (to stderr)."""

    def allowed(check: Check) -> bool:
        if not fix:
            return False
        _print(check)
        return yes or not sys.stdin.isatty() or click.confirm("     repair it?", default=True, err=True)

    checks = []
    with doctor_steps(app.project, app.deployment(), app.clock) as steps:
        for check in run_steps((*steps, database_step(lambda: _database(app), lambda hear: _migrate(app, hear))),
                               say, allowed):  # fmt: skip
            checks.append(check)
            if not quiet and not (only_trouble and check.status is Status.OK):
                _print(check)
    _sweep(app)
    return checks


def _print(check: Check) -> None:
    word, colour = _LOOKS[check.status]
    say(f"{click.style(word, fg=colour)} {check.name}: {check.text}")
    if check.fix and check.status is not Status.OK:
        say(f"     fix: {check.fix}")


def _database(app: App) -> Finding:
    try:
        with app.store() as store:
            store.probe()
            return ok(f"{app.database.name} is current")
    except SchemaError as error:
        return fail(error.message, error.fix, repairable=True)


def _migrate(app: App, hear: Say) -> None:
    hear(f"db upgrade {app.database.name}")
    upgrade(app.database)


def _sweep(app: App) -> None:
    """Remove what killed `dags test` runs of this home left on the engine."""
    engine = app.engine()
    try:
        removed = sweep_trials(engine, app.trials_id())
    except (EngineUnavailableError, StoreError):  # a line above tells of the engine, or of the home
        return
    finally:
        engine.close()
    if removed:
        say(f"ok   leftovers: removed {removed} containers of killed test runs ({OWNER_LABEL})")
