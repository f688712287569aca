"""What comes next, for one DAG and for all: in order, in words, as the scheduler will make it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from store_rows import write

from orchestrator.cli import plan
from orchestrator.cli.dags import dags
from orchestrator.ids import DeploymentId
from orchestrator.planning.changes import PutDag, PutVersion
from orchestrator.planning.rows import Dag, DagVersion
from orchestrator.queries import Coming, Queries
from orchestrator.spec.dag import (
    ContinuousSchedule,
    CronSchedule,
    DagSpec,
    DeltaSchedule,
    ManualSchedule,
    Schedule,
    ScheduleMode,
    version_of,
)
from orchestrator.spec.interval import Interval
from orchestrator.store import SqlStore
from orchestrator.tasklogs.store import FileLogStore
from orchestrator.testing.manual_clock import ManualClock

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
DAY = timedelta(days=1)
DAILY = CronSchedule(expressions=("0 0 * * *",), preset="@daily")
AT_SIX = CronSchedule(expressions=("0 6 * * *",), mode=ScheduleMode.TRIGGER)


class Shelf:
    """A store in memory with DAGs, as a command sees it at `NOW`."""

    def __init__(self, folder: Path) -> None:
        self.store = SqlStore.in_memory(DeploymentId("0a1b2c3d"))
        self.store.take_lead("test", NOW)
        self.clock = ManualClock(NOW)
        self._folder = folder

    def put(self, dag_id: str, schedule: Schedule, **fields: Any) -> None:
        row = {name: fields.pop(name) for name in ("paused", "active", "last", "since") if name in fields}
        spec = DagSpec(dag_id=dag_id, file=f"{dag_id}.py", schedule=schedule, **fields)
        version = DagVersion(dag_id=dag_id, version=version_of(spec), spec=spec, created_at=NOW)
        dag = Dag(dag_id=dag_id, version=version.version, file=spec.file, **{"paused": False, "since": NOW} | row)
        write(self.store, PutVersion(version=version), PutDag(dag=dag))

    @contextmanager
    def queries(self) -> Iterator[Queries]:
        yield Queries(self.store, FileLogStore(self._folder))

    def plan(self, hours: float, count: int = 100, *, paused: bool = False) -> list[tuple[str, datetime]]:
        with self.queries() as queries:
            found = queries.plan(NOW, NOW + timedelta(hours=hours), count, paused=paused)
        return [(each.dag.dag_id, each.interval.end) for each in found]

    def coming(self, dag_id: str, count: int) -> tuple[Coming, ...]:
        with self.queries() as queries:
            return queries.coming(dag_id, NOW, count)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    made = Shelf(tmp_path)
    monkeypatch.setattr(plan, "open_app", lambda: made)
    yield made
    made.store.close()


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def test_the_runs_of_all_dags_come_in_the_order_they_are_due(shelf: Shelf) -> None:
    shelf.put("days", DAILY)
    shelf.put("mornings", AT_SIX)
    shelf.put("halves", DeltaSchedule(delta=timedelta(hours=12)), start_date=at(20, 1))
    shelf.put("asked_for", ManualSchedule())
    assert shelf.plan(24) == [
        ("halves", at(20, 13)),
        ("days", at(21)),
        ("halves", at(21, 1)),
        ("mornings", at(21, 6)),
    ]
    assert shelf.plan(24, count=2) == [("halves", at(20, 13)), ("days", at(21))]
    assert shelf.plan(0.5) == [("halves", at(20, 13))]
    assert shelf.plan(0.4) == []


def test_what_is_due_already_comes_first(shelf: Shelf) -> None:
    shelf.put("behind", DAILY, start_date=at(17), catchup=True)
    shelf.put("days", DAILY, start_date=at(1))
    assert shelf.plan(0) == [("behind", at(18)), ("behind", at(19)), ("behind", at(20)), ("days", at(20))]


def test_paused_dags_are_told_of_when_asked_for_and_inactive_ones_never(shelf: Shelf) -> None:
    shelf.put("paused", DAILY, paused=True)
    shelf.put("gone", DAILY, active=False)
    assert shelf.plan(24) == []
    assert shelf.plan(24, paused=True) == [("paused", at(21))]


def test_of_continuous_runs_only_the_next_is_known(shelf: Shelf) -> None:
    shelf.put("always", ContinuousSchedule(), last=Interval(start=at(19), end=at(20)))
    assert shelf.plan(24) == [("always", NOW)]


def test_unpausing_is_foretold_as_the_scheduler_does_it(shelf: Shelf) -> None:
    shelf.put("waiting", DAILY, paused=True, since=at(3))
    (first, second) = shelf.coming("waiting", 2)
    assert first.interval == Interval(start=at(19), end=at(20))
    assert second.interval == Interval(start=at(20), end=at(21))


def said(*arguments: str) -> tuple[str, str]:
    result = CliRunner().invoke(dags, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout, result.stderr


def test_next_says_in_words_when_and_for_what(shelf: Shelf) -> None:
    shelf.put("days", DAILY)
    shelf.put("mornings", AT_SIX)
    shelf.put("always", ContinuousSchedule())
    out, _ = said("next", "days", "-n", "2")
    assert [line.split("  ")[-1] for line in out.splitlines()][1:] == [
        "due 21 Nov 00:00, stands for 20 Nov",
        "due 22 Nov 00:00, stands for 21 Nov",
    ]
    assert "due 21 Nov 06:00\n" in said("next", "mornings")[0]
    assert "as soon as none of its runs is open" in said("next", "always", "-n", "9")[0]


def test_next_says_that_nothing_comes_and_that_it_is_paused(shelf: Shelf) -> None:
    shelf.put("asked_for", ManualSchedule())
    shelf.put("days", DAILY, paused=True)
    assert "asked_for has no next scheduled run" in said("next", "asked_for")[1]
    out, err = said("next", "days")
    assert "(paused) due 21 Nov 00:00, stands for 20 Nov" in out
    assert "dags unpause days" in err


def test_plan_says_what_comes_and_what_it_left_out(shelf: Shelf) -> None:
    shelf.put("days", DAILY)
    shelf.put("paused", DAILY, paused=True)
    out, err = said("plan")
    assert "days" in out
    assert "due 21 Nov 00:00, stands for 20 Nov" in out
    assert "1 paused DAG is left out: `orchestrator dags plan --paused`" in err
    rows = msgspec.json.decode(said("plan", "--paused", "--output", "json")[0])
    assert [(row["dag_id"], row["paused"]) for row in rows] == [("days", False), ("paused", True)]
    assert "no scheduled run in the next 0.5 hours" in said("plan", "--hours", "0.5")[1]
