"""The database: a `ports.Store` over SQLAlchemy Core. `upgrade` makes or migrates it, `SqlStore` opens it."""

from orchestrator.store.migrate import upgrade as upgrade
from orchestrator.store.sql_store import SqlStore as SqlStore
