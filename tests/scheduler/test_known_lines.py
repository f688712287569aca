"""Known lines of a log that is read again: dropped, and no others, though the engine may have lost some of them."""

import itertools
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pump_stage import KEY, OUT, Scene

from orchestrator.ports import LogFlag, Stream
from orchestrator.scheduler.known_lines import END_BYTES, KnownLines

ERR = Stream.STDERR
cuts = st.lists(st.integers(min_value=0, max_value=300), max_size=12)
counts = st.integers(0, 40)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    borders = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(borders)]


def new_of(known: KnownLines, chunks: list[bytes]) -> bytes:
    return b"".join(known.feed(OUT, chunk) for chunk in chunks) + known.flush(OUT)


def numbered(first: int, count: int) -> list[bytes]:
    return [b"line %d\n" % number for number in range(first, first + count)]


@given(data=st.lists(st.sampled_from([b"a", b"\n", b"bc\n", b"\r"])).map(b"".join), cuts=cuts, known=counts)
def test_known_lines_are_dropped_and_nothing_else(data: bytes, cuts: list[int], known: int) -> None:
    lines = [line + b"\n" for line in data.split(b"\n")[:-1]][:known]
    skipping = KnownLines({OUT: len(lines)}, {OUT: b"".join(lines)[-END_BYTES:]})
    assert new_of(skipping, pieces(data, cuts)) == data[len(b"".join(lines)) :]
    assert not skipping.differs
    assert skipping.feed(ERR, data) == data


@given(
    before=st.integers(1, 40),
    lost=counts,
    since=counts,
    new=counts,
    begun=st.sampled_from([b"", b"beg"]),
    cuts=cuts,
)
def test_lines_that_the_engine_lost_cost_no_new_one(
    before: int, lost: int, since: int, new: int, begun: bytes, cuts: list[int]
) -> None:
    """Stored are lines from before its crash, those that it lost, and some that were read back since; where these
    are too few to be known by, they come again."""
    known, gone, later = numbered(0, before), numbered(100, lost), numbered(200, since)
    stored = known + gone + later
    wanted = b"".join(numbered(300, new)) + begun
    skipping = KnownLines({OUT: len(stored)}, {OUT: b"".join(stored)})
    again = b"".join(later) if lost and since < 3 else b""
    assert new_of(skipping, pieces(b"".join(known + later) + wanted, cuts)) == again + wanted
    assert skipping.differs == (lost > 0)


@pytest.mark.parametrize(
    ("stored", "kept"),
    [
        (b"no \xff text\n", "no \ufffd text\n".encode()),
        (b"\xff\n", "\ufffd\n".encode()),
        (b"user:***@host\n", b"user:correct horse@host\n"),
        (b"***:\xff \xfe!\n", "\ufffd\ufffd!\n".encode()),
    ],
)
def test_what_is_damaged_there_or_masked_here_is_the_same_line(stored: bytes, kept: bytes) -> None:
    known = KnownLines({OUT: 2}, {OUT: b"first\n" + stored})
    assert new_of(known, [b"first\n" + kept + b"new\n"]) == b"new\n"
    assert not known.differs


def test_of_many_lines_only_the_last_ones_are_looked_at() -> None:
    data = b"".join(numbered(0, 200_000))
    known = KnownLines({OUT: 200_000}, {OUT: data[-END_BYTES:]})
    assert new_of(known, [data, b"new\n"]) == b"new\n"
    assert not known.differs


def test_a_line_of_any_length_costs_bounded_memory() -> None:
    piece = b"x" * (1 << 20)
    known = KnownLines({OUT: 1}, {OUT: (piece + b"\n")[-END_BYTES:]})
    tracemalloc.start()
    try:
        assert new_of(known, [piece] * 64 + [b"\nnew"]) == b"new"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_a_log_goes_on_though_its_engine_has_lost_what_is_stored(tmp_path: Path) -> None:
    """It crashed while the container ran on; the index says so."""
    scene = Scene(tmp_path)
    with scene.pump() as pump:
        scene.launch(pump)
        scene.write([(OUT, line) for line in numbered(0, 20)])
        scene.wait_until_stored(b"line 19\n")
        pump.doubt()
        kept = scene.engine.container("box").kept.entries
        del kept[15:]
        scene.write([(OUT, line) for line in numbered(100, 3)])
        scene.engine.finish("box")
        assert scene.finish(pump)
    lines = scene.stored().splitlines(keepends=True)
    assert [line for line in numbered(100, 3) if line in lines] == numbered(100, 3)
    assert lines[:20] == numbered(0, 20)
    notes = [each for each in scene.logs.records(KEY) if LogFlag.SYSTEM in each.flags]
    assert any(LogFlag.TRUNCATED in each.flags and b"has lost lines" in each.data for each in notes)
