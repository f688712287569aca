"""Which database a project has: a server's, where the setting `database.url` names one, else a file in the home."""

import importlib

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from orchestrator.errors import SettingsError, StoreError
from orchestrator.settings import Project
from orchestrator.store.database import Database
from orchestrator.store.sqlite import SqliteDatabase

_SCHEMES = ("postgresql", "postgres")
_FORM = "write it as postgresql://USER:PASSWORD@HOST:5432/DATABASE, special characters percent-encoded"


def database_of(project: Project) -> Database:
    """Raises `SettingsError` for a url that names no PostgreSQL database, `StoreError` where its driver is not
    installed."""
    text = project.settings.database.url
    if not text:
        return SqliteDatabase(project.database)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise SettingsError("the setting database.url is no URL", fix=_FORM) from None  # which may hold a password
    if url.drivername not in _SCHEMES or not url.database:
        what = "names no database" if url.drivername in _SCHEMES else f"names {url.drivername}, not postgresql"
        raise SettingsError(f"the setting database.url {what}", fix=_FORM)
    if "@" in (url.host or ""):  # the rest of a password, which every error would tell as the host's name
        raise SettingsError("the setting database.url has an @ too many", fix=_FORM)
    try:  # the driver is an extra, and nobody else shall wait for it to be loaded
        module = importlib.import_module("orchestrator.store.postgresql")
    except ImportError as error:
        raise StoreError(
            f"the driver for PostgreSQL cannot be loaded: {error}", fix="pip install 'orchestrator[postgres]'"
        ) from error
    database: Database = module.PostgresDatabase(project.home, url)
    return database
