import queue
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from scripted_engine import Script, ScriptedEngine, answer

from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.engines.docker.events import FIRST_DELAY, LAST_DELAY
from orchestrator.ids import DeploymentId
from orchestrator.spec.container import EngineEventKind

DEPLOYMENT = DeploymentId("00000000")
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"


class HurriedClock:
    """Never waits, and remembers how long it was asked to."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        return event.is_set()


@pytest.fixture
def clock() -> HurriedClock:
    return HurriedClock()


class Bench:
    def __init__(self, folder: Path, clock: HurriedClock) -> None:
        self.folder, self.clock = folder, clock
        self.scripts: queue.SimpleQueue[Script] = queue.SimpleQueue()
        self.server = ScriptedEngine(folder, self.next_script)
        self.engine = DockerEngine(lambda: self.server.address, clock)

    def next_script(self, head: str, connection: socket.socket) -> bool:
        return self.scripts.get(timeout=10)(head, connection)


@pytest.fixture
def bench(tmp_path: Path, clock: HurriedClock) -> Iterator[Bench]:
    bench = Bench(tmp_path, clock)
    yield bench
    bench.engine.close()
    bench.server.close()


def line(container: str) -> bytes:
    told = {"Action": "die", "Actor": {"ID": container, "Attributes": {"exitCode": "0"}}, "timeNano": 1}
    return msgspec.json.encode(told) + b"\n"


def sends(*pieces: bytes) -> Script:
    def script(_: str, connection: socket.socket) -> bool:
        for piece in (HEAD, *pieces):
            connection.sendall(piece)
        return False

    return script


def test_a_lost_stream_is_told_and_made_again(bench: Bench) -> None:
    bench.scripts.put(sends(line("a")))
    bench.scripts.put(sends(line("b"), line("c")))
    stream = bench.engine.events(DEPLOYMENT)
    seen = [next(stream) for _ in range(6)]
    assert [(event.kind.value, event.container_id) for event in seen] == [
        ("connected", ""),
        ("die", "a"),
        ("disconnected", ""),
        ("connected", ""),
        ("die", "b"),
        ("die", "c"),
    ]
    assert "ended" in seen[2].detail


def test_the_engine_filters_for_us(bench: Bench) -> None:
    bench.scripts.put(sends())
    next(bench.engine.events(DEPLOYMENT))
    asked = bench.server.requests[-1]
    assert asked.startswith("GET /v1.41/events?filters=")
    for part in ("orchestrator.deployment%3D00000000", "die", "oom", "kill", "destroy", "start"):
        assert part in asked


def test_events_cut_anywhere_are_put_together(bench: Bench) -> None:
    text = line("a") + line("b")
    bench.scripts.put(sends(text[:10], text[10:-5], text[-5:]))
    stream = bench.engine.events(DEPLOYMENT)
    assert [next(stream).container_id for _ in range(3)] == ["", "a", "b"]


def test_an_outage_is_told_once_and_the_delays_grow(bench: Bench) -> None:
    def away(_: str, connection: socket.socket) -> bool:
        connection.sendall(answer({"message": "away"}, "503 Service Unavailable"))
        return False

    for _ in range(8):
        bench.scripts.put(away)
    bench.scripts.put(sends())
    stream = bench.engine.events(DEPLOYMENT)
    lost, back = next(stream), next(stream)
    assert (lost.kind, lost.detail) == (EngineEventKind.DISCONNECTED, "away")
    assert back.kind is EngineEventKind.CONNECTED
    assert bench.clock.waits[0] == FIRST_DELAY
    assert bench.clock.waits == sorted(bench.clock.waits)
    assert bench.clock.waits[-1] == LAST_DELAY
    assert len(bench.clock.waits) == 8


def test_close_wakes_a_thread_that_waits_for_events(bench: Bench) -> None:
    def silent(_: str, connection: socket.socket) -> bool:
        connection.sendall(HEAD)
        return bool(connection.recv(1))

    bench.scripts.put(silent)
    seen: queue.SimpleQueue[object] = queue.SimpleQueue()

    def listen() -> None:
        for event in bench.engine.events(DEPLOYMENT):
            seen.put(event.kind)
        seen.put("end")

    listener = threading.Thread(target=listen)
    listener.start()
    assert seen.get(timeout=10) is EngineEventKind.CONNECTED
    bench.engine.close()
    assert seen.get(timeout=10) == "end"
    listener.join(10)


def test_a_stream_that_is_given_up_leaves_no_socket_open(bench: Bench) -> None:
    bench.scripts.put(sends(line("a")))
    stream = bench.engine.events(DEPLOYMENT)
    next(stream)
    del stream  # a socket left open would warn here, and warnings fail
