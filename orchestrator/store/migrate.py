"""Bring a database to this program's schema, in this process (`orchestrator db upgrade`)."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from orchestrator.errors import StoreError
from orchestrator.ids import new_deployment_id
from orchestrator.store import leadership
from orchestrator.store.connecting import writing_engine
from orchestrator.store.faults import told_as_ours
from orchestrator.store.home import HomeLock, begin_home, claim_home, deployment_file, read_claim, told_of_home
from orchestrator.store.schema import HEAD, refuse_newer, revision

_SCRIPTS = "orchestrator.store:migrations"


def upgrade(database: Path) -> bool:
    """Make the database and its home if there are none, migrate it to this program's schema, and give it its
    deployment id; returns whether anything was to do.

    Raises `SchemaError` for a newer schema, `SchedulerRunningError` where a scheduler would have the schema
    changed under it, `StoreError` where the home belongs to another database, `StoreUnavailableError`."""
    home = database.parent
    with told_of_home(home):
        begin_home(home)
    _refuse_lost_database(database)
    engine = writing_engine(database, create=True)
    try:
        with told_as_ours(database), engine.begin() as connection:
            changed = _migrate(connection, home)
            if leadership.deployment_id(connection) is None:
                leadership.found(connection, new_deployment_id())
            deployment = leadership.deployment_id(connection)
    finally:
        engine.dispose()
    if deployment is not None:
        claim_home(home, deployment)
    return changed


def _migrate(connection: Connection, home: Path) -> bool:
    found = revision(connection)
    if found == HEAD:
        return False
    if found is not None:
        refuse_newer(found)
    lock = HomeLock(home)
    lock.take()
    try:
        command.upgrade(configuration(connection), "head")
    finally:
        lock.release()
    return True


def configuration(connection: Connection) -> Config:
    """Alembic's configuration over an open transaction."""
    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    config.attributes["connection"] = connection
    return config


def _refuse_lost_database(database: Path) -> None:
    known = read_claim(database.parent)
    if known is not None and not database.exists():
        raise StoreError(
            f"the home {database.parent} is of deployment {known}, but its database is gone",
            fix=f"put {database.name} back; or, to begin anew: rm {deployment_file(database.parent)}"
            f" (containers of {known} are then nobody's)",
        )
