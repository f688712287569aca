"""What is stored of a log is what the container wrote, however much, of whatever bytes and in whatever pieces; and
the scheduler does not grow with it (invariants I7, I10, I14). On the real engine, with the real scheduler; each
container tells the hash of what its log has to hold."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from engine_record import STARTED
from output_streams import wait_output
from process_facts import ProcessFacts
from stage import Stage

from orchestrator.engines.docker.address import Address
from orchestrator.ids import ContainerId
from orchestrator.planning.rows import Try
from orchestrator.ports import LogFlag, Stream
from orchestrator.queries import RunView
from orchestrator.scheduler.pump import BACKLOG_LIMIT

pytestmark = pytest.mark.engine

_MIB = 1 << 20
#: Bytes that the scheduler may take more while it stores a log of any size.
_GROWTH = 50 * _MIB
_TOKEN = "correct horse/battery+staple"  # noqa: S105 - a test's own
#: The command line, with its greatest size on stderr at the end.
_TOLD = """
import atexit, resource, sys
from orchestrator.cli import main
atexit.register(lambda: sys.stderr.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}"))
main()
"""
_WRITERS = tuple(f"writer{number}" for number in range(8))
_OTHERS = ("long_lines", "not_text", "secrets", "progress", "both", "silent")
_QUICK = tuple(f"quick{number}" for number in range(4))


class Played(NamedTuple):
    """A run of all that is loud, and by how many bytes the scheduler grew while one large log was stored, and while
    eight were at one time."""

    stage: Stage
    ended: RunView
    grown: dict[str, int]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, engine_address: Address, base_image: str) -> Iterator[Played]:
    with _played(tmp_path_factory.mktemp("loud"), engine_address, base_image, size=64 * _MIB, silent=3) as played:
        yield played


@pytest.mark.parametrize("task_id", ["big", *_WRITERS, *_OTHERS])
def test_a_log_is_what_its_container_wrote(played: Played, task_id: str) -> None:
    _is_exact(played, task_id)


@pytest.mark.parametrize("task_id", _QUICK)
def test_a_container_that_ends_at_once_has_its_whole_log(played: Played, task_id: str) -> None:
    attempt = _attempt(played.ended, task_id)
    assert attempt.log_complete
    said = f"quick {task_id[-1]}".encode()
    assert played.stage.log(attempt.key) == {Stream.STDOUT: said, Stream.STDERR: b""}


@pytest.mark.skipif(sys.platform != "linux", reason="needs what Linux tells of a process's memory")
def test_no_log_makes_the_scheduler_grow(played: Played) -> None:
    """A disk that stalls in one of the two may fill its backlog, which has a limit of its own."""
    assert min(played.grown.values()) < _GROWTH, played.grown
    assert max(played.grown.values()) < _GROWTH + BACKLOG_LIMIT, played.grown


def test_what_was_attached_is_not_marked(played: Played) -> None:
    logs = played.stage.app.logs()
    assert {
        each.flags for task in ("big", *_OTHERS) for each in logs.records(_attempt(played.ended, task).key)
    } == {LogFlag.NONE}


def test_a_large_log_is_printed_without_being_held(played: Played) -> None:
    """Standard output is what the container wrote, and the command grows by less than the log's size."""
    small, _ = _printed(played.stage, "quick0")
    peak, said = _printed(played.stage, "big")
    assert said == played.ended.results["big"]["1"]["sha256"]
    assert peak - small < _GROWTH / 2


def _printed(stage: Stage, task_id: str) -> tuple[int, str]:
    """`tasks logs`: the most memory that it took, in bytes, and the hash of what it printed."""
    command = [sys.executable, "-c", _TOLD, "tasks", "logs", "loud", task_id]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    total = hashlib.sha256()
    with subprocess.Popen(command, cwd=stage._folder, env=stage._environment, **pipes) as process:
        while chunk := process.stdout.read(_MIB):
            total.update(chunk)
        kilobytes = process.stderr.read()
    assert process.returncode == 0, kilobytes
    return int(kilobytes) * 1024, total.hexdigest()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_gigabyte_and_twelve_minutes_of_silence(tmp_path: Path, engine_address: Address, base_image: str) -> None:
    with _played(tmp_path, engine_address, base_image, size=1024 * _MIB, silent=720) as played:
        print(f"grown by {played.grown}")  # noqa: T201 - a figure that is asked for
        for task_id in ("big", *_WRITERS, *_OTHERS):
            _is_exact(played, task_id)
        assert max(played.grown.values()) < _GROWTH, played.grown


