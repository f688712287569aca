"""Any legal sequence of turns leaves in PostgreSQL what it leaves in a dict."""

from contextlib import ExitStack
from pathlib import Path

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from postgres_server import PostgresServer
from test_store_model import StoreModel

from orchestrator.store import SqlStore
from orchestrator.store.postgresql import PostgresDatabase


def test_the_store_is_a_dict_over_postgresql_too(postgres_server: PostgresServer, tmp_path: Path) -> None:
    class PostgresModel(StoreModel):
        """Over one database for each history."""

        def open_store(self) -> SqlStore:
            self.borrowed = ExitStack()
            database = self.borrowed.enter_context(postgres_server.lent())
            return SqlStore.open(PostgresDatabase(tmp_path, postgres_server.url(database)))

        def teardown(self) -> None:
            super().teardown()
            self.borrowed.close()

    bounds = settings(max_examples=6, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(PostgresModel, settings=bounds)
