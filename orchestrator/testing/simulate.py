"""`python -m orchestrator.testing.simulate --seeds 1000`: histories of the shipped scheduler, each drawn from a
number, and looked at after every step. `--seed K --trace` tells one of them. Needs the package `greenlet`.
"""

import argparse
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import process_time

from orchestrator.clock import SystemClock
from orchestrator.testing.simulation.history import History, make_template
from orchestrator.testing.simulation.invariants import Violation
from orchestrator.testing.simulation.machine import Connections
from orchestrator.testing.simulation.outages import Alone, Away, Told
from orchestrator.testing.simulation.planted import PLANTED, planted

#: A folder in memory, where there is one: what is simulated outlives processes, not the machine.
_MEMORY = Path("/dev/shm")  # noqa: S108 - a new folder is made in it


class Playground:
    """Where histories are played, one after the other, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template = make_template(folder / "template")
        self._connections = Connections()

    def history(self, seed: int, *, trace: bool = False) -> History:
        """One that is ready to be played."""
        folder = self._folder / str(seed)
        return History(seed, self._template, folder, self._connections, say=_say if trace else None)

    def play(self, seed: int, *, trace: bool = False) -> str:
        """What was violated in this history; empty where nothing was."""
        return self.finish(self.history(seed, trace=trace), f"seed {seed}")

    def outage(self, away: Away, seconds: float, *, trace: bool = False) -> str:
        """What was violated because something was away."""
        history = History(
            int(seconds), self._template, self._folder / "outage", self._connections, say=_say if trace else None,
            told=lambda history: Alone(history, away, seconds), workload=Told(), kinds=frozenset(),
        )  # fmt: skip
        return self.finish(history, f"{away} away for {seconds:g} s")

    def finish(self, history: History, name: str) -> str:
        """Play a history to its end; what was violated in it."""
        try:
            history.play()
        except Violation as violation:
            return f"{name}: {violation} [{', '.join(sorted(history.kinds))}]"
        except Exception:  # noqa: BLE001 - a defect of the simulation itself: told like what it looks for
            return f"{name}: the simulation broke: {traceback.format_exc()}"
        finally:
            shutil.rmtree(history.folder)
        return ""


@contextmanager
def playground() -> Iterator[Playground]:
    """In a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        yield Playground(Path(folder))


def main() -> int:
    """The command; returns its exit code: 1 where something was violated."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.testing.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="how many histories")
    parser.add_argument("--seed", type=int, default=0, help="the number of the first")
    parser.add_argument("--trace", action="store_true", help="tell what happens in each")
    bug = "play with this bug, until it is found"
    parser.add_argument("--planted", choices=sorted(PLANTED), action="append", help=bug)
    outage = f"one of {', '.join(Away)} is away in the midst of a run, for each of so many seconds"
    parser.add_argument("--outage", nargs="+", metavar=("WHAT", "SECONDS"), help=outage)
    options = parser.parse_args()
    if options.outage:
        try:
            away, lengths = Away(options.outage[0]), [float(each) for each in options.outage[1:]]
        except ValueError as error:
            parser.error(f"--outage: {error}")
        return _outages(away, lengths, trace=options.trace)
    if options.planted:
        return _find(options.planted, options.seed, options.seeds)
    clock = SystemClock()
    began, worked = clock.monotonic(), process_time()
    found = 0
    with playground() as ground:
        for seed in range(options.seed, options.seed + options.seeds):
            violation = ground.play(seed, trace=options.trace)
            if violation:
                found += 1
                _say(violation)
    took, worked = clock.monotonic() - began, process_time() - worked
    played = max(options.seeds, 1)
    each = f"{took / played:.3f} s each, {worked / played:.3f} s of it at work"
    _say(f"{options.seeds} histories, {found} with a violation; {took:.1f} s, {each}")
    return 1 if found else 0


def _outages(away: Away, lengths: list[float], *, trace: bool) -> int:
    found = 0
    with playground() as ground:
        for seconds in lengths:
            violation = ground.outage(away, seconds, trace=trace)
            found += bool(violation)
            _say(violation or f"{away} was away for {seconds:g} s: nothing ran again, no retry was spent")
    return 1 if found else 0


def _find(bugs: list[str], first: int, seeds: int) -> int:
    """Play with each of these bugs until something is violated: the seed that is known to show it, then `seeds`
    others. 1 where one is not found."""
    missed = 0
    with playground() as ground:
        for name in bugs:
            with planted(PLANTED[name]):
                tried = enumerate((PLANTED[name].seed, *range(first, first + seeds)), 1)
                found = next(((count, text) for count, seed in tried if (text := ground.play(seed))), None)
            missed += found is None
            _say(f"{name}: {'not found' if found is None else f'history {found[0]}, {found[1]}'}")
    return 1 if missed else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def same_every_time() -> None:
    """Words are hashed the same in each process that plays a seed: this one begins anew where they are not."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - itself


if __name__ == "__main__":
    same_every_time()
    sys.exit(main())
