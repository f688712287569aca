"""Making, migrating and refusing databases on a PostgreSQL server."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from postgres_server import PASSWORD, PostgresServer
from psycopg import sql
from sqlalchemy import Connection, inspect, text
from store_rows import DAY, NOW

from orchestrator.errors import FencedError, SchedulerRunningError, SchemaError, StoreError
from orchestrator.planning.changes import PutPool
from orchestrator.planning.rows import Pool
from orchestrator.ports import Led
from orchestrator.store import SqlStore, leadership, migrate, schema, upgrade
from orchestrator.store.postgresql import PostgresDatabase
from orchestrator.store.tables import METADATA


def say(database: PostgresDatabase, *statements: str) -> None:
    engine = database.writer()
    with engine.begin() as connection:
        for each in statements:
            connection.execute(text(each))
    engine.dispose()


def tables(database: PostgresDatabase) -> list[str]:
    engine = database.reader()
    with engine.connect() as connection:
        found = inspect(connection).get_table_names()
    engine.dispose()
    return found


_COLUMNS = (
    "SELECT table_name, column_name, data_type, collation_name, column_default, is_nullable"
    " FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
)
_CONSTRAINTS = (
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)"
    " FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic%'"
)
_INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'"


def described(connection: Connection) -> list[list[Any]]:
    """All that the server knows of the tables."""
    asked = (_COLUMNS, _CONSTRAINTS, _INDEXES)
    return [sorted(map(repr, connection.execute(text(each)))) for each in asked]


def test_migrations_lead_to_exactly_the_tables_of_the_program(
    postgres_database: PostgresDatabase, empty_postgres: PostgresDatabase
) -> None:
    migrated, declared = postgres_database.reader(), empty_postgres.writer()
    with migrated.connect() as one, declared.begin() as other:
        METADATA.create_all(other)
        for made, wanted in zip(described(one), described(other), strict=True):
            assert made == wanted
            assert made
    migrated.dispose()
    declared.dispose()


def test_text_sorts_by_code_points_whatever_the_database_s_language(postgres_database: PostgresDatabase) -> None:
    names = ["b", "A", "a", "\N{LATIN SMALL LETTER A WITH DIAERESIS}", "B", "_", "Z"]
    with closing(SqlStore.open(postgres_database)) as store:
        store.write(store.take_lead("test", NOW), [PutPool(pool=Pool(name=name, slots=1)) for name in names])
        assert [pool.name for pool in store.pools()] == sorted(names)


def test_an_upgrade_is_done_once_and_keeps_the_deployment(empty_postgres: PostgresDatabase) -> None:
    assert not empty_postgres.exists()
    with pytest.raises(SchemaError, match="there is no database") as refusal:
        SqlStore.open(empty_postgres)
    assert "orchestrator db upgrade" in refusal.value.fix
    assert upgrade(empty_postgres)
    with closing(SqlStore.open(empty_postgres)) as store:
        first = store.deployment()
    assert not upgrade(empty_postgres)
    with closing(SqlStore.open(empty_postgres)) as store:
        assert store.deployment() == first
    assert (empty_postgres.home / "deployment").read_text() == f"{first}\n"


def test_two_upgrades_at_once_are_one(empty_postgres: PostgresDatabase, tmp_path: Path) -> None:
    same = [PostgresDatabase(tmp_path / f"home{number}", empty_postgres._url) for number in range(4)]
    with ThreadPoolExecutor(len(same)) as pool:
        assert sorted(pool.map(upgrade, same)) == [False, False, False, True]
    assert len({(each.home / "deployment").read_text() for each in same}) == 1


def test_a_migration_that_fails_leaves_nothing_behind(empty_postgres: PostgresDatabase) -> None:
    say(empty_postgres, "CREATE TABLE mine (in_the_way INTEGER)", "CREATE INDEX runs_newest ON mine (in_the_way)")
    with pytest.raises(StoreError, match='"runs_newest" already exists'):
        upgrade(empty_postgres)
    assert tables(empty_postgres) == ["mine"]


@pytest.mark.parametrize(
    ("statements", "what"),
    [
        (
            ("CREATE TABLE runs (id INTEGER)", "CREATE TABLE pools (id INTEGER)"),
            "tables of another program: pools, runs",
        ),
        (
            (
                "CREATE TABLE alembic_version (version_num TEXT)",
                "INSERT INTO alembic_version VALUES ('e07f49787c9d')",
            ),
            "its schema is 'e07f49787c9d'",
        ),
    ],
)
def test_a_database_of_another_program_is_left_alone(
    empty_postgres: PostgresDatabase, statements: tuple[str, ...], what: str
) -> None:
    say(empty_postgres, *statements)
    before = tables(empty_postgres)
    with pytest.raises(SchemaError, match=what) as refusal:
        upgrade(empty_postgres)
    assert "a database of its own" in refusal.value.fix
    assert tables(empty_postgres) == before
    with pytest.raises(SchemaError):
        SqlStore.open(empty_postgres)


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE alembic_version SET version_num = '0001'", "older"),
        ("UPDATE alembic_version SET version_num = '9999'", "newer"),
    ],
)
def test_another_schema_is_refused_with_the_command(
    postgres_database: PostgresDatabase, statement: str, what: str
) -> None:
    say(postgres_database, statement)
    with pytest.raises(SchemaError, match=what) as refusal:
        SqlStore.open(postgres_database)
    assert "orchestrator db upgrade" in refusal.value.fix


def test_no_schema_is_changed_under_a_leader(
    postgres_database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (migrate, schema):
        monkeypatch.setattr(module, "HEAD", "9998")  # of a program that comes later
    engine = postgres_database.writer()
    with engine.begin() as connection:
        epoch = leadership.bid(connection, "the other", NOW, DAY)
    with pytest.raises(SchedulerRunningError, match="the other leads") as refusal:
        upgrade(postgres_database)
    assert "--take-over" in refusal.value.fix
    assert not isinstance(epoch, Led)
    with engine.begin() as connection:
        leadership.give_up(connection, epoch)
    engine.dispose()
    assert upgrade(postgres_database)


def test_an_upgrade_may_end_the_lead_of_an_older_program(
    postgres_database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SqlStore.open(postgres_database)) as older:
        epoch = older.bid("the older", NOW, DAY)
        assert not isinstance(epoch, Led)
        older.write(epoch, ())
        for module in (migrate, schema):
            monkeypatch.setattr(module, "HEAD", "9998")
        assert upgrade(postgres_database, take_over=True)
        for attempt in (lambda: older.write(epoch, ()), lambda: older.renew(epoch, DAY)):
            with pytest.raises(FencedError, match="db upgrade"):
                attempt()
        assert older.epoch() > epoch
        assert older.led() is None, "whoever knows the schema may lead at once"


def test_a_home_and_a_database_of_different_deployments_are_refused(postgres_database: PostgresDatabase) -> None:
    claim = postgres_database.home / "deployment"
    claim.write_text("ffffffff\n")
    for refused in (SqlStore.open, upgrade):
        with pytest.raises(StoreError, match="of deployment ffffffff") as refusal:
            refused(postgres_database)
        assert f"rm {claim}" in refusal.value.fix


def test_a_home_whose_database_is_gone_is_not_given_a_new_one(empty_postgres: PostgresDatabase) -> None:
    empty_postgres.home.mkdir()
    (empty_postgres.home / "deployment").write_text("ffffffff\n")
    with pytest.raises(StoreError, match="its database is gone"):
        upgrade(empty_postgres)
    assert tables(empty_postgres) == []


def test_a_user_who_may_not_make_tables_is_told_so(
    empty_postgres: PostgresDatabase, postgres_server: PostgresServer
) -> None:
    with postgres_server.admin() as admin:
        admin.execute(sql.SQL("CREATE ROLE guest LOGIN PASSWORD {}").format(sql.Literal(PASSWORD)))
    try:
        guest = PostgresDatabase(empty_postgres.home, empty_postgres._url.set(username="guest"))
        with pytest.raises(StoreError, match="permission denied") as refusal:
            upgrade(guest)
        assert "OWNER TO" in refusal.value.fix
    finally:
        with postgres_server.admin() as admin:
            admin.execute("DROP ROLE guest")
