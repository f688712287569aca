"""One scheduler a home, and what is left when a process dies in the middle of a write."""

import subprocess
import sys
from pathlib import Path

import pytest
from store_rows import NOW, seed

from orchestrator.errors import FencedError, SchedulerRunningError
from orchestrator.ports import Page
from orchestrator.store import SqlStore, upgrade

TASKS = 20
WRITER = f"""
import itertools, os, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from store_rows import NOW, seed
from orchestrator.store import SqlStore
store = SqlStore.open(Path(sys.argv[1]))
epoch = store.take_lead("writer", NOW)
print("leads", epoch, flush=True)
for number in itertools.count():
    store.write(epoch, seed(tasks={TASKS}, run_id=f"manual__{{epoch}}_{{number}}"))
    print(number, flush=True)
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    upgrade(tmp_path / "orchestrator.db")
    return tmp_path / "orchestrator.db"


def killed_after(database: Path, turns: int) -> int:
    """Start a writer, kill it after so many turns; returns how many it knew to be committed."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(database)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline().startswith(b"leads")
        for _ in range(turns):
            assert writer.stdout.readline()
        writer.kill()
        return turns + len(writer.stdout.read().splitlines())


def test_a_killed_writer_leaves_whole_transactions_and_all_it_said_were_done(database: Path) -> None:
    known = sum(killed_after(database, turns) for turns in (1, 7, 20))
    store = SqlStore.open(database)
    runs = store.runs(None, Page(limit=10_000))
    assert known <= len(runs) <= known + 3  # a turn may be committed and not yet said so
    for run in runs:
        tasks = store.tasks(run.key)
        assert len(tasks) == TASKS
        assert all(len(store.tries(task.key)) == 1 for task in tasks)
    with store._reading() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    assert store.take_lead("next", NOW) == 4
    store.close()


def test_a_home_has_one_scheduler_and_the_second_is_told_its_process(database: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(database)], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.readline()
        second = SqlStore.open(database)
        with pytest.raises(SchedulerRunningError, match=f"process {first.pid}") as refusal:
            second.take_lead("second", NOW)
        assert "end it first" in refusal.value.fix
        assert second.epoch() == 1
        first.kill()
    assert second.take_lead("second", NOW) == 2
    second.close()


def test_a_closed_store_lets_the_home_go(database: Path) -> None:
    first, second = SqlStore.open(database), SqlStore.open(database)
    first.take_lead("first", NOW)
    with pytest.raises(SchedulerRunningError):
        second.take_lead("second", NOW)
    first.close()
    epoch = second.take_lead("second", NOW)
    with pytest.raises(FencedError):
        second.write(type(epoch)(epoch - 1), seed())
    second.close()
