"""`python -m orchestrator.store.migrations "Add a column"`: write the next revision from what the tables now say
beyond the newest one. Read it before it is committed: Alembic sees no CHECK constraints.
"""

import sys
import tempfile
from pathlib import Path

from alembic import command

from orchestrator.store.migrate import configuration
from orchestrator.store.schema import HEAD
from orchestrator.store.sqlite import SqliteDatabase


def write_revision(subject: str) -> None:
    """Migrate a scratch database to the newest revision, compare it with the tables, write the difference."""
    with tempfile.TemporaryDirectory() as folder:
        engine = SqliteDatabase(Path(folder) / "scratch.db").migrator()
        with engine.begin() as connection:
            config = configuration(connection)
            command.upgrade(config, "head")
            command.revision(config, subject, autogenerate=True, rev_id=f"{int(HEAD) + 1:04}")
        engine.dispose()


if __name__ == "__main__":
    write_revision(sys.argv[1])
