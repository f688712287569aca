"""Tries that say nothing for longer than their tasks allow (`idle_timeout`). What this process did not hear itself
counts from when it first saw the try."""

import threading
from collections.abc import Callable
from datetime import datetime

import structlog

from orchestrator.clock import Clock
from orchestrator.ids import TryId, TryKey
from orchestrator.planning.events import Silent
from orchestrator.scheduler.attempts import OpenAttempt, OpenAttempts
from orchestrator.scheduler.inbox import Message
from orchestrator.scheduler.vigil import Vigil

_log = structlog.get_logger()

#: Seconds between two looks.
_PERIOD = 1.0
#: Seconds after which the loop is told again of one that is silent still: while the database is away it keeps all.
_AGAIN = 60.0


class Idleness:
    """Looks at the open tries now and then, on a thread of its own."""

    def __init__(
        self, attempts: OpenAttempts, vigil: Vigil, *, post: Callable[[Message], None], clock: Clock
    ) -> None:
        self._attempts = attempts
        self._vigil = vigil
        self._post = post
        self._clock = clock
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._heard: dict[TryKey, datetime] = {}
        self._told: dict[TryId, float] = {}  #: when the loop was told last, by the monotonic clock
        self._thread = threading.Thread(target=self._run, name="idleness", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def heard(self, key: TryKey) -> None:
        """Output of a try was stored; any thread."""
        with self._lock:
            if key in self._heard:
                self._heard[key] = self._clock.now()

    def look(self) -> None:
        """Tell of each try that has been silent for too long."""
        self._vigil.look()
        now = self._clock.now()
        limited = {e.attempt.key: e for e in self._attempts.all() if e.task.idle_timeout is not None and e.started}
        with self._lock:
            self._heard = {key: self._heard.get(key, now) for key in limited}
            heard = dict(self._heard)
        open_now = {entry.try_id for entry in limited.values()}
        self._told = {try_id: at for try_id, at in self._told.items() if try_id in open_now}
        for key, entry in limited.items():
            limit = entry.task.idle_timeout
            if limit is not None and not entry.stop_requested and self._vigil.is_over(heard[key], limit):
                self._tell(entry)

    def close(self) -> None:
        self._stop.set()

    def join(self, seconds: float) -> bool:
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _tell(self, entry: OpenAttempt) -> None:
        now = self._clock.monotonic()
        if now - self._told.get(entry.try_id, -_AGAIN) >= _AGAIN:
            self._told[entry.try_id] = now
            self._post(Silent(try_id=entry.try_id))

    def _run(self) -> None:
        while not self._clock.wait(self._stop, _PERIOD):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - the shell of a loop: logged; the next look comes
                _log.exception("idleness.broke")
