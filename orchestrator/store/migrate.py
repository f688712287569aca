"""Bring a database to this program's schema, in this process (`orchestrator db upgrade`)."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from orchestrator.clock import SystemClock
from orchestrator.errors import SchedulerRunningError, StoreError
from orchestrator.ids import new_deployment_id
from orchestrator.store import leadership
from orchestrator.store.database import Database
from orchestrator.store.faults import told_as_ours
from orchestrator.store.home import begin_home, claim_home, deployment_file, read_claim, told_of_home
from orchestrator.store.schema import HEAD, refuse_foreign_tables, refuse_newer, revision
from orchestrator.store.sqlite import SqliteDatabase

_SCRIPTS = "orchestrator.store:migrations"


def upgrade(database: Database | Path, *, take_over: bool = False) -> bool:
    """Make the database (a path is that of a file of SQLite) and its home if there are none, migrate it to this
    program's schema, and give it its deployment id; returns whether anything was to do.

    Raises `SchemaError` for a newer schema, `SchedulerRunningError` where a scheduler would have the schema
    changed under it (where the database says who leads, `take_over` ends that with the old schema: who led writes
    and starts nothing more), `StoreError` where home and database do not belong together or the database is
    somebody else's, `StoreUnavailableError`."""
    if isinstance(database, Path):
        database = SqliteDatabase(database)
    home = database.home
    with told_of_home(home):
        begin_home(home)
    if not database.exists():
        _refuse_lost(database)
    engine = database.migrator()
    try:
        with told_as_ours(database), engine.begin() as connection:
            changed = _migrate(connection, database, take_over=take_over)
            found = leadership.deployment_id(connection)
            if found is None:
                found = new_deployment_id()
                leadership.found(connection, found)
    finally:
        engine.dispose()
    claim_home(home, found)
    return changed


def _migrate(connection: Connection, database: Database, *, take_over: bool) -> bool:
    found = revision(connection)
    if found == HEAD:
        return False
    if found is None:
        _refuse_lost(database)
        refuse_foreign_tables(connection)
    else:
        refuse_newer(found)
    lock = database.lock()
    if lock is not None:
        lock.take()
    elif found is not None:
        _end_lead(connection, take_over=take_over)
    try:
        command.upgrade(configuration(connection), "head")
    finally:
        if lock is not None:
            lock.release()
    return True


def _end_lead(connection: Connection, *, take_over: bool) -> None:
    """Nobody leads from here to the end of the transaction, and after it only who knows the new schema."""
    leading = leadership.led(connection)
    if leading is not None and not take_over:
        raise SchedulerRunningError(
            f"{leading.owner} leads and would have the schema changed under it",
            fix="end all schedulers of this database first (or, where one was killed, wait a minute); or have them"
            " ended: orchestrator db upgrade --take-over",
        )
    leadership.take(connection, "db upgrade", SystemClock().now())


def configuration(connection: Connection) -> Config:
    """Alembic's configuration over an open transaction."""
    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    config.attributes["connection"] = connection
    return config


def _refuse_lost(database: Database) -> None:
    """Of a database that is not there, or empty: its home must not be another's."""
    known = read_claim(database.home)
    if known is not None:
        raise StoreError(
            f"the home {database.home} is of deployment {known}, but its database is gone: there is nothing in"
            f" {database.name}",
            fix=f"put the database of {known} back; or, to begin anew: rm {deployment_file(database.home)}"
            f" (containers of {known} are then nobody's)",
        )
