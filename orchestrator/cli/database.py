"""`orchestrator db`: the database of this home."""

import click

from orchestrator.cli.session import open_app
from orchestrator.store.migrate import upgrade as migrate
from orchestrator.store.schema import HEAD


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
def check() -> None:
    """See whether the database can be used: reached, read and written, of this program's schema and this home.
    Exit code 1, with what to do, where it cannot."""
    app = open_app()
    with app.store() as store:
        store.probe()
        click.echo(f"{app.database.name}: schema {HEAD}, deployment {store.deployment()}; can be read and written")


@db.command()
@click.option(
    "--take-over",
    is_flag=True,
    help="Over PostgreSQL, where an older scheduler leads: end its lead. Its containers run on and are adopted.",
)
def upgrade(take_over: bool) -> None:
    """Bring the database to this program's schema; make it if there is none. Safe to repeat."""
    database = open_app().database
    changed = migrate(database, take_over=take_over)
    click.echo(f"{database.name}: {'upgraded' if changed else 'is current'}")
