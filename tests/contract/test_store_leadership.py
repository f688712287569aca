"""The lead as one row that several processes can have in turn; time is counted by the database's clock."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from store_rows import NOW, put_run, run

from orchestrator.errors import FencedError
from orchestrator.ids import DeploymentId, Epoch
from orchestrator.ports import Led, Store
from orchestrator.store import SqlStore

LONG, GONE = timedelta(minutes=5), timedelta(seconds=-1)


@pytest.fixture(params=["memory", "postgresql"])
def shared(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store that nothing but time keeps others away from."""
    if request.param == "memory":
        opened = SqlStore.in_memory(DeploymentId("0123abcd"))
    else:
        opened = SqlStore.open(request.getfixturevalue("postgres_database"))
    yield opened
    opened.close()


def won(found: Epoch | Led) -> Epoch:
    assert not isinstance(found, Led), found
    return found


def test_a_lead_that_nobody_has_is_free(shared: Store) -> None:
    assert shared.led() is None
    assert won(shared.bid("one", NOW, LONG)) == shared.epoch() == 1


def test_as_long_as_one_leads_another_is_told_who_and_for_how_long(shared: Store) -> None:
    epoch = won(shared.bid("one", NOW, LONG))
    found = shared.bid("two", NOW, LONG)
    assert isinstance(found, Led)
    assert (found.owner, found.epoch) == ("one", epoch)
    assert timedelta(minutes=3) < found.left <= LONG
    assert shared.led() is not None
    shared.write(epoch, put_run(run()))


def test_the_instants_that_processes_name_decide_nothing(shared: Store) -> None:
    won(shared.bid("one", NOW - timedelta(days=9000), LONG))
    assert isinstance(shared.bid("two", NOW + timedelta(days=90000), LONG), Led)


def test_once_it_has_expired_the_next_one_leads_and_the_one_before_is_fenced(shared: Store) -> None:
    first = won(shared.bid("one", NOW, GONE))
    assert shared.led() is None
    second = won(shared.bid("two", NOW, LONG))
    assert second > first
    with pytest.raises(FencedError, match="two leads in epoch 2"):
        shared.write(first, put_run(run()))
    with pytest.raises(FencedError, match="two leads"):
        shared.renew(first, LONG)
    shared.give_up(first)
    assert isinstance(shared.bid("three", NOW, LONG), Led)


def test_a_renewal_counts_from_now(shared: Store) -> None:
    epoch = won(shared.bid("one", NOW, GONE))
    shared.renew(epoch, LONG)
    assert isinstance(shared.bid("two", NOW, LONG), Led)
    shared.renew(epoch, GONE)
    assert shared.led() is None


def test_a_lead_that_expired_and_nobody_took_may_be_renewed_and_used(shared: Store) -> None:
    epoch = won(shared.bid("one", NOW, GONE))
    shared.write(epoch, put_run(run(run_id="m1")))
    shared.renew(epoch, LONG)
    shared.write(epoch, put_run(run(run_id="m2")))
    assert isinstance(shared.bid("two", NOW, LONG), Led)


def test_what_is_given_up_is_free_at_once(shared: Store) -> None:
    first = won(shared.bid("one", NOW, LONG))
    shared.give_up(first)
    assert shared.led() is None
    assert won(shared.bid("two", NOW, LONG)) > first


def test_who_leads_and_who_stands_by_can_be_told(shared: Store) -> None:
    nobody = shared.leading()
    assert (nobody.epoch, nobody.owner, nobody.left, nobody.standbys) == (0, "", None, ())
    epoch = won(shared.bid("one", NOW, LONG))
    shared.stand_by("two", NOW)
    shared.stand_by("three", NOW + timedelta(seconds=1))
    shared.stand_by("two", NOW)
    found = shared.leading()
    assert (found.epoch, found.owner, found.taken_at) == (epoch, "one", NOW)
    assert found.left is not None
    assert found.left > timedelta(minutes=3)
    assert [(each.owner, each.since) for each in found.standbys] == [("two", NOW), ("three", NOW + timedelta(0, 1))]
    shared.stand_down("three")
    shared.give_up(epoch)
    won(shared.bid("two", NOW, LONG))
    assert shared.leading().standbys == ()


@pytest.mark.parametrize("store", ["file"], indirect=True)
def test_under_a_home_s_lock_the_lead_does_not_expire(store: Store) -> None:
    first = won(store.bid("one", NOW, GONE))
    assert store.leading().left is None
    assert store.led() is None
    second = won(store.bid("one again", NOW, LONG))
    assert second > first
    store.give_up(second)
    found = store.leading()
    assert found.left is not None
    assert found.left <= timedelta(0)
