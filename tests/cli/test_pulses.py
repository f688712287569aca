"""The pipe between a child that tells of its progress and the parent that ends one that stands still."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from orchestrator.app import App
from orchestrator.cli.scheduler import _begin_anew
from orchestrator.clock import SystemClock
from orchestrator.pulses import HEARTBEAT, Pulse, PulseWatch, is_pipe, start_watched
from orchestrator.supervisor import Supervisor

_SOON = 60


class Steps(SystemClock):
    """A clock on which each wait of the watch takes as long as the test says, and the last of these ever after."""

    def __init__(self, *waits: float) -> None:
        self._waits = list(waits)
        self._passed = 0.0
        self._within = False

    def monotonic(self) -> float:
        if self._within:
            self._passed += self._waits.pop(0) if len(self._waits) > 1 else self._waits[0]
        self._within = not self._within
        return self._passed

    @property
    def passed(self) -> float:
        return self._passed


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ours, theirs = os.pipe()
    yield ours, theirs
    for each in (ours, theirs):
        try:
            os.close(each)
        except OSError:
            continue


def watch(pipe: tuple[int, int], clock: SystemClock) -> PulseWatch:
    """A watch whose waits take no real time."""
    return PulseWatch(pipe[0], clock, seconds=0.001)


def test_silence_for_as_long_as_the_child_said_is_a_stall(pipe: tuple[int, int]) -> None:
    clock = Steps(0.9)
    assert Pulse(pipe[1], 10)()
    assert watch(pipe, clock).stall() == 10
    assert 10 <= clock.passed <= 12


def test_one_that_has_said_nothing_yet_is_left_alone(pipe: tuple[int, int]) -> None:
    clock = Steps(0.9)
    assert watch(pipe, clock).stall(ended=lambda: clock.passed > 1000) is None


def test_one_that_says_it_may_be_silent_for_ever_is_left_alone(pipe: tuple[int, int]) -> None:
    clock = Steps(0.9)
    Pulse(pipe[1], 0)()
    assert watch(pipe, clock).stall(ended=lambda: clock.passed > 1000) is None


def test_while_it_speaks_there_is_no_stall(pipe: tuple[int, int]) -> None:
    clock, pulse = Steps(4.0), Pulse(pipe[1], 10)

    def ended() -> bool:
        pulse()
        return clock.passed > 1000

    assert watch(pipe, clock).stall(ended) is None


def test_a_parent_that_stood_still_itself_gives_the_child_all_its_time_anew(pipe: tuple[int, int]) -> None:
    """A machine that slept, or where both were stopped: silence while nobody could speak is none."""
    clock = Steps(0.9, *[0.9] * 9, 3600.0, 0.9)
    Pulse(pipe[1], 10)()
    assert watch(pipe, clock).stall() == 10
    assert clock.passed >= 10 * 0.9 + 3600 + 10


def test_a_parent_that_is_always_late_ends_nobody(pipe: tuple[int, int]) -> None:
    clock = Steps(2.5)
    Pulse(pipe[1], 10)()
    assert watch(pipe, clock).stall(ended=lambda: clock.passed > 1000) is None


def test_a_child_that_closes_its_end_has_not_stalled(pipe: tuple[int, int]) -> None:
    Pulse(pipe[1], 10)()
    os.close(pipe[1])
    assert watch(pipe, Steps(0.9)).stall() is None


def test_a_parent_that_does_not_read_holds_nobody_up_and_one_that_is_gone_is_noticed(pipe: tuple[int, int]) -> None:
    pulse = Pulse(pipe[1], 10)
    assert all(pulse() for _ in range(100_000))
    os.close(pipe[0])
    assert not pulse()


def test_what_is_no_pipe_is_not_taken_for_one(tmp_path: Path, pipe: tuple[int, int]) -> None:
    with (tmp_path / "file").open("w") as file:
        assert not is_pipe(file.fileno())
        number = os.dup(file.fileno())
    os.close(number)
    assert not is_pipe(number)
    assert is_pipe(pipe[1])


def test_who_begins_anew_is_left_alone_until_it_says_a_first_word(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = pipe
    Pulse(writer, 10)()
    begun: list[bytes] = []

    def begins(*_command: object) -> None:
        assert os.get_inheritable(writer)
        begun.append(os.read(reader, 64))
        raise InterruptedError

    monkeypatch.setattr(os, "execv", begins)
    with pytest.raises(InterruptedError):
        _begin_anew(cast("App", SimpleNamespace(project=SimpleNamespace(nursery=None, heartbeat=writer))))
    assert begun == [b"10\n0\n"]


# --- real processes -------------------------------------------------------------------------------------------

_BEATS_AND_STOPS = f"""
import os, sys
fd = int(os.environ["{HEARTBEAT}"])
with open(sys.argv[1], "a") as lives:
    lives.write("x")
