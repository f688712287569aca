"""The parent that keeps one child alive, with children that do as they are told."""

import os
import subprocess
import sys
import threading
from pathlib import Path

from orchestrator.clock import SystemClock
from orchestrator.supervisor import FIRST_DELAY, HOPELESS, LONGEST_DELAY, Supervisor, scheduler_command


class QuickClock(SystemClock):
    """A clock on which waits take no time; it notes what was waited for."""

    def __init__(self, lives: int, supervisor_stop: list[Supervisor]) -> None:
        self.waits: list[float] = []
        self._lives = lives
        self._stop = supervisor_stop

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        if len(self.waits) == self._lives:
            self._stop[0].stop()
        return event.is_set()


def supervised(script: str, lives: int = 1) -> tuple[Supervisor, QuickClock, list[str]]:
    """A supervisor that is told to stop after its child died so often."""
    said: list[str] = []
    holder: list[Supervisor] = []
    clock = QuickClock(lives, holder)
    holder.append(Supervisor([sys.executable, "-c", script], clock, said.append))
    return holder[0], clock, said


def test_a_child_that_dies_is_started_again_each_time_later() -> None:
    supervisor, clock, said = supervised("raise SystemExit(1)", lives=9)
    assert supervisor.run() == 0
    assert clock.waits[:3] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert max(clock.waits) == LONGEST_DELAY
    assert said[0] == "the scheduler ended with exit code 1; it is started again in 0.5 s"


def test_a_signal_is_told_as_one() -> None:
    supervisor, _, said = supervised("import os; os.kill(os.getpid(), 9)")
    supervisor.run()
    assert said[0].startswith("the scheduler ended with signal 9;")


def test_a_child_that_cannot_run_at_all_ends_the_parent_with_its_code() -> None:
    supervisor, clock, _ = supervised(f"raise SystemExit({HOPELESS})")
    assert supervisor.run() == HOPELESS
    assert clock.waits == []


def test_stop_ends_the_child_in_order(tmp_path: Path) -> None:
    fifo = tmp_path / "ready"
    os.mkfifo(fifo)
    supervisor, _, _ = supervised(
        "import signal, sys\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (open({str(tmp_path / 'ended')!r}, 'w'), sys.exit(0)))\n"
        f"open({str(fifo)!r}, 'w').close()\n"
        "signal.pause()\n"
    )
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(supervisor.run()))
    thread.start()
    fifo.open().close()  # the child listens now
    supervisor.stop()
    thread.join(30)
    assert codes == [0]
    assert (tmp_path / "ended").exists()


def test_a_supervisor_that_was_stopped_starts_nothing(tmp_path: Path) -> None:
    supervisor, _, _ = supervised(f"open({str(tmp_path / 'began')!r}, 'w')")
    supervisor.stop()
    assert supervisor.run() == 0
    assert not (tmp_path / "began").exists()


def test_it_loads_nothing_but_the_standard_library_and_our_clock() -> None:
    foreign = modules("import orchestrator.supervisor") - modules("pass") - set(sys.stdlib_module_names)
    assert foreign == {"orchestrator"}


def modules(statement: str) -> set[str]:
    """Top names of all that a fresh interpreter has loaded after a statement."""
    script = f"{statement}; import sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_no_module_is_taken_from_the_folder_the_user_stands_in(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise SystemExit('taken from the project')")
    *python, _, command = scheduler_command()
    done = subprocess.run([*python, "orchestrator", "version"], cwd=tmp_path, capture_output=True, check=False)
    assert command == "scheduler"
    assert done.returncode == 0
