"""How the first process of a container tells how its command ended, beside a nursery that ends with it."""

import subprocess
import sys

import pytest

#: In the place of the command and of the nursery, which ends when the last who may ask it is gone: small programs.
_PLAY = """
import os, socket, subprocess, sys
from orchestrator import entrypoint

ours, theirs = socket.socketpair()
process = subprocess.Popen([sys.executable, "-c", {nursery!r}, str(theirs.fileno())], pass_fds=(theirs.fileno(),))
theirs.close()
os.environ["ORCHESTRATOR_HOME"] = "/"
entrypoint._PYTHON = (sys.executable, "-c", {command!r})
nursery = entrypoint._Nursery(process, ours.detach())
sys.exit(entrypoint._Command().run(["version"], nursery))
"""
_NURSERY = "import socket, sys; socket.socket(fileno=int(sys.argv[1])).recv(1)"
_LETS_GO_FIRST = """
import os, select, sys
os.close(int(os.environ["ORCHESTRATOR_NURSERY"]))
select.select([], [], [], 0.5)  # the nursery has ended long before this does
sys.exit({code})
"""
_GOES_ON = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
os.write(int(os.environ["ORCHESTRATOR_NURSERY"]), b"x")  # which ends the nursery
signal.pause()
"""


def ended(command: str) -> int:
    script = _PLAY.format(nursery=_NURSERY, command=command)
    return subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode


@pytest.mark.parametrize("code", [0, 3])
def test_a_command_that_ends_by_itself_is_told_as_it_ended(code: int) -> None:
    """The nursery ends when the command's descriptors are closed, and may be heard of first."""
    assert ended(_LETS_GO_FIRST.format(code=code)) == code


def test_a_command_whose_nursery_is_lost_is_ended_and_fails() -> None:
    assert ended(_GOES_ON) == 1
