"""Whether this process makes progress, for the parent that ends it when it does not (`orchestrator.pulses`).

A scheduler that stands still has every container stand still whose output it does not read, and slows the engine
whose events it does not take. So the loop, the reader of logs and the reader of events each show when they begin a
piece of work and when they wait for something to come. There is progress while none of them stays at one piece of
work for longer than that may take.
"""

import sys
import threading
import traceback
from collections.abc import Callable

import structlog

from orchestrator.clock import Clock, SystemClock

_log = structlog.get_logger()

#: Seconds between two looks, and so between two pulses.
_PERIOD = 1.0
#: Looks in a row that find a thread at the same piece of work before our log tells where it stands.
_TELL_AT = 4


class Beat:
    """What one thread shows. Used by that thread alone; cheap enough for every piece of work."""

    def __init__(self, name: str = "", clock: Clock | None = None) -> None:
        self.name = name
        self.pieces = 0
        self.resting = True
        self.patience = 0.0  #: until when, by the monotonic clock, the piece may take
        self.thread = 0
        self._clock = clock or SystemClock()

    def work(self, seconds: float = 0.0) -> None:
        """A piece of work begins, which may take so many seconds; 0: no longer than the parent waits."""
        self.patience = self._clock.monotonic() + seconds if seconds else 0.0
        self.thread = threading.get_ident()
        self.pieces += 1
        self.resting = False

    def rest(self) -> None:
        """From now on this thread waits for something to come, for as long as it takes."""
        self.resting = True


class Heartbeat:
    """Looks at the beats once a second, on a thread of its own, and pulses while there is progress. Without `pulse`
    nobody listens, and there is no such thread."""

    def __init__(self, clock: Clock, pulse: Callable[[], bool] | None = None, *, seconds: float = _PERIOD) -> None:
        """`pulse` returns whether anybody still listens; `seconds` are between two looks."""
        self._clock = clock
        self._pulse = pulse
        self._seconds = seconds
        self._beats: list[Beat] = []
        self._seen: dict[str, tuple[int, int]] = {}  #: piece of work, and how many looks in a row found it
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def beat(self, name: str) -> Beat:
        """A new thread's share, resting until it works."""
        made = Beat(name, self._clock)
        self._beats.append(made)
        return made

    def start(self) -> None:
        """Idempotent."""
        if self._pulse is not None and self._thread.ident is None:
            self._thread.start()

    def look(self) -> bool:
        """Whether each thread has gone on since the last look, or may take longer."""
        standing = [beat for beat in tuple(self._beats) if not self._goes_on(beat)]
        return not standing

    def _goes_on(self, beat: Beat) -> bool:
        pieces = beat.pieces
        before, times = self._seen.get(beat.name, (-1, 0))
        if beat.resting or pieces != before or self._clock.monotonic() < beat.patience:
            self._seen[beat.name] = (pieces, 0)
            return True
        self._seen[beat.name] = (pieces, times + 1)
        if times + 1 == _TELL_AT:
            _log.error(
                "heartbeat.stands_still", part=beat.name, seconds=_TELL_AT * self._seconds, where=_where(beat)
            )
        return False

    def _run(self) -> None:
        while True:
            try:
                if self.look() and self._pulse is not None and not self._pulse():
                    return  # the parent is gone: nobody restarts us
            except Exception:  # noqa: BLE001 - the shell of a loop: logged; the next look comes
                _log.exception("heartbeat.broke")
            self._clock.wait(self._stop, self._seconds)


def _where(beat: Beat) -> str:
    """The calls that its thread is in, for who looks for the reason afterwards."""
    frame = sys._current_frames().get(beat.thread)  # noqa: SLF001 - documented, and named so to scare
    return "" if frame is None else "".join(traceback.format_stack(frame))
