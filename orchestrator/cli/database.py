"""`orchestrator db`: the database of this home."""

import click

from orchestrator.cli.session import open_app
from orchestrator.store.migrate import upgrade as migrate


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
def upgrade() -> None:
    """Bring the database to this program's schema; make it if there is none. Safe to repeat."""
    database = open_app().database
    changed = migrate(database)
    click.echo(f"{database.name}: {'upgraded' if changed else 'is current'}")
