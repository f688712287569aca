"""How an authoring server comes to be: as a child of ours, or, where it has another user, out of the nursery."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from orchestrator.dagfiles.ends import End, read_end
from orchestrator.errors import AuthoringServerError

#: Seconds a server has to start, and to end in order.
START = 60.0
END = 5.0
MODULE = "orchestrator.dagfiles.server"


class Server(Protocol):
    """A server that was started. Who closes `control` wants it gone."""

    control: socket.socket

    def kill(self) -> None:
        """End it at once."""

    def wait(self) -> None:
        """Until it has ended, by itself or, after a while, by force."""

    def last_words(self) -> str:
        """End it, and tell what it said before it was ready."""


#: Starts one, not ready yet. `AuthoringServerError` where that cannot be.
Start = Callable[[], Server]


def starter(folder: Path, nursery: int | None) -> Start:
    """Servers from the nursery behind this descriptor, or else children of ours in `folder`."""
    if nursery is None:
        return lambda: Child(folder)
    os.set_inheritable(nursery, False)
    return lambda: Ward(nursery)


def command(control: int) -> list[str]:
    """What starts a server whose control is this descriptor."""
    return [sys.executable, "-P", "-X", "utf8", "-m", MODULE, str(control)]


def await_ready(server: Server) -> None:
    """`AuthoringServerError` with its last words where it does not get ready; it is ended then."""
    server.control.settimeout(START)
    try:
        ready = server.control.recv(1)
    except OSError:
        ready = b""
    server.control.settimeout(None)
    if ready:
        return
    words = server.last_words().strip().rpartition("\n")[2]
    server.control.close()
    raise AuthoringServerError(
        f"the authoring server does not start: {words or 'no word from it'}",
        fix=f"see what `{' '.join(command(0))}` says",
    )


class Child:
    """A server as a child of this process, of the same user."""

    def __init__(self, folder: Path) -> None:
        self.control, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                command(theirs.fileno()),
                env={},
                cwd=folder,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )

    def kill(self) -> None:
        self.process.kill()

    def wait(self) -> None:
        with self.process.stderr or contextlib.nullcontext():
            try:
                self.process.wait(END)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def last_words(self) -> str:
        self.process.kill()
        _, written = self.process.communicate()
        return written.decode(errors="replace")


class Ward:
    """A server out of the nursery at the other end of descriptor `nursery`; the nursery kills it for us."""

    def __init__(self, nursery: int) -> None:
        self.control, theirs = socket.socketpair()
        self._report, report_theirs = socket.socketpair()
        with theirs, report_theirs, socket.socket(fileno=os.dup(nursery)) as asked:
            try:
                socket.send_fds(asked, [b"s"], [theirs.fileno(), report_theirs.fileno()])
            except OSError as error:
                self.control.close()
                self._report.close()
                raise AuthoringServerError(
                    f"the authoring servers' nursery is gone: {error}", fix="start the scheduler's container again"
                ) from error

    def kill(self) -> None:
        with contextlib.suppress(OSError):  # it has ended
            self._report.shutdown(socket.SHUT_WR)

    def wait(self) -> None:
        self._end(END)

    def last_words(self) -> str:
        self.kill()
        end = self._end(END)
        return end.report if end is not None else ""

    def _end(self, seconds: float) -> End | None:
        with self._report:
            end = read_end(self._report, seconds, overdue=False)
            if end is None:
                self.kill()
                end = read_end(self._report, seconds, overdue=True)
            return end
