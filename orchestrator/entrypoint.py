"""The command of the container image, and the first process in its containers: divides root's rights, then waits.

A container starts as root, because only root can give its processes different users. All that is done as root is
here: the home is closed to everybody but the scheduler's user, and the nursery of the authoring servers is started
(`orchestrator.dagfiles.nursery`) as a user who has no group, no variable and no way to the home or the engine. Then
this process becomes the scheduler's user, in the group of the engine's socket, and starts the command it was asked
for. As every first process of a container it hands signals on, and buries whoever is left an orphan; and it ends a
command that tells of its progress and stands still (`orchestrator.pulses`): the engine starts the container again.

`docker compose exec` comes in through here as well: no command of ours runs as root.
"""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from orchestrator.clock import SystemClock
from orchestrator.pulses import PulseWatch, start_watched
from orchestrator.settings import NURSERY

#: The user and group of everything but the authoring servers, and theirs.
OURS, AUTHORING = 10001, 10002
_SOCKET = "unix:///var/run/docker.sock"
#: Seconds within which a command and its nursery end together, and between two looks whether they do.
_TOGETHER, _LOOK = 2.0, 0.02
_PYTHON = (sys.executable, "-P", "-X", "utf8", "-m")


def main() -> None:
    """`python -m orchestrator.entrypoint ARGUMENTS`: the command `orchestrator ARGUMENTS`."""
    command = _Command()
    nursery = _divide_rights() if os.getuid() == 0 else None
    sys.exit(command.run(sys.argv[1:], nursery))


class _Nursery(NamedTuple):
    """A process, and our end of the socket at which it is asked for servers."""

    process: subprocess.Popen[bytes]
    control: int


def _divide_rights() -> _Nursery:
    """Needs root, and ends it."""
    _close_home()
    nursery = _start_nursery()
    os.setgroups(_socket_groups(os.environ.get("DOCKER_HOST", _SOCKET)))
    os.setresgid(OURS, OURS, OURS)
    os.setresuid(OURS, OURS, OURS)
    return nursery


def _close_home() -> None:
    """Ours, and nobody else may look into it: a bind mount may have been made by anybody."""
    home = Path(os.environ["ORCHESTRATOR_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    facts = home.stat()
    if stat.S_IMODE(facts.st_mode) != stat.S_IRWXU:
        home.chmod(stat.S_IRWXU)
    if (facts.st_uid, facts.st_gid) != (OURS, OURS):
        os.chown(home, OURS, OURS)


def _start_nursery() -> _Nursery:
    """What it has to say before it is ready goes into the container's log."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [*_PYTHON, "orchestrator.dagfiles.nursery", str(theirs.fileno())],
            user=AUTHORING,
            group=AUTHORING,
            extra_groups=(),
            env={},
            cwd="/",
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    return _Nursery(process, ours.detach())


def _socket_groups(engine: str) -> list[int]:
    """The group of the engine's socket, if it has one here."""
    address = urlsplit(engine)
    try:
        return [Path(address.path).stat().st_gid] if address.scheme == "unix" else []
    except OSError:
        return []


class _Command:
    """The command as a child; signals that come before it does are kept for it."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False
        signal.signal(signal.SIGTERM, lambda *_: self._stop())
        signal.signal(signal.SIGINT, lambda *_: None)  # a terminal tells all its processes by itself

    def run(self, arguments: Sequence[str], nursery: _Nursery | None) -> int:
        """The command's exit code, once it has ended. It is ended, and fails, if the nursery does."""
        handed_on = () if nursery is None else (nursery.control,)
        variables = {"HOME": os.environ["ORCHESTRATOR_HOME"]}
        if nursery is not None:
            variables[NURSERY] = str(nursery.control)
        self._child, watch = start_watched(
            [*_PYTHON, "orchestrator", *arguments],
            SystemClock(),
            environment=os.environ | variables,
            pass_fds=handed_on,
        )
        for each in handed_on:
            os.close(each)  # the nursery ends with the last who may ask it
        if self._stopping:
            self._stop()
        threading.Thread(target=self._watch, args=(watch,), name="watch", daemon=True).start()
        lost = False
        while True:
            pid, status = os.wait()  # orphans too: there is nobody else to bury them
            if pid == self._child.pid:
                code = os.waitstatus_to_exitcode(status)
                return 128 - code if code < 0 else (code or int(lost))
            if nursery is not None and pid == nursery.process.pid and not self._ends_too(self._child.pid):
                lost = True
                self._stop()

    @staticmethod
    def _ends_too(child: int) -> bool:
        """Whether the command ends by itself: the nursery ends with it, and may be heard of first."""
        clock, never = SystemClock(), threading.Event()
        until = clock.monotonic() + _TOGETHER
        while clock.monotonic() < until:
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return True
            clock.wait(never, _LOOK)
        return False

    def _watch(self, watch: PulseWatch) -> None:
        stood_still = watch.stall()
        if stood_still is not None:
            sys.stderr.write(f"the command made no progress for {stood_still:g} s and is ended by force\n")
            sys.stderr.flush()
            self._signal(signal.SIGKILL)

    def _stop(self) -> None:
        self._stopping = True
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None:
            with suppress(ProcessLookupError):
                os.kill(self._child.pid, number)


if __name__ == "__main__":
    main()
