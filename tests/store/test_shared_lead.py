"""The locks around the leader's row in PostgreSQL, among transactions that run at the same time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from store_rows import NOW, put_run, run

from orchestrator.errors import FencedError, SchemaError, StoreUnavailableError
from orchestrator.ids import Epoch
from orchestrator.ports import Led
from orchestrator.store import SqlStore, leadership
from orchestrator.store.postgresql import PostgresDatabase

LONG, GONE = timedelta(minutes=5), timedelta(seconds=-1)
PATIENCE = 60


@pytest.fixture
def one(postgres_database: PostgresDatabase) -> Iterator[SqlStore]:
    with closing(SqlStore.open(postgres_database)) as store:
        yield store


@pytest.fixture
def two(postgres_database: PostgresDatabase) -> Iterator[SqlStore]:
    with closing(SqlStore.open(postgres_database)) as store:
        yield store


class Doing:
    """A call on a thread of its own."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act
        self._came: list[object] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def result(self) -> object:
        self._thread.join(PATIENCE)
        (came,) = self._came
        if isinstance(came, BaseException):
            raise came
        return came

    @property
    def under_way(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._came.append(self._act())
        except BaseException as error:  # noqa: BLE001 - told to who asks for the result
            self._came.append(error)


def waits_for_a_lock(store: SqlStore) -> bool:
    with store._reading() as connection:
        text = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return bool(connection.exec_driver_sql(text).scalar_one())


def until_it_waits(store: SqlStore, doing: Doing) -> None:
    while not waits_for_a_lock(store):
        assert doing.under_way, doing.result()


def test_a_renewal_waits_for_no_turn(one: SqlStore) -> None:
    epoch = _won(one.bid("one", NOW, GONE))
    with one._writing() as turn:
        leadership.check(turn, epoch)
        Doing(lambda: one.renew(epoch, LONG)).result()
        assert one.led() is not None


def test_who_takes_the_lead_waits_for_the_turn_under_way_which_counts(one: SqlStore, two: SqlStore) -> None:
    first = _won(one.bid("one", NOW, GONE))
    with one._writing() as turn:
        leadership.check(turn, first)
        bidding = Doing(lambda: two.bid("two", NOW, LONG))
        until_it_waits(two, bidding)
        turn.exec_driver_sql("INSERT INTO pools (name, slots) VALUES ('written', 1)")
    assert bidding.result() == first + 1
    assert [pool.name for pool in two.pools()] == ["written"]
    with pytest.raises(FencedError, match="two leads"):
        one.write(first, put_run(run()))


def test_of_two_that_bid_at_the_same_time_one_leads(one: SqlStore, two: SqlStore) -> None:
    for _ in range(20):
        before = one.epoch()
        bids = [Doing(lambda store=store: store.bid("any", NOW, LONG)) for store in (one, two)]
        found = [each.result() for each in bids]
        assert sorted(isinstance(each, Led) for each in found) == [False, True]
        assert one.epoch() == before + 1
        one.give_up(one.epoch())


def test_a_renewal_and_a_bid_at_the_same_time_leave_one_leader(one: SqlStore, two: SqlStore) -> None:
    epoch = _won(one.bid("one", NOW, GONE))
    for _ in range(20):
        bidding = Doing(lambda: two.bid("two", NOW, GONE))
        try:
            one.renew(epoch, LONG)
        except FencedError:
            epoch = _won(bidding.result())
            assert one.epoch() == epoch
        else:
            assert isinstance(bidding.result(), Led)
            one.renew(epoch, GONE)


def test_a_leader_that_stands_still_in_mid_turn_holds_the_lead_for_seconds_only(
    one: SqlStore, two: SqlStore
) -> None:
    first = _won(one.bid("one", NOW, GONE))
    with pytest.raises(StoreUnavailableError), one._writing() as turn:  # noqa: PT012 - a turn has two ends
        leadership.check(turn, first)
        found = _patiently(lambda: two.bid("two", NOW, LONG))
        assert found == first + 1
        turn.exec_driver_sql("INSERT INTO pools (name, slots) VALUES ('of the one before', 1)")
    assert two.pools() == ()


def test_who_stood_by_while_the_schema_was_upgraded_does_not_lead(one: SqlStore) -> None:
    with one._writing() as upgrade:
        upgrade.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaError, match="newer"):
        one.bid("one", NOW, LONG)
    assert one.epoch() == 0


def test_who_waited_for_the_lead_while_the_schema_was_upgraded_does_not_lead(one: SqlStore, two: SqlStore) -> None:
    with one._writing() as upgrade:
        leadership.take(upgrade, "db upgrade", NOW)
        bidding = Doing(lambda: two.bid("two", NOW, LONG))
        until_it_waits(one, bidding)
        upgrade.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaError, match="newer"):
        bidding.result()
    assert one.epoch() == 1


def _patiently(bid: Callable[[], Epoch | Led]) -> Epoch | Led:
    """As a standby does: again where the lock could not be had for long."""
    for _ in range(4):
        try:
            return bid()
        except StoreUnavailableError:
            continue
    return bid()


def _won(found: object) -> Epoch:
    assert isinstance(found, int), found
    return Epoch(found)
