"""The authoring server: a process of its own with an empty environment, which has everything imported that
parsing and rendering need, and forks a child for each request. It never runs a line of a user's code itself.

Over its one socket comes a byte for each request with two descriptors: the conversation, which is the child's
from then on, and a report. Into the report go the child's own traceback, if it runs over its time, and, when it
is gone, the words of its end. Who closes the other end of the report wants the child gone.
"""

import gc
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from typing import NoReturn

from orchestrator.dagfiles import worker
from orchestrator.dagfiles.warmth import warm_up

#: What the server says once it is ready.
READY = b"\x01"
#: What ends a report: the wait status of the child.
ENDED = "\nended with status "


class Server:
    """Forks, buries, and kills on demand; ends with its parent."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._reports: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = socket.socketpair()  # both kept: a closed end wakes for ever
        for end in (self._wake_reader, self._wake_writer):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        self._selector.register(control, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake_reader, selectors.EVENT_READ, self._bury)
        self._alive = True

    def serve(self) -> None:
        """Until the parent closes its end, or is gone."""
        while self._alive:
            for key, _ in self._selector.select():
                key.data(key.fileobj)
        for child in self._reports:
            _kill(child)

    def _accept(self, _: socket.socket) -> None:
        request, descriptors, *_rest = socket.recv_fds(self._control, 1, 2)
        if not request:
            self._alive = False
            return
        talk, report_fd = descriptors
        try:
            child = os.fork()
        except OSError:  # no room for one more process: the client sees the conversation end, and asks again
            os.close(talk)
            os.close(report_fd)
            return
        if child == 0:
            worker.run(talk, report_fd)
        os.close(talk)
        report = socket.socket(fileno=report_fd)
        report.set_inheritable(False)
        report.setblocking(False)
        self._reports[child] = report
        self._selector.register(report, selectors.EVENT_READ, lambda _: self._hung_up(child, report))

    def _hung_up(self, child: int, report: socket.socket) -> None:
        if self._reports.get(child) is report:  # else it was buried in this same turn
            self._selector.unregister(report)
            _kill(child)

    def _bury(self, wake: socket.socket) -> None:
        with suppress(BlockingIOError):
            wake.recv(4096)
        for child in tuple(self._reports):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                self._report_end(child, status)

    def _report_end(self, child: int, status: int) -> None:
        _kill_group(child)  # what it may have left behind
        report = self._reports.pop(child)
        with suppress(KeyError):
            self._selector.unregister(report)
        with suppress(OSError):
            report.send(f"{ENDED}{os.waitstatus_to_exitcode(status)}\n".encode())
        report.close()


def _kill(child: int) -> None:
    _kill_group(child)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


def _kill_group(child: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)


def main() -> NoReturn:
    """`python -m orchestrator.dagfiles.server FD`"""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    server = Server(control)
    warm_up()
    gc.collect()
    gc.freeze()
    os.dup2(1, 2)  # whose other end nobody reads from now on; stdout is nowhere
    control.sendall(READY)
    server.serve()
    sys.exit(0)


if __name__ == "__main__":
    main()
