"""What every Store promises of assets: their events, what DAGs have gathered of them, and what runs consumed."""

from datetime import timedelta

import pytest
from store_rows import NOW, put_run, run, version, write

from orchestrator.errors import StoreConflictError
from orchestrator.ids import Epoch, TaskKey
from orchestrator.planning.changes import PutAssetEvent, PutGathered, PutVersion
from orchestrator.planning.rows import AssetEvent, Stretch
from orchestrator.ports import Store

SECOND = timedelta(seconds=1)


def event(asset: str, number: int, extra: bytes = b"null", **fields: object) -> AssetEvent:
    return AssetEvent(asset=asset, at=NOW + number * SECOND, extra=extra, **fields)  # type: ignore[arg-type]  # any field


def put(*events: AssetEvent) -> list[PutAssetEvent]:
    return [PutAssetEvent(event=each) for each in events]


def stretch(first: int, last: int) -> Stretch:
    return Stretch(first=NOW + first * SECOND, last=NOW + last * SECOND, count=last - first + 1)


def test_an_event_comes_back_as_written(store: Store, epoch: Epoch) -> None:
    source = TaskKey("lake", "manual__1", "load", 3)
    full = event("s3://lake/ä", 0, b'{"path": "{{ ds }}"}', source=source, actor="ann")
    write(store, *put(full))
    assert store.asset_events("s3://lake/ä", 10) == (full,)
    assert store.load().newest_event == NOW


def test_events_are_told_newest_first_of_one_asset_or_of_all(store: Store, epoch: Epoch) -> None:
    a, b, c = event("a", 1), event("b", 2), event("a", 3)
    write(store, *put(a, b, c))
    assert store.asset_events("a", 10) == (c, a)
    assert store.asset_events(None, 2) == (c, b)
    assert store.asset_events("other", 10) == ()


def test_no_two_events_have_one_instant(store: Store, epoch: Epoch) -> None:
    write(store, *put(event("a", 1)))
    with pytest.raises(StoreConflictError):
        write(store, *put(event("b", 1)))
    assert store.asset_events(None, 10) == (event("a", 1),)


def test_the_events_of_stretches_are_told_oldest_first(store: Store, epoch: Epoch) -> None:
    events = [event(asset, number) for number, asset in enumerate("abababab")]
    write(store, *put(*events))
    wanted = {"a": stretch(2, 4), "b": stretch(1, 3)}
    assert store.events_in(wanted, 10, 1000) == tuple(events[1:5])
    assert store.events_in({}, 10, 1000) == ()


def test_of_too_many_events_or_too_large_ones_the_newest_are_told(store: Store, epoch: Epoch) -> None:
    events = [event("a", number, b'"%s"' % (b"x" * 98)) for number in range(5)]
    write(store, *put(*events))
    assert store.events_in({"a": stretch(0, 4)}, 2, 1000) == tuple(events[3:])
    assert store.events_in({"a": stretch(0, 4)}, 10, 300) == tuple(events[2:])


def test_what_is_gathered_is_replaced_and_removed(store: Store, epoch: Epoch) -> None:
    first = PutGathered(dag_id="c", asset="a", events=stretch(1, 1))
    more = PutGathered(dag_id="c", asset="a", events=stretch(1, 4))
    other = PutGathered(dag_id="d", asset="a", events=stretch(1, 2))
    write(store, first, other)
    assert store.load().gathered == store.gathered() == (first, other)
    write(store, more)
    assert store.gathered() == (more, other)
    write(store, first, PutGathered(dag_id="c", asset="a", events=None))
    assert store.gathered() == (other,)


def test_a_run_knows_what_it_consumed(store: Store, epoch: Epoch) -> None:
    made = run(consumed={"a": stretch(1, 4), "b": stretch(2, 2)})
    write(store, *put_run(made))
    assert store.run(made.key) == made


def test_all_of_a_turn_is_written_or_nothing(store: Store, epoch: Epoch) -> None:
    write(store, *put(event("a", 1)))
    gathered = PutGathered(dag_id="c", asset="a", events=stretch(1, 2))
    with pytest.raises(StoreConflictError):
        write(store, gathered, PutVersion(version=version()), *put(event("a", 1)))
    assert store.gathered() == ()
    assert store.version("etl", version().version) is None
