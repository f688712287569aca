"""`assets list` and `show`, and what `runs show` tells of a run that assets made: by the rows alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from store_rows import write

from orchestrator.cli import assets
from orchestrator.errors import NotFoundError, RequestRefusedError
from orchestrator.ids import DeploymentId, TaskKey
from orchestrator.planning.changes import PutAssetEvent, PutDag, PutGathered, PutVersion
from orchestrator.planning.rows import AssetEvent, Dag, DagVersion, Stretch
from orchestrator.queries import Queries
from orchestrator.spec.assets import AllOf, AssetSpec
from orchestrator.spec.dag import AssetSchedule, DagSpec, TaskSpec, version_of
from orchestrator.store import SqlStore
from orchestrator.tasklogs.store import FileLogStore

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
ORDERS = AssetSpec(name="orders", uri="s3://lake/orders", group="lake", extra={"owner": "ann"})
PRICES = AssetSpec(name="prices")


class Shelf:
    """A store in memory, as a command sees it."""

    def __init__(self, folder: Path) -> None:
        self.store = SqlStore.in_memory(DeploymentId("0a1b2c3d"))
        self.store.take_lead("test", NOW)
        self._folder = folder

    def put(self, dag_id: str, *tasks: TaskSpec, paused: bool = False, active: bool = True, **fields: Any) -> None:
        spec = DagSpec(dag_id=dag_id, file=f"{dag_id}.py", tasks=tasks, **fields)
        version = DagVersion(dag_id=dag_id, version=version_of(spec), spec=spec, created_at=NOW)
        row = Dag(dag_id=dag_id, version=version.version, file=spec.file, paused=paused, active=active, since=NOW)
        write(self.store, PutVersion(version=version), PutDag(dag=row))

    @contextmanager
    def queries(self) -> Iterator[Queries]:
        yield Queries(self.store, FileLogStore(self._folder))


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """A DAG that produces, one that reads, and two that wait, of which one is paused."""
    made = Shelf(tmp_path)
    monkeypatch.setattr(assets, "open_app", lambda: made)
    made.put("lake", TaskSpec(task_id="load", outlets=(AssetSpec(name="orders"),)))
    made.put("look", TaskSpec(task_id="see", inlets=(ORDERS,)))
    made.put("report", schedule=AssetSchedule(when=AllOf(of=(ORDERS, PRICES))))
    made.put("later", schedule=AssetSchedule(when=PRICES), paused=True)
    source = TaskKey("lake", "manual__1", "load")
    events = [
        AssetEvent(asset="orders", at=NOW + timedelta(seconds=number), extra=b'{"n":%d}' % number, source=source)
        for number in range(3)
    ]
    stretch = Stretch(first=NOW, last=NOW + timedelta(seconds=2), count=3)
    write(
        made.store,
        *(PutAssetEvent(event=each) for each in events),
        PutGathered(dag_id="report", asset="orders", events=stretch),
    )
    yield made
    made.store.close()


def said(*words: str) -> Result:
    return CliRunner().invoke(assets.assets, words)


def told(*words: str) -> Any:
    return msgspec.json.decode(said(*words, "--output", "json").stdout)


@pytest.mark.usefixtures("shelf")
class TestListed:
    def test_every_asset_that_a_dag_names_is_there_with_who_names_it(self) -> None:
        rows = {row["name"]: row for row in told("list")}
        assert rows.keys() == {"orders", "prices"}
        assert (rows["orders"]["producers"], rows["orders"]["readers"]) == (["lake.load"], ["look.see"])
        assert rows["orders"]["waiting_dags"] == ["report"]
        assert rows["orders"]["last_update"] == "2026-11-20T12:30:02Z"
        assert rows["prices"]["waiting_dags"] == ["later", "report"]
        assert rows["prices"]["last_update"] is None

    def test_it_is_shown_as_whoever_tells_most_of_it(self) -> None:
        shown = told("show", "orders")
        assert (shown["uri"], shown["group"], shown["extra"]) == ("s3://lake/orders", "lake", {"owner": "ann"})

    def test_its_newest_events_come_first_and_no_more_than_asked_for(self) -> None:
        events = told("show", "orders", "--limit", "2")["events"]
        assert [each["extra"] for each in events] == [{"n": 2}, {"n": 1}]
        assert events[0]["source"] == "lake manual__1 load"

    def test_it_says_what_those_that_wait_lack(self) -> None:
        shown = said("show", "orders").stdout
        assert "report=3 not consumed, lacks prices" in shown
        shown = said("show", "prices")
        assert "later=0 not consumed, lacks prices (paused)" in shown.stdout
        assert "it was never updated" in shown.output

    def test_one_that_no_dag_names_is_not_found_and_the_nearest_is_named(self) -> None:
        error = said("show", "order").exception
        assert isinstance(error, NotFoundError)
        assert "orders" in str(error)

    def test_what_is_no_json_is_refused_before_anybody_is_asked(self) -> None:
        error = said("emit", "orders", "--extra", "{'a': 1}").exception
        assert isinstance(error, RequestRefusedError)
        assert "--extra is not JSON" in error.message
