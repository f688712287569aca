"""The log pump on a real engine: what its attach, its followed log and its kept log really give."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.clock import SystemClock
from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, TRY_KIND, ContainerId, DeploymentId, TaskKey, TryKey
from orchestrator.ports import Engine, LogFlag, Stream
from orchestrator.scheduler.pump import LogPump
from orchestrator.spec.container import ContainerSpec
from orchestrator.tasklogs.store import FileLogStore
from orchestrator.tasklogs.writer import FileLogWriter

pytestmark = pytest.mark.engine

KEY = TryKey(TaskKey("dag", "run", "task"), 1)
SECONDS = 60.0

QUICK = r"""
seq 1 20000
printf 'raw \377\200 bytes\n' >&2
head -c 100000 /dev/zero | tr '\0' x
printf '\303'
"""
QUICK_OUT = b"".join(b"%d\n" % number for number in range(1, 20001)) + b"x" * 100_000 + b"\xc3"

#: Writes as fast as it can until it is told to stop; lines of one stream are cut by those of the other.
BUSY = r"""
trap 'run=' USR1
run=yes n=0
while [ $run ]; do
    n=$((n + 1))
    printf 'out %d \303\251 ' $n; echo "err $n" >&2; echo 'and on'
done
printf 'out ends here'
printf 'err ends here' >&2
"""


class Bench:
    """Containers of one deployment, and pumps over folders."""

    def __init__(self, engine: Engine, deployment: DeploymentId, image: str) -> None:
        self.engine = engine
        self._deployment = deployment
        self._image = image
        self.made: list[ContainerId] = []

    def create(self, script: str, *, tty: bool = False) -> ContainerId:
        spec = ContainerSpec(
            name=f"orc-{self._deployment}-{len(self.made)}",
            image=self._image,
            image_name=self._image,
            command=("sh", "-c", script),
            labels={DEPLOYMENT_LABEL: self._deployment, KIND_LABEL: TRY_KIND},
            network="none",
            tty=tty,
        )
        self.made.append(self.engine.create(spec))
        return self.made[-1]


@pytest.fixture
def bench(docker_engine: Engine, engine_deployment: DeploymentId, base_image: str) -> Iterator[Bench]:
    bench = Bench(docker_engine, engine_deployment, base_image)
    yield bench
    for container in bench.made:
        docker_engine.remove(container, force=True)


class Logs:
    """A folder of logs, and how much of the one in it is stored."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = FileLogStore(folder)
        self._grown = threading.Condition()

    def grown(self, _: TryKey) -> None:
        with self._grown:
            self._grown.notify_all()

    def wait_for(self, size: int) -> None:
        with self._grown:
            assert self._grown.wait_for(lambda: self.size() >= size, SECONDS)

    def size(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob("**/*.log"))

    def of(self, stream: Stream) -> bytes:
        records = self.store.records(KEY)
        return b"".join(each.data for each in records if each.stream is stream and not each.flags & LogFlag.SYSTEM)

    @contextmanager
    def pump(self) -> Iterator[LogPump]:
        pump = LogPump(self.store, SystemClock(), self.grown)
        pump.start()
        try:
            yield pump
        finally:
            pump.stop()


@pytest.mark.parametrize("tty", [False, True])
def test_what_is_attached_before_the_start_is_complete_and_exact(
    bench: Bench, tmp_path: Path, *, tty: bool
) -> None:
    logs = Logs(tmp_path)
    container = bench.create(QUICK, tty=tty)
    with logs.pump() as pump:
        pump.attach(KEY, bench.engine.attach_logs(container))
        bench.engine.start(container)
        assert pump.wait_end(KEY, SECONDS)
        assert pump.finish(KEY, bench.engine, container)
    if tty:
        head, raw, tail = logs.of(Stream.STDOUT).replace(b"\r\n", b"\n").partition(b"raw \xff\x80 bytes\n")
        assert raw
        assert head + tail == QUICK_OUT
    else:
        assert logs.of(Stream.STDOUT) == QUICK_OUT
        assert logs.of(Stream.STDERR) == b"raw \xff\x80 bytes\n"


def test_a_container_that_ended_unseen_is_read_back_to_its_last_byte(bench: Bench, tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    container = bench.create("seq 1 20000; printf 'no newline'; printf 'nor here' >&2")
    exited = bench.engine.attach_logs(container)
    bench.engine.start(container)
    with Logs(tmp_path / "reference").pump() as pump:
        pump.attach(KEY, exited)
        assert pump.wait_end(KEY, SECONDS)
    with logs.pump() as pump:
        assert pump.finish(KEY, bench.engine, container)
    assert logs.of(Stream.STDOUT) == QUICK_OUT[:-100_001] + b"no newline"
    assert logs.of(Stream.STDERR) == b"nor here"


def test_after_a_crash_in_the_middle_of_writing_another_pump_makes_the_same_log(
    bench: Bench, tmp_path: Path
) -> None:
    container = bench.create(BUSY)
    exact, adopted = Logs(tmp_path / "exact"), Logs(tmp_path / "adopted")
    with exact.pump() as first, adopted.pump() as second:
        first.attach(KEY, bench.engine.attach_logs(container))
        bench.engine.start(container)
        exact.wait_for(100_000)
        shutil.copytree(exact.folder, adopted.folder)  # what the disk holds if it is killed now
        at_crash = adopted.size()
        second.adopt(KEY, bench.engine, container)
        adopted.wait_for(at_crash + 100_000)
        bench.engine.signal(container, "USR1")
        assert first.finish(KEY, bench.engine, container)
        assert second.finish(KEY, bench.engine, container)
    for stream in Stream:
        assert exact.of(stream).endswith(b"ends here")
        assert adopted.of(stream) == exact.of(stream)


def test_while_nothing_can_be_stored_the_container_runs_on(bench: Bench, tmp_path: Path) -> None:
    """A container that writes more than the backlog, the sockets and the pipes hold, before a byte is stored."""
    logs = Logs(tmp_path)
    free = threading.Event()
    store = Stalled(tmp_path, free)
    pump = LogPump(store, SystemClock(), logs.grown, backlog_limit=1 << 17)
    pump.start()
    container = bench.create("seq 1 200000")
    witness = bench.engine.attach_logs(container)
    pump.attach(KEY, bench.engine.attach_logs(container))
    bench.engine.start(container)
    with Logs(tmp_path / "witness").pump() as other:
        other.attach(KEY, witness)
        assert other.wait_end(KEY, SECONDS)
    free.set()
    assert pump.finish(KEY, bench.engine, container)
    pump.stop()
    assert logs.of(Stream.STDOUT) == b"".join(b"%d\n" % number for number in range(1, 200_001))


class Stalled(FileLogStore):
    """Opens no log to write before it is told to."""

    def __init__(self, folder: Path, free: threading.Event) -> None:
        super().__init__(folder)
        self._free = free

    def writer(self, key: TryKey) -> FileLogWriter:
        assert self._free.wait(SECONDS)
        return super().writer(key)
