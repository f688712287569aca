"""What waits for the disk: bounded for each stream, for all together, and in what a byte of it costs."""

import tracemalloc
from datetime import UTC, datetime, timedelta

from orchestrator.scheduler.backlog import Backlog

AT = datetime(2024, 1, 1, tzinfo=UTC)


def test_what_comes_in_small_pieces_costs_about_its_bytes() -> None:
    backlog: Backlog[str] = Backlog(1 << 24)
    piece = b"0123456789"
    tracemalloc.start()
    try:
        for number in range(100_000):
            backlog.put("a", bytes(piece), AT + timedelta(microseconds=number))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 3 * len(piece) * 100_000


def test_pieces_that_were_put_together_are_as_old_as_the_first() -> None:
    backlog: Backlog[str] = Backlog(1000)
    backlog.put("a", b"one", AT)
    backlog.put("a", b"two", AT + timedelta(seconds=5))
    batch = backlog.take()
    assert batch is not None
    assert (batch.data, batch.at) == (b"onetwo", AT)


def test_all_streams_together_have_a_limit_which_binds_those_above_their_share() -> None:
    backlog: Backlog[int] = Backlog(100)
    took = [backlog.put(number, b"x" * 60, AT) for number in range(9)]
    assert took == [True] * 6 + [False] * 3  # four streams' worth is reached by the seventh
    assert backlog.put(9, b"x" * 10, AT)  # a tenth is well below its share of that


def test_who_was_told_to_stop_may_go_on_once_there_is_room() -> None:
    backlog: Backlog[int] = Backlog(100)
    for number in range(6):
        assert backlog.put(number, b"x" * 60, AT)
    assert not backlog.put(6, b"x" * 60, AT)
    relieved = {}
    for _ in range(7):
        batch = backlog.take()
        assert batch is not None
        relieved[batch.key] = backlog.stored(batch)
    assert relieved == {number: number == 6 for number in range(7)}


def test_a_stream_at_its_own_limit_goes_on_below_it() -> None:
    backlog: Backlog[str] = Backlog(3 << 20)
    assert not backlog.put("a", b"x" * (3 << 20), AT)
    backlog.put("b", b"y", AT)
    batch = backlog.take()
    assert batch is not None
    assert backlog.stored(batch)
    assert backlog.put("b", b"y", AT)
