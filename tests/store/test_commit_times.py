"""How long a turn's commit takes over SQLite and over PostgreSQL, in one run on one disk; both have it on the disk
when they say so. `pytest -m long tests/store/test_commit_times.py -s` prints the figures."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median, quantiles

import pytest
from msgspec.structs import replace
from postgres_server import PostgresServer
from store_rows import NOW, attempt, ended, put_run, run, task

from orchestrator.planning.changes import PutResult, PutTask, PutTry, Row
from orchestrator.planning.rows import Result
from orchestrator.states import TaskState
from orchestrator.store import SqlStore, upgrade
from orchestrator.store.database import Database
from orchestrator.store.postgresql import PostgresDatabase
from orchestrator.store.sqlite import SqliteDatabase

TURNS = 300


@pytest.fixture
def databases(tmp_path: Path) -> Iterator[dict[str, Database]]:
    server = PostgresServer(settings=())
    try:
        server.start()
        yield {
            "sqlite": SqliteDatabase(tmp_path / "sqlite" / "orchestrator.db"),
            "postgresql": PostgresDatabase(tmp_path / "postgresql", server.url(server.make_database())),
        }
    finally:
        server.remove()


def steps_of_a_chain() -> Iterator[list[Row]]:
    """The turns of one task after the other: an outcome with its result, and the intent of the next."""
    of = run()
    before = task(of, "t0", TaskState.RUNNING, tries=1)
    open_try = attempt(before, "try0")
    yield [*put_run(of), PutTask(task=before, before=None), PutTry(attempt=open_try, before=None)]
    for number in range(1, TURNS + 1):
        following = task(of, f"t{number}", TaskState.RUNNING, tries=1)
        next_try = attempt(following, f"try{number}")
        yield [
            PutTask(task=replace(before, state=TaskState.SUCCESS, ended_at=NOW), before=before),
            PutTry(attempt=ended(open_try), before=open_try),
            PutResult(result=Result(key=before.key, data=b"1", created_at=NOW)),
            PutTask(task=following, before=None),
            PutTry(attempt=next_try, before=None),
        ]
        before, open_try = following, next_try


@pytest.mark.long
def test_a_commit_takes_milliseconds(databases: dict[str, Database]) -> None:
    taken: dict[str, list[float]] = {name: [] for name in databases}
    with ExitStack() as stack:
        stores = {}
        for name, database in databases.items():
            upgrade(database)
            stores[name] = stack.enter_context(closing(SqlStore.open(database)))
        epochs = {name: store.take_lead("test", NOW) for name, store in stores.items()}
        for rows in steps_of_a_chain():
            for name, store in stores.items():
                begun = time.perf_counter()
                store.write(epochs[name], rows)
                taken[name].append((time.perf_counter() - begun) * 1000)
        reads = {name: [_timed(store.epoch) for _ in range(TURNS)] for name, store in stores.items()}
    for name in databases:
        turns = taken[name][1:]
        print(  # noqa: T201 - what it is for
            f"{name}: a turn {median(turns):.1f} ms, nine of ten within {quantiles(turns, n=10)[-1]:.1f} ms;"
            f" the epoch read in {median(reads[name]):.2f} ms"
        )
        assert median(turns) < 250


def _timed(act: object) -> float:
    assert callable(act)
    begun = time.perf_counter()
    act()
    return (time.perf_counter() - begun) * 1000
