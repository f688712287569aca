"""Which schema this program wants, and whether a database has it."""

from sqlalchemy import Connection, inspect, text

from orchestrator.errors import SchemaError
from orchestrator.store.tables import METADATA

#: The newest revision in `migrations/versions`; revisions are numbered, so that older and newer can be told.
HEAD = "0006"

_UPGRADE = "orchestrator db upgrade"
_OF_ITS_OWN = "give the orchestrator a database of its own, and name it in the setting database.url"


def revision(connection: Connection) -> str | None:
    """The revision a database is at, None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def check_schema(connection: Connection) -> None:
    """Raises `SchemaError` where the schema is not this program's."""
    found = revision(connection)
    if found is None:
        raise SchemaError("the database is empty", fix=f"run: {_UPGRADE}")
    refuse_newer(found)
    if found != HEAD:
        raise SchemaError(
            f"the database's schema is {found}, older than this program's {HEAD}", fix=f"run: {_UPGRADE}"
        )


def refuse_newer(found: str) -> None:
    """Raises `SchemaError` for a revision that this program does not know yet, or that is another program's."""
    if not (len(found) == len(HEAD) and found.isdecimal()):
        raise SchemaError(f"the database is another program's: its schema is {found!r}", fix=_OF_ITS_OWN)
    if found > HEAD:
        raise SchemaError(
            f"the database's schema is {found}, newer than this program's {HEAD}",
            fix=f"install the newer orchestrator that made it, then run: {_UPGRADE}",
        )


def refuse_foreign_tables(connection: Connection) -> None:
    """Raises `SchemaError` where a database without a revision has tables in the way of ours."""
    if foreign := sorted(METADATA.tables.keys() & set(inspect(connection).get_table_names())):
        raise SchemaError(f"the database has tables of another program: {', '.join(foreign)}", fix=_OF_ITS_OWN)
