"""Taking an engine's log frames apart, wherever the borders between chunks lie."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import LogStreamDamagedError
from orchestrator.ports import Stream
from orchestrator.scheduler.demux import Demultiplexer
from orchestrator.testing.fake_output import frame

frames = st.lists(st.tuples(st.sampled_from(Stream), st.binary(max_size=40)), max_size=10)
cuts = st.lists(st.integers(min_value=0, max_value=300), max_size=12)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    borders = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(borders)]


def demultiplexed(chunks: list[bytes], *, tty: bool = False) -> tuple[dict[Stream, bytes], Demultiplexer]:
    demux = Demultiplexer(tty=tty)
    content = dict.fromkeys(Stream, b"")
    for chunk in chunks:
        for stream, data in demux.feed(chunk):
            content[stream] += data
    return content, demux


@given(written=frames, cuts=cuts)
def test_each_stream_gets_its_bytes_wherever_the_chunks_are_cut(
    written: list[tuple[Stream, bytes]], cuts: list[int]
) -> None:
    raw = b"".join(frame(stream, data) for stream, data in written)
    content, demux = demultiplexed(pieces(raw, cuts))
    assert demux.at_border
    assert content == {each: b"".join(data for stream, data in written if stream is each) for each in Stream}


@given(written=frames)
def test_what_a_stream_sent_in_a_row_is_one_stretch_and_the_order_is_kept(
    written: list[tuple[Stream, bytes]],
) -> None:
    stretches = Demultiplexer(tty=False).feed(b"".join(frame(*each) for each in written))
    assert all(one[0] is not next_one[0] for one, next_one in itertools.pairwise(stretches))
    assert b"".join(data for _, data in stretches) == b"".join(data for _, data in written)


@given(cut=st.integers(min_value=1, max_value=11))
def test_a_stream_that_breaks_off_inside_a_frame_is_not_at_a_border(cut: int) -> None:
    _, demux = demultiplexed([frame(Stream.STDERR, b"abcd")[:cut]])
    assert not demux.at_border


@given(data=st.binary(max_size=60), cuts=cuts)
def test_with_a_tty_every_byte_is_stdout(data: bytes, cuts: list[int]) -> None:
    content, demux = demultiplexed(pieces(data, cuts), tty=True)
    assert content == {Stream.STDOUT: data, Stream.STDERR: b""}
    assert demux.at_border


def test_a_frame_of_an_unknown_stream_is_refused() -> None:
    with pytest.raises(LogStreamDamagedError, match="stream 72"):
        Demultiplexer(tty=False).feed(b"HTTP/1.1 200 OK")