@contextmanager
def _played(folder: Path, address: Address, image: str, *, size: int, silent: int) -> Iterator[Played]:
    with _stage(folder, address, image, killed=False, bytes=size, silent=silent) as stage:
        stage.begin()
        grown = {names[0]: _growth(stage, names) for names in (("big",), _WRITERS)}
        yield Played(stage, stage.wait_end(60.0 + silent), grown)


def _growth(stage: Stage, names: tuple[str, ...]) -> int:
    """Let these tasks write; how many bytes more than before the scheduler held at most."""
    for name in names:
        stage.wait_gate(stage.record.wait(STARTED, name), 1)
    process = ProcessFacts(stage.scheduler.pid)
    process.forget_peak()
    before = process.memory
    for name in names:
        stage.open_gate(stage.record.wait(STARTED, name), 1)
    stage.wait_view(lambda view: all(_is_collected(view, name) for name in names))
    return process.peak - before


# --- kills ----------------------------------------------------------------------------------------------


def test_killed_while_they_write_the_logs_go_on_where_they_were(
    tmp_path: Path, engine_address: Address, base_image: str
) -> None:
    with _stage(tmp_path, engine_address, base_image, killed=True) as stage:
        stage.begin()
        busy, late = (stage.record.wait(STARTED, task_id) for task_id in ("busy", "late"))
        stage.wait_gate(late, 1)
        stage.wait_view(lambda view: b"gate 1\n" in _stored(stage, view, "late"))
        for size in (_MIB, 2 * _MIB):
            _kill_once_stored(stage, busy, size)
            if size == _MIB:
                stage.open_gate(late, 1)
            stage.begin()
        stage.engine.signal(busy, "USR1")
        played = Played(stage, stage.wait_end(), {})
        _is_exact(played, "busy")
        _is_marked(stage, _attempt(played.ended, "late"))


def _kill_once_stored(stage: Stage, busy: ContainerId, size: int) -> None:
    """Kill it in the middle of writing, once so many bytes are stored; the container goes on for a while."""
    home = stage.runs.parents[1]
    view = stage.wait_view(lambda _: any(log.stat().st_size > size for log in home.glob("logs/*/*/busy/1.log")))
    stage.scheduler.kill()
    lines = _stored(stage, view, "busy").count(b"\n")
    wait_output(stage.engine, busy, b"out %d " % (lines + 3000))


def _is_marked(stage: Stage, attempt: Try) -> None:
    """What was read back is marked, and is what the engine keeps of bytes that are no text."""
    records = [each for each in stage.app.logs().records(attempt.key) if LogFlag.SYSTEM not in each.flags]
    attached = b"".join(each.data for each in records if LogFlag.READ_BACK not in each.flags)
    read_back = b"".join(each.data for each in records if LogFlag.READ_BACK in each.flags)
    assert attached == b"first \xff\ngate 1\n"
    assert read_back == "second \ufffd\nthird\n".encode()
    assert attempt.log_complete


# --- what all play --------------------------------------------------------------------------------------


def _stage(folder: Path, address: Address, image: str, **said: object) -> Stage:
    return Stage(
        folder,
        "loud",
        "loud.py",
        address,
        image,
        proxied=False,
        given={"loud.json": msgspec.json.encode(said).decode()},
        settings={"ORCHESTRATOR_SECRET_TOKEN": _TOKEN},
    )


def _is_exact(played: Played, task_id: str) -> None:
    """Its hashes are those that the container told, and it is known to be whole."""
    attempt = _attempt(played.ended, task_id)
    sums, sizes = {stream: hashlib.sha256() for stream in Stream}, dict.fromkeys(Stream, 0)
    for record in played.stage.app.logs().records(attempt.key):
        if LogFlag.SYSTEM not in record.flags:
            sums[record.stream].update(record.data)
            sizes[record.stream] += len(record.data)
    names = {Stream.STDOUT: "1", Stream.STDERR: "2"}
    kept = {names[stream]: {"sha256": sums[stream].hexdigest(), "size": sizes[stream]} for stream in Stream}
    assert kept == played.ended.results[task_id]
    assert attempt.log_complete


def _attempt(view: RunView, task_id: str) -> Try:
    """A task's only try."""
    (attempt,) = (each for each in view.tries if each.key.task.task_id == task_id)
    return attempt


def _is_collected(view: RunView, task_id: str) -> bool:
    return any(each.removed_at is not None for each in view.tries if each.key.task.task_id == task_id)


def _stored(stage: Stage, view: RunView, task_id: str) -> bytes:
    tries = [each for each in view.tries if each.key.task.task_id == task_id]
    return stage.log(tries[0].key)[Stream.STDOUT] if tries else b""
