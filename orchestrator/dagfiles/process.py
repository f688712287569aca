"""The scheduler's hold on the authoring server: starts it, gives it requests, starts it again when it died."""

import contextlib
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from orchestrator.clock import Clock
from orchestrator.dagfiles.ends import End
from orchestrator.dagfiles.wire import Ask, Channel, Done, Parsed, ParseTask, Refused, RenderTask, Told
from orchestrator.errors import AuthoringServerError

#: Seconds beyond its limit after which a worker is ended from outside, whatever it does.
GRACE = 2.0
#: Seconds the server has to start, and a worker's end has to be reported.
_START = 60.0
_END = 5.0
_REPORT_LIMIT = 1 << 20
_ENDED = re.compile(r"\nended with status (-?\d+)\n$")
_MODULE = "orchestrator.dagfiles.server"

#: What a worker may say last.
Answer = Parsed | Done | Refused


class _Running(NamedTuple):
    """A server that was started, and the socket that is its life."""

    process: subprocess.Popen[bytes]
    control: socket.socket


class ServerProcess:
    """One authoring server at a time; any thread may ask it, several at once."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._server: _Running | None = None
        self._closed = False

    def ask(self, task: ParseTask | RenderTask, answer: Callable[[Ask], Told]) -> Answer | End | None:
        """What a worker says to this, or how it ended without saying anything; None where it takes even a
        server of its own down with it. `answer` is called in this thread for each question a worker asks
        back; what it raises passes through, and ends the worker.

        Raises `AuthoringServerError` where there can be no server."""
        server, said = self._ask(task, answer)
        if said is not None:
            return said
        self._drop(server)
        alone = ServerProcess(self._folder, self._clock)  # where it can neither hurt nor be hurt by another
        try:
            return alone._ask(task, answer)[1]
        finally:
            alone.close()

    def close(self) -> None:
        """End the server and everything it started; idempotent."""
        with self._lock:
            self._closed = True
            self._end()

    def _ask(
        self, task: ParseTask | RenderTask, answer: Callable[[Ask], Told]
    ) -> tuple[_Running, Answer | End | None]:
        """Which server was asked, and what came of it; None where the server itself ended."""
        talk, talk_theirs = socket.socketpair()
        report, report_theirs = socket.socketpair()
        with talk, report:
            with talk_theirs, report_theirs:
                server = self._hand_over(talk_theirs, report_theirs)
            said = _Conversation(talk, self._clock, task.limits.seconds + GRACE).hold(task, answer)
            return server, _read_end(report, overdue=said) if isinstance(said, bool) else said

    def _hand_over(self, *ends: socket.socket) -> _Running:
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

    def _drop(self, server: _Running) -> None:
        """Have no more to do with this one, unless another thread has replaced it already."""
        with self._lock:
            if self._server is server:
                server.process.kill()
                self._end()

    def _start(self) -> _Running:
        if self._closed:
            raise AuthoringServerError("the authoring server is closed")
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-P", "-X", "utf8", "-m", _MODULE, str(theirs.fileno())]
            process = subprocess.Popen(
                command,
                env={},
                cwd=self._folder,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        words = _await_ready(process, ours)
        if words is not None:
            ours.close()
            raise AuthoringServerError(
                f"the authoring server does not start: {words}", fix=f"see what `{' '.join(command)}` says"
            )
        return _Running(process, ours)

    def _end(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.control.close()
            try:
                server.process.wait(_END)
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait()


def _await_ready(process: subprocess.Popen[bytes], control: socket.socket) -> str | None:
    """None once the server is ready; otherwise it is ended, and these are its last words."""
    control.settimeout(_START)
    try:
        ready = control.recv(1)
    except OSError:
        ready = b""
    control.settimeout(None)
    if not ready:
        process.kill()
    with process.stderr or contextlib.nullcontext() as errors:
        if ready:
            return None
        written = errors.read() if errors is not None else b""
    process.wait()
    return written.decode(errors="replace").strip().rpartition("\n")[2] or "no word from it"


class _Conversation:
    """The scheduler's end of one request. Its time runs while the worker works, not while it is answered."""

    def __init__(self, end: socket.socket, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._deadline = clock.monotonic() + seconds
        self._channel = Channel(end, lambda: self._deadline - clock.monotonic())

    def hold(self, task: ParseTask | RenderTask, answer: Callable[[Ask], Told]) -> Answer | bool:
        """The worker's answer; or, where there is none, whether its time was over."""
        message: ParseTask | RenderTask | Told = task
        while True:
            said = self._exchange(message)
            if not isinstance(said, Ask):
                return said
            asked = self._clock.monotonic()
            message = answer(said)
            self._deadline += self._clock.monotonic() - asked

    def _exchange(self, message: ParseTask | RenderTask | Told) -> Answer | Ask | bool:
        try:
            self._channel.send(message)
            said: Answer | Ask | None = self._channel.receive(Answer | Ask)
        except TimeoutError:
            return True
        except (OSError, ValueError):  # it is gone, or speaks nonsense
            return False
        return False if said is None else said


def _read_end(report: socket.socket, *, overdue: bool) -> End | None:
    """Hang up, which ends the worker if it still runs, and read what is said of its end; None: nobody says."""
    report.shutdown(socket.SHUT_WR)
    report.settimeout(_END)
    data = bytearray()
    with contextlib.suppress(OSError):
        while len(data) < _REPORT_LIMIT and (chunk := report.recv(1 << 16)):
            data += chunk
            if found := _ENDED.search(text := data.decode(errors="replace")):
                return End(report=text[: found.start()], status=int(found[1]), overdue=overdue)
    return None
