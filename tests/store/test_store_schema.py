"""Making, migrating and refusing databases."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, inspect

from orchestrator.errors import SchedulerRunningError, SchemaError, StoreError
from orchestrator.ids import DeploymentId
from orchestrator.store import SqlStore, upgrade
from orchestrator.store.home import HomeLock, trials_id
from orchestrator.store.migrate import configuration
from orchestrator.store.schema import HEAD
from orchestrator.store.tables import METADATA


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "home" / "orchestrator.db"


def engine(database: Path) -> Engine:
    return create_engine(f"sqlite:///{database}")


def say(database: Path, statement: str) -> None:
    one = engine(database)
    with one.begin() as connection:
        connection.exec_driver_sql(statement)
    one.dispose()


def described(connection: Connection) -> dict[str, Any]:
    """All that the database itself knows of each table."""
    look = inspect(connection)
    indexes = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?"

    def ordered(items: Any) -> list[str]:
        return sorted(repr(sorted((key, repr(value)) for key, value in item.items())) for item in items)

    return {
        table: (
            ordered(look.get_columns(table)),
            ordered(look.get_check_constraints(table)),
            ordered(look.get_foreign_keys(table)),
            look.get_pk_constraint(table),
            sorted(connection.exec_driver_sql(indexes, (table,)).scalars()),
        )
        for table in look.get_table_names()
        if table != "alembic_version"
    }


def test_migrations_lead_to_exactly_the_tables_of_the_program(database: Path, tmp_path: Path) -> None:
    upgrade(database)
    migrated, declared = engine(database), engine(tmp_path / "declared.db")
    with migrated.connect() as one, declared.connect() as other:
        METADATA.create_all(other)
        assert compare_metadata(MigrationContext.configure(one), METADATA) == []
        assert described(one) == described(other)
        assert len(described(one)) == len(METADATA.tables)
    migrated.dispose()
    declared.dispose()


def test_the_head_this_program_wants_is_the_last_revision(database: Path) -> None:
    upgrade(database)
    one = engine(database)
    with one.connect() as connection:
        assert ScriptDirectory.from_config(configuration(connection)).get_current_head() == HEAD
    one.dispose()


def test_an_upgrade_is_done_once_and_keeps_the_deployment(database: Path) -> None:
    assert upgrade(database)
    with closing(SqlStore.open(database)) as store:
        first = store.deployment()
    assert not upgrade(database)
    with closing(SqlStore.open(database)) as store:
        assert store.deployment() == first
    assert (database.parent / "deployment").read_text() == f"{first}\n"


def test_a_migration_that_fails_leaves_nothing_behind(database: Path) -> None:
    database.parent.mkdir()
    say(database, "CREATE TABLE mine (in_the_way INTEGER)")
    say(database, "CREATE INDEX runs_newest ON mine (in_the_way)")
    with pytest.raises(StoreError, match="runs_newest already exists"):
        upgrade(database)
    one = engine(database)
    with one.connect() as connection:
        assert inspect(connection).get_table_names() == ["mine"]
    one.dispose()


def test_a_database_that_is_not_there_is_refused_and_not_made(database: Path) -> None:
    with pytest.raises(SchemaError, match="orchestrator db upgrade"):
        SqlStore.open(database)
    assert not database.exists()


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE alembic_version SET version_num = '0000'", "older"),
        ("UPDATE alembic_version SET version_num = '9999'", "newer"),
        ("DROP TABLE alembic_version", "empty"),
    ],
)
def test_another_schema_is_refused_with_the_command(database: Path, statement: str, what: str) -> None:
    upgrade(database)
    say(database, statement)
    with pytest.raises(SchemaError, match=what) as refusal:
        SqlStore.open(database)
    assert "orchestrator db upgrade" in refusal.value.fix


def test_a_newer_schema_is_not_upgraded(database: Path) -> None:
    upgrade(database)
    say(database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaError, match="newer"):
        upgrade(database)


def test_no_schema_is_changed_under_a_running_scheduler(database: Path) -> None:
    lock = HomeLock(database.parent)
    lock.take()
    with pytest.raises(SchedulerRunningError):
        upgrade(database)
    lock.release()
    assert upgrade(database)


def test_a_home_and_a_database_of_different_deployments_are_refused(database: Path) -> None:
    upgrade(database)
    (database.parent / "deployment").write_text("ffffffff\n")
    for refused in (SqlStore.open, upgrade):
        with pytest.raises(StoreError, match="of deployment ffffffff") as refusal:
            refused(database)
        assert f"rm {database.parent / 'deployment'}" in refusal.value.fix


def test_a_home_whose_database_is_gone_is_not_given_a_new_one(database: Path) -> None:
    database.parent.mkdir()
    (database.parent / "deployment").write_text("ffffffff\n")
    with pytest.raises(StoreError, match="its database is gone"):
        upgrade(database)
    assert not database.exists()


def test_a_new_home_keeps_itself_out_of_git(database: Path, tmp_path: Path) -> None:
    upgrade(database)
    ignore = database.parent / ".gitignore"
    assert ignore.read_text() == "*\n"
    ignore.unlink()
    upgrade(database)
    assert not ignore.exists(), "what somebody took away stays away"
    trials_id(tmp_path / "other")
    assert (tmp_path / "other" / ".gitignore").exists()


def test_a_home_without_its_copy_gets_one(database: Path) -> None:
    upgrade(database)
    copy = database.parent / "deployment"
    copy.unlink()
    store = SqlStore.open(database)
    assert copy.read_text().strip() == store.deployment()
    store.close()


def test_a_store_in_memory_has_the_deployment_it_was_given() -> None:
    store = SqlStore.in_memory(DeploymentId("0123abcdtbeef"))
    assert store.deployment() == "0123abcdtbeef"
    store.close()
