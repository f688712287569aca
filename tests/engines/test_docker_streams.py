"""The stream of a container's output: an end is one, and a connection that broke is none."""

import selectors
import socket
import struct
from collections.abc import Iterator

import pytest

from orchestrator.engines.docker.streams import SocketStream
from orchestrator.errors import EngineUnavailableError

SOON = 20.0


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, SocketStream]]:
    """The engine's end of a connection over TCP, and ours."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname(), SOON)
        theirs, _ = listener.accept()
    stream = SocketStream(ours, tty=False)
    with theirs:
        yield theirs, stream
    stream.close()


def received(stream: SocketStream) -> bytes | None:
    """What comes next, once something has."""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        assert selector.select(SOON)
    return stream.recv()


def test_where_nothing_is_there_yet_it_says_so(ends: tuple[socket.socket, SocketStream]) -> None:
    assert ends[1].recv() is None


def test_an_end_in_good_order_is_an_end(ends: tuple[socket.socket, SocketStream]) -> None:
    theirs, stream = ends
    theirs.sendall(b"all")
    assert received(stream) == b"all"
    theirs.close()
    assert received(stream) == b""


def test_a_connection_that_was_reset_is_not_taken_for_an_end(ends: tuple[socket.socket, SocketStream]) -> None:
    theirs, stream = ends
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    with pytest.raises(EngineUnavailableError, match="broke"):
        received(stream)


def test_one_that_we_closed_has_ended(ends: tuple[socket.socket, SocketStream]) -> None:
    _, stream = ends
    stream.close()
    assert stream.recv() == b""
