"""Followers that read nothing cost bounded memory, however many they are (invariant I14)."""

import contextlib
import socket
from pathlib import Path

import msgspec
import pytest
from scheduler_stage import SOON

from orchestrator.ids import TaskKey, TryKey
from orchestrator.scheduler import local_socket
from orchestrator.scheduler.local_socket import Following, Hello, LocalSocket
from orchestrator.scheduler.notices import LogGrew

NOTICE = LogGrew(key=TryKey(TaskKey("d", "r" * 900, "t"), 1))


def test_many_that_read_nothing_are_cut_off_before_each_reaches_its_own_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_socket, "_BACKLOGS", 20_000)
    served = LocalSocket(tmp_path / "run" / "s.sock")
    served.start(lambda: None, lambda _question, _answer: None)
    with contextlib.ExitStack() as stack:
        stack.callback(served.close)
        stuck = [stack.enter_context(_follower(tmp_path / "run" / "s.sock")) for _ in range(5)]
        quick = stack.enter_context(Following(tmp_path / "run" / "s.sock"))
        heard = quick.notices()
        for _ in range(2000):
            served.publish(NOTICE)
            assert next(heard) == NOTICE
        assert [_is_cut_off(each) for each in stuck] == [True] * 5


def _follower(path: Path) -> socket.socket:
    """One that follows, and reads nothing from then on."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(SOON)
    connection.connect(str(path))
    hello = msgspec.msgpack.encode(Hello(wants="follow"))
    connection.sendall(len(hello).to_bytes(4, "big") + hello)
    assert connection.recv(5)
    return connection


def _is_cut_off(connection: socket.socket) -> bool:
    """Whether what was sent to it ends before the last notice; by an end, not by a wait."""
    size = 0
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(1 << 16):
            size += len(data)
    return size < 2000 * 900
