"""A clock that stands still until a test moves it."""

import threading
from datetime import UTC, datetime, timedelta

#: Seconds between two looks at whether an event was set. Nothing is measured by them.
_BLINK = 0.002
#: Seconds of real time after which a test waits no more for somebody to wait.
_SOON = 20.0


class ManualClock:
    """A `Clock`. Who waits goes on when the event is set, or when the test has moved the hands far enough."""

    def __init__(self, start: datetime = datetime(2024, 2, 29, 12, tzinfo=UTC)) -> None:
        self._changed = threading.Condition()
        self._start = start
        self._passed = 0.0
        self._waiting: dict[object, tuple[float, float]] = {}  #: who -> for how long, until when

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        with self._changed:
            return self._passed

    def wait(self, event: threading.Event, seconds: float) -> bool:
        who = object()
        with self._changed:
            until = self._passed + seconds
            self._waiting[who] = (seconds, until)
            self._changed.notify_all()
        try:
            while not event.wait(_BLINK):
                if self.monotonic() >= until:
                    return event.is_set()
            return True
        finally:
            with self._changed:
                del self._waiting[who]
                self._changed.notify_all()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._changed:
            self._passed += seconds
            self._changed.notify_all()

    def jump(self, seconds: float) -> None:
        """Set the hands, without time passing."""
        with self._changed:
            self._start += timedelta(seconds=seconds)

    def let_pass(self, seconds: float) -> None:
        """Wait until somebody waits for exactly so long, move the hands to when that is over, and see everybody
        whose time has come go on."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._until(seconds), _SOON):
                raise TimeoutError(f"nobody waits for {seconds} s")
            self._passed = max(self._passed, min(self._until(seconds)))
            self._changed.notify_all()
            if not self._changed.wait_for(self._all_went_on, _SOON):
                raise TimeoutError("somebody goes on waiting")

    def _until(self, seconds: float) -> list[float]:
        return [until for asked, until in self._waiting.values() if asked == seconds and until > self._passed]

    def _all_went_on(self) -> bool:
        return all(until > self._passed for _, until in self._waiting.values())
