"""Hearing from PostgreSQL that some process, anywhere, has asked for something."""

import selectors
import socket
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import structlog

_log = structlog.get_logger()

#: What `ask` notifies.
CHANNEL = "orchestrator_requests"
#: Seconds until a lost connection is made again.
_AGAIN = 1.0


class Listener:
    """Calls `wake` after each request, from a thread of its own, and once whenever it begins to hear: what was
    asked until then it has not heard of. While the server cannot be reached it hears nothing; whoever relies on
    it looks by himself from time to time."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], wake: Callable[[], None]) -> None:
        self._connect = connect
        self._wake = wake
        self._bell, self._ear = socket.socketpair()
        self._closing = threading.Event()
        self._hears = True
        self._thread = threading.Thread(target=self._run, name="database-ear", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Idempotent."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._bell.send(b"!")
        self._thread.join(2)
        self._bell.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._hear()
            except psycopg.Error as trouble:
                if self._hears:
                    _log.warning("database.unheard", trouble=str(trouble).strip())
                self._hears = False
                self._closing.wait(_AGAIN)
        self._ear.close()

    def _hear(self) -> None:
        with self._connect() as connection, selectors.DefaultSelector() as either:
            either.register(connection.fileno(), selectors.EVENT_READ)
            either.register(self._ear, selectors.EVENT_READ)
            connection.execute(f"LISTEN {CHANNEL}".encode())
            self._hears = True
            self._wake()
            while not self._closing.is_set():
                either.select()
                if any(True for _ in connection.notifies(timeout=0)):
                    self._wake()
