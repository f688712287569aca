"""Calls of the simulation, each in a process of its own: it replaces what threads are made of."""

import subprocess
import sys


def simulate(*arguments: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """What `python -m orchestrator.testing.simulate` says to these arguments."""
    command = [sys.executable, "-m", "orchestrator.testing.simulate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


def without_times(trace: str) -> list[str]:
    """All lines but the last, which tells what the playing took."""
    return trace.splitlines()[:-1]
