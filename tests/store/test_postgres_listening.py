"""Who leads hears of requests that other processes make, wherever they are."""

import threading
from contextlib import closing
from pathlib import Path

from postgres_server import PostgresServer
from store_rows import NOW

from orchestrator.planning.rows import RequestKind
from orchestrator.store import SqlStore, upgrade
from orchestrator.store.postgresql import PostgresDatabase

PATIENCE = 60


class Ear:
    """Counts; waits for the next one."""

    def __init__(self) -> None:
        self._heard = threading.Semaphore(0)

    def __call__(self) -> None:
        self._heard.release()

    def wait(self) -> None:
        assert self._heard.acquire(timeout=PATIENCE), "nobody called"

    def has_more(self) -> bool:
        return self._heard.acquire(blocking=False)


def test_a_request_of_another_process_wakes_who_listens(postgres_database: PostgresDatabase) -> None:
    ear = Ear()
    with closing(SqlStore.open(postgres_database)) as leader, closing(SqlStore.open(postgres_database)) as face:
        leader.listen(ear)
        ear.wait()  # what was asked before it listened
        for _ in range(3):
            asked = face.ask(RequestKind.PAUSE, {"dag_id": "x"}, "me", NOW)
            ear.wait()
            assert asked in leader.unanswered()


def test_a_request_that_is_not_committed_wakes_nobody(postgres_database: PostgresDatabase) -> None:
    ear = Ear()
    with closing(SqlStore.open(postgres_database)) as store:
        store.listen(ear)
        ear.wait()
        with store._trying() as connection:
            store._database.announce(connection)
        store.ask(RequestKind.PAUSE, {}, "me", NOW)
        ear.wait()
        assert not ear.has_more()


def test_who_listens_hears_again_when_the_server_is_back(tmp_path: Path) -> None:
    server, ear = PostgresServer(), Ear()
    try:
        server.start()
        database = PostgresDatabase(tmp_path / "home", server.url(server.make_database()))
        upgrade(database)
        with closing(SqlStore.open(database)) as store:
            store.listen(ear)
            ear.wait()
            server.stop()
            server.start()
            ear.wait()  # asked meanwhile, for all it knows
            store.ask(RequestKind.PAUSE, {}, "me", NOW)
            ear.wait()
    finally:
        server.remove()


def test_a_closed_store_listens_no_more(postgres_database: PostgresDatabase) -> None:
    before = threading.active_count()
    store = SqlStore.open(postgres_database)
    store.listen(Ear())
    store.listen(Ear())
    assert threading.active_count() == before + 1
    store.close()
    store.close()
    assert threading.active_count() == before
