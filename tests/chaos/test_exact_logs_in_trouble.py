"""Logs where the disk is slower than the container, and where nothing is said for long (invariants I5, I7)."""

import hashlib
import selectors
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_proxy import PATIENCE

from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.engines.docker.streams import SocketStream
from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, TRY_KIND, ContainerId, DeploymentId, TaskKey, TryKey
from orchestrator.ports import LogFlag, Stream
from orchestrator.scheduler.demux import Demultiplexer
from orchestrator.scheduler.pump import BACKLOG_LIMIT, LogPump
from orchestrator.spec.container import ContainerSpec, EngineEventKind
from orchestrator.tasklogs.store import FileLogStore
from orchestrator.tasklogs.writer import FileLogWriter

pytestmark = pytest.mark.engine

KEY = TryKey(TaskKey("dag", "run", "task"), 1)


class Still(FileLogStore):
    """Opens no log to write before it is told to, as a disk does that stalls."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.free = threading.Event()

    def writer(self, key: TryKey) -> FileLogWriter:
        assert self.free.wait(PATIENCE)
        return super().writer(key)


@pytest.fixture
def container(
    docker_engine: DockerEngine, engine_deployment: DeploymentId, base_image: str
) -> Iterator[ContainerId]:
    """One that writes more than a backlog holds, line by line."""
    made = docker_engine.create(
        ContainerSpec(
            name=f"orc-{engine_deployment}-much",
            image=base_image,
            image_name=base_image,
            command=("sh", "-c", f"yes ü$(head -c 8000 /dev/zero | tr '\\0' x) | head -c {BACKLOG_LIMIT * 5 // 4}"),
            labels={DEPLOYMENT_LABEL: engine_deployment, KIND_LABEL: TRY_KIND},
            network="none",
        )
    )
    yield made
    docker_engine.remove(made, force=True)


def test_beyond_the_backlog_the_container_runs_on_and_its_log_is_read_back(
    docker_engine: DockerEngine, container: ContainerId, tmp_path: Path
) -> None:
    logs = Still(tmp_path)
    pump = LogPump(logs, SystemClock(), lambda _: None)
    pump.start()
    witness = docker_engine.attach_logs(container)
    pump.attach(KEY, docker_engine.attach_logs(container))
    docker_engine.start(container)
    written = _sum(_read(witness))  # to its end: nobody held the container up
    logs.free.set()
    assert pump.finish(KEY, docker_engine, container)
    pump.stop()
    records = [each for each in logs.records(KEY) if LogFlag.SYSTEM not in each.flags]
    assert _sum(each.data for each in records) == written
    assert any(LogFlag.READ_BACK in each.flags for each in records)


def test_no_stream_has_a_time_out(
    engine_address: Address, container: ContainerId, engine_deployment: DeploymentId
) -> None:
    """Neither of ours nor of the kernel's: a call may take so long, silence as long as it likes."""
    engine = DockerEngine(lambda: engine_address, SystemClock(), timeout=60)
    for stream in (engine.attach_logs(container), engine.follow_logs(container)):
        _waits_for_ever(stream._sock, waited_for_by=0.0)
        stream.close()
    events = engine.events(engine_deployment)
    assert next(events).kind is EngineEventKind.CONNECTED
    (listening,) = engine._events._open
    _waits_for_ever(listening, waited_for_by=None)
    engine.close()
    assert list(events) == []


def _waits_for_ever(sock: socket.socket, *, waited_for_by: float | None) -> None:
    """0.0: its reader never waits in it, but with `selectors`."""
    assert sock.gettimeout() == waited_for_by
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        assert not any(sock.getsockopt(socket.SOL_SOCKET, option, 16))


def _read(stream: SocketStream) -> Iterator[bytes]:
    """What a container writes to its stdout, to its end."""
    demux = Demultiplexer(tty=False)
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while (chunk := stream.recv()) != b"":
            if chunk is None:
                assert selector.select(PATIENCE)
            else:
                yield from (data for of, data in demux.feed(chunk) if of is Stream.STDOUT)
    stream.close()


def _sum(chunks: Iterator[bytes]) -> str:
    total = hashlib.sha256()
    for chunk in chunks:
        total.update(chunk)
    return total.hexdigest()
