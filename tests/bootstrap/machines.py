"""A machine of a test's own, and a small program that answers like an engine."""

import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.bootstrap.engine_process import Daemon
from orchestrator.bootstrap.steps import Say

_ENGINE = """
import http.server, os, signal, socketserver, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"ApiVersion": "1.41", "MinAPIVersion": "1.12"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
    def address_string(self):
        return ""
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("engine is up", flush=True)
socketserver.ThreadingUnixStreamServer(sys.argv[1], Answer).serve_forever()
"""


def engine_like(folder: Path) -> Daemon:
    """A daemon that answers at a socket in `folder` until it gets TERM."""
    socket = folder / "engine.sock"
    return Daemon(command=(sys.executable, "-c", _ENGINE, str(socket)), socket=socket)


class FakeMachine:
    """Says what it is told to be, and remembers what it was asked to run."""

    def __init__(
        self, *, root: bool = True, debian: bool = True, systemd: bool = False, programs: Sequence[str] = ()
    ) -> None:
        self.ran: list[str] = []
        self._root, self._debian, self._systemd, self._programs = root, debian, systemd, programs

    def is_root(self) -> bool:
        return self._root

    def is_debian(self) -> bool:
        return self._debian

    def has_systemd(self) -> bool:
        return self._systemd

    def which(self, program: str) -> str | None:
        return f"/usr/sbin/{program}" if program in self._programs else None

    def run(self, command: Sequence[str], say: Say) -> None:
        say("working")
        self.ran.append(" ".join(command))
