"""`orchestrator db`, over SQLite and over a server that the setting `database.url` names."""

import sys
from contextlib import closing
from pathlib import Path

import pytest
from cli_project import CliProject
from postgres_server import PASSWORD, PostgresServer
from sqlalchemy import URL
from store_rows import NOW

from orchestrator.app import App
from orchestrator.errors import SettingsError, StoreError, StoreUnavailableError
from orchestrator.ports import ImageRecord
from orchestrator.settings import open_project
from orchestrator.store import SqlStore, upgrade
from orchestrator.store.locating import database_of
from orchestrator.store.postgresql import PostgresDatabase

SECRET = "s3cret-word"  # noqa: S105 - of a role of this test's


@pytest.fixture
def project(tmp_path: Path) -> CliProject:
    return CliProject(tmp_path / "project")


def shown(url: URL) -> str:
    """A URL as the setting holds it."""
    return url.render_as_string(hide_password=False)


def test_a_file_is_made_and_checked(project: CliProject) -> None:
    before = project.run("db", "check")
    assert before.code == 1
    assert "orchestrator db upgrade" in before.stderr
    project.ok("db", "upgrade")
    assert "orchestrator.db: schema 0" in project.ok("db", "check").stdout


def test_a_database_on_a_server_is_made_and_checked(project: CliProject, postgres_server: PostgresServer) -> None:
    name = postgres_server.make_database()
    project.environment["ORCHESTRATOR__DATABASE__URL"] = shown(postgres_server.url(name))
    before = project.run("db", "check")
    assert (before.code, "orchestrator db upgrade" in before.stderr) == (1, True)
    upgraded = project.ok("db", "upgrade").stdout
    assert upgraded.endswith(f"/{name}: upgraded\n")
    checked = project.ok("db", "check").stdout
    deployment = (project.home / "deployment").read_text().strip()
    assert f"deployment {deployment}; can be read and written" in checked
    listed = project.ok("config", "list").stdout
    assert PASSWORD not in upgraded + checked + listed
    assert ":***@" in listed
    assert not (project.home / "orchestrator.db").exists()


def test_a_replica_is_told_to_be_one(empty_postgres: PostgresDatabase, postgres_server: PostgresServer) -> None:
    upgrade(empty_postgres)
    with postgres_server.admin() as admin:
        admin.execute(
            f"ALTER DATABASE {empty_postgres._url.database} SET default_transaction_read_only = on".encode()
        )
    store = SqlStore.open(empty_postgres)
    with closing(store), pytest.raises(StoreUnavailableError, match="read-only transaction") as fault:
        store.probe()
    assert "a replica" in fault.value.fix


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"postgresql://me:{SECRET}@127.0.0.1:1", "names no database"),
        (f"mysql://me:{SECRET}@127.0.0.1/x", "names mysql, not postgresql"),
        (f"me:{SECRET}@127.0.0.1/x", "is no URL"),
        (f"postgresql://me:{SECRET}@127.0.0.1:port/x", "is no URL"),
        (f"postgresql://me:begins@{SECRET}@127.0.0.1/x", "has an @ too many"),
    ],
)
def test_a_wrong_url_is_told_without_its_password(project: CliProject, url: str, told: str) -> None:
    opened = open_project(project.folder, {"ORCHESTRATOR__DATABASE__URL": url})
    with pytest.raises(SettingsError, match=told) as refusal:
        database_of(opened)
    assert "database.url" in refusal.value.message
    assert SECRET not in f"{refusal.value!r} {refusal.value} {refusal.value.__cause__!r}"


def test_a_server_that_is_not_there_is_told_by_the_command(project: CliProject) -> None:
    project.environment["ORCHESTRATOR__DATABASE__URL"] = f"postgresql://me:{SECRET}@127.0.0.1:1/x"
    said = project.run("db", "check")
    assert said.code == 1
    assert "refused" in said.stderr
    assert "fix: start it" in said.stderr
    assert "Traceback" not in said.stderr
    assert SECRET not in said.stdout + said.stderr


def test_an_image_is_built_whatever_the_database_says(
    project: CliProject, empty_postgres: PostgresDatabase
) -> None:
    record = ImageRecord(
        name="tools",
        source_hash="ab",
        tag="orchestrator/tools:ab",
        image_id="sha256:1",
        built_at=NOW,
        size=1,
        log="",
    )
    for url in ("postgresql://me@127.0.0.1:1/x", shown(empty_postgres._url.set(drivername="postgresql"))):
        app = App(open_project(project.folder, {"ORCHESTRATOR__DATABASE__URL": url}))
        app.record_image(record)
    assert app.pools() == ()
    upgrade(app.database)
    app.record_image(record)
    with app.store() as store:
        assert store.images() == (record,)


def test_a_missing_driver_is_told_with_the_extra_that_brings_it(
    project: CliProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("psycopg", "orchestrator.store.postgresql"):
        monkeypatch.setitem(sys.modules, name, None)
    opened = open_project(project.folder, {"ORCHESTRATOR__DATABASE__URL": "postgresql://me@host/x"})
    with pytest.raises(StoreError, match="driver") as refusal:
        database_of(opened)
    assert "orchestrator[postgres]" in refusal.value.fix
