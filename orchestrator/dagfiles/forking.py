"""A process that forks a child for each request: what the authoring server is, and the nursery it may come from.

Over its one socket comes a byte for each request with two descriptors: the conversation, which is the child's
from then on, and a report. Into the report go the child's own last words and, when it is gone, the words of its
end. Who closes the other end of the report wants the child gone.
"""

import os
import selectors
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

#: What ends a report: the wait status of the child.
ENDED = "\nended with status "


class Forker:
    """Forks, buries, and kills on demand; ends with its parent. `child` is what a fork does with the
    descriptors of its conversation and its report."""

    def __init__(self, control: socket.socket, child: Callable[[int, int], NoReturn]) -> None:
        self._control = control
        self._child = child
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
            self._child(talk, report_fd)
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
        with suppress(ChildProcessError):  # there is none at all
            while True:
                child, status = os.waitpid(-1, os.WNOHANG)
                if not child:
                    return
                if child in self._reports:
                    self._report_end(child, status)

    def _report_end(self, child: int, status: int) -> None:
        _kill_group(child)  # what it may have left behind
        report = self._reports.pop(child)
        with suppress(KeyError):
            self._selector.unregister(report)
        with suppress(OSError):
            report.send(f"{ENDED}{os.waitstatus_to_exitcode(status)}\n".encode())
        report.close()


def forget_parent() -> None:
    """What a fork does first: a session of its own, and nobody's signal handlers."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _kill(child: int) -> None:
    _kill_group(child)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


def _kill_group(child: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
