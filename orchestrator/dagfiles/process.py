"""The scheduler's hold on the authoring server: starts it, gives it requests, starts it again when it died."""

import contextlib
import socket
import threading
from collections.abc import Callable

from orchestrator.clock import Clock
from orchestrator.dagfiles.ends import End, read_end
from orchestrator.dagfiles.servers import Server, Start, await_ready
from orchestrator.dagfiles.wire import Answer, Ask, Channel, Task, Told
from orchestrator.errors import AuthoringServerError

#: Seconds beyond its limit after which a worker is ended from outside, whatever it does.
GRACE = 2.0
#: Seconds in which a worker's end has to be reported.
_END = 5.0


class ServerProcess:
    """One authoring server at a time, made by `start`; any thread may ask it, several at once."""

    def __init__(self, start: Start, clock: Clock) -> None:
        self._make = start
        self._clock = clock
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._closed = False

    def ask(self, task: Task, answer: Callable[[Ask], Told]) -> Answer | End | None:
        """What a worker says to this, or how it ended without saying anything; None where it takes even a
        server of its own down with it. `answer` is called in this thread for each question a worker asks
        back; what it raises passes through, and ends the worker.

        Raises `AuthoringServerError` where there can be no server."""
        server, said = self._ask(task, answer)
        if said is not None:
            return said
        self._drop(server)
        alone = ServerProcess(self._make, self._clock)  # where it can neither hurt nor be hurt by another
        try:
            return alone._ask(task, answer)[1]
        finally:
            alone.close()

    def warm(self) -> None:
        """Have a server ready, so that the first to ask need not wait for it. `AuthoringServerError`."""
        with self._lock:
            if self._server is None:
                self._server = self._start()

    def close(self) -> None:
        """End the server and everything it started; idempotent."""
        with self._lock:
            self._closed = True
            self._end()

    def _ask(self, task: Task, answer: Callable[[Ask], Told]) -> tuple[Server, Answer | End | None]:
        """Which server was asked, and what came of it; None where the server itself ended."""
        talk, talk_theirs = socket.socketpair()
        report, report_theirs = socket.socketpair()
        with talk, report:
            with talk_theirs, report_theirs:
                server = self._hand_over(talk_theirs, report_theirs)
            said = _Conversation(talk, self._clock, task.limits.seconds + GRACE).hold(task, answer)
            return server, _hang_up(report, overdue=said) if isinstance(said, bool) else said

    def _hand_over(self, *ends: socket.socket) -> Server:
        descriptors = [end.fileno() for end in ends]
        with self._lock:
            if self._server is not None:
                with contextlib.suppress(OSError):  # it died since the last request
                    socket.send_fds(self._server.control, [b"r"], descriptors)
                    return self._server
                self._end()
            self._server = self._start()
            socket.send_fds(self._server.control, [b"r"], descriptors)
            return self._server

    def _drop(self, server: Server) -> None:
        """Have no more to do with this one, unless another thread has replaced it already."""
        with self._lock:
            if self._server is server:
                server.kill()
                self._end()

    def _start(self) -> Server:
        if self._closed:
            raise AuthoringServerError("the authoring server is closed")
        server = self._make()
        await_ready(server)
        return server

    def _end(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.control.close()
            server.wait()


class _Conversation:
    """The scheduler's end of one request. Its time runs while the worker works, not while it is answered."""

    def __init__(self, end: socket.socket, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._deadline = clock.monotonic() + seconds
        self._channel = Channel(end, lambda: self._deadline - clock.monotonic())

    def hold(self, task: Task, answer: Callable[[Ask], Told]) -> Answer | bool:
        """The worker's answer; or, where there is none, whether its time was over."""
        message: Task | Told = task
        while True:
            said = self._exchange(message)
            if not isinstance(said, Ask):
                return said
            asked = self._clock.monotonic()
            message = answer(said)
            self._deadline += self._clock.monotonic() - asked

    def _exchange(self, message: Task | Told) -> Answer | Ask | bool:
        try:
            self._channel.send(message)
            said: Answer | Ask | None = self._channel.receive(Answer | Ask)
        except TimeoutError:
            return True
        except (OSError, ValueError):  # it is gone, or speaks nonsense
            return False
        return False if said is None else said


def _hang_up(report: socket.socket, *, overdue: bool) -> End | None:
    """Which ends the worker if it still runs; what is said of its end, None: nobody says."""
    report.shutdown(socket.SHUT_WR)
    return read_end(report, _END, overdue=overdue)
