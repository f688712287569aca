"""Any legal sequence of turns leaves in PostgreSQL what it leaves in a dict."""

from pathlib import Path

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from postgres_server import TEMPLATE, PostgresServer
from test_store_model import StoreModel

from orchestrator.store import SqlStore
from orchestrator.store.postgresql import PostgresDatabase


def test_the_store_is_a_dict_over_postgresql_too(postgres_server: PostgresServer, tmp_path: Path) -> None:
    class PostgresModel(StoreModel):
        """Over a database of its own, whose home is none that a claim ties to another."""

        def open_store(self) -> SqlStore:
            self.database = postgres_server.make_database(TEMPLATE)
            (tmp_path / self.database).mkdir()
            return SqlStore.open(PostgresDatabase(tmp_path / self.database, postgres_server.url(self.database)))

        def teardown(self) -> None:
            super().teardown()
            postgres_server.drop_database(self.database)

    bounds = settings(max_examples=6, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(PostgresModel, settings=bounds)