os.write(fd, b"0.3\\n")
"""


def _lives(tmp_path: Path, then: str) -> tuple[Supervisor, list[str], Path]:
    """A supervisor of children that beat once and then do something else."""
    said: list[str] = []
    lives = tmp_path / "lives"
    command = [sys.executable, "-c", _BEATS_AND_STOPS + then, str(lives)]
    holder: list[Supervisor] = []

    def say(text: str) -> None:
        said.append(text)
        if "is started again" in text and len(lives.read_text()) == 2:
            holder[0].stop()

    holder.append(Supervisor(command, SystemClock(), say))
    return holder[0], said, lives


@pytest.mark.parametrize(
    "then",
    ["import threading; threading.Event().wait()", "import signal; os.kill(os.getpid(), signal.SIGSTOP)"],
    ids=["hangs", "stopped"],
)
def test_a_child_that_stands_still_is_ended_by_force_and_started_again(tmp_path: Path, then: str) -> None:
    supervisor, said, lives = _lives(tmp_path, then)
    thread = threading.Thread(target=supervisor.run, daemon=True)
    thread.start()
    thread.join(_SOON)
    assert not thread.is_alive()
    assert len(lives.read_text()) == 2
    assert said == [
        "the scheduler made no progress for 0.3 s and is ended by force",
        "the scheduler ended with signal 9; it is started again in 0.5 s",
        "the scheduler made no progress for 0.3 s and is ended by force",
        "the scheduler ended with signal 9; it is started again in 1 s",
    ]


def test_the_pipe_ends_with_the_child_though_its_own_children_live(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    script = (
        "import os, subprocess, sys\n"
        "from orchestrator.pulses import Pulse\n"
        f"Pulse(int(os.environ['{HEARTBEAT}']), 3600)()\n"
        f"subprocess.Popen(['sh', '-c', 'read x < {fifo}'])\n"
    )
    child, watched = start_watched([sys.executable, "-c", script], SystemClock(), environment=os.environ)
    ended: list[float | None] = []
    thread = threading.Thread(target=lambda: ended.append(watched.stall()), daemon=True)
    thread.start()
    thread.join(_SOON)
    fifo.open("w").close()  # the grandchild ends
    assert ended == [None]
    assert child.wait() == 0
    watched.close()


def test_a_command_that_cannot_be_started_leaves_no_pipe_open(tmp_path: Path) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(FileNotFoundError):
        start_watched([str(tmp_path / "none")], SystemClock(), environment=os.environ)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_the_first_process_of_a_container_ends_a_command_that_stands_still(tmp_path: Path) -> None:
    """Of the entrypoint, with a command of the test's own in the place of ours."""
    script = (
        "import os, sys\n"
        "from orchestrator import entrypoint\n"
        f"entrypoint._PYTHON = (sys.executable, '-c', {_BEATS_AND_STOPS + 'import signal; signal.pause()'!r})\n"
        "command = entrypoint._Command()\n"
        "sys.exit(command.run([], None))\n"
    )
    environment = {**os.environ, "ORCHESTRATOR_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,  # the child's first argument, our command's name, is a file there
        env=environment,
        capture_output=True,
        text=True,
        timeout=_SOON,
        check=False,
    )
    assert done.returncode == 128 + signal.SIGKILL, done.stderr
    assert "made no progress for 0.3 s" in done.stderr
