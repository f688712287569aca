"""Logs where the disk is slower than the container, and where nothing is said for long (invariants I5, I7)."""

import hashlib
import selectors
import socket
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from engine_proxy import PATIENCE
from engine_record import STARTED
from output_streams import wait_output
from own_engine import OwnEngine
from stage import Stage

from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.engines.docker.streams import SocketStream
from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, TRY_KIND, ContainerId, DeploymentId, TaskKey, TryKey
from orchestrator.ports import LogFlag, Stream
from orchestrator.queries import RunView
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


@pytest.mark.long
def test_what_an_engine_still_has_after_a_crash_is_in_the_log(
    tmp_path: Path, own_engine: OwnEngine, base_image: str
) -> None:
    """It was killed under a writer that ran on: lines that it lost and we had cost none of those that follow. That
    it loses some is left to no chance."""
    own_engine.stop()
    own_engine.start(live_restore=True)
    stage = Stage(
        tmp_path,
        "loud",
        "loud.py",
        own_engine.address,
        base_image,
        proxied=False,
        breaks=True,
        given={"loud.json": '{"killed": true}'},
        settings={"ORCHESTRATOR_SECRET_TOKEN": "correct horse battery"},
    )
    with stage:
        stage.begin()
        busy, late = (stage.record.wait(STARTED, task_id) for task_id in ("busy", "late"))
        wait_output(stage.engine, busy, b"out 3000 ")
        own_engine.kill()
        SystemClock().wait(threading.Event(), 2)  # what belongs to it ends as well
        _lose(own_engine.log_of(busy), 50)
        own_engine.start(live_restore=True)
        before = max(_kept(stage.engine, busy))
        stage.open_gate(late, 1)
        stage.wait_view(lambda view: any(number > before for number in _stored(stage, view)))
        wait_output(stage.engine, busy, b"out %d " % (before + 3000))
        kept = _kept(stage.engine, busy)
        stage.engine.signal(busy, "USR1")
        stored = _stored(stage, stage.wait_end())
        assert stored == sorted(set(stored))
        assert set(stored) - set(kept)
        assert set(kept) <= set(stored)


def _lose(log: Path, lines: int) -> None:
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-lines]))


def _kept(engine: DockerEngine, container: ContainerId) -> list[int]:
    """The lines that the engine has."""
    demux = Demultiplexer(tty=False)
    chunks = (demux.feed(chunk) for chunk in engine.read_logs(container))
    return _numbers(data for stretches in chunks for stream, data in stretches if stream is Stream.STDOUT)


def _stored(stage: Stage, view: RunView) -> list[int]:
    tries = [attempt for attempt in view.tries if attempt.key.task.task_id == "busy"]
    return _numbers([stage.log(tries[0].key)[Stream.STDOUT]]) if tries else []


def _numbers(chunks: Iterable[bytes]) -> list[int]:
    """Of the complete lines that `busy` wrote."""
    lines = b"".join(chunks).split(b"\n")[:-1]
    return [int(line.split()[1]) for line in lines if line.startswith(b"out ")]


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
