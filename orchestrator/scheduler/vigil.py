"""Whether this process was awake (invariant I16). A machine that slept, a clock that was set, a process that stood
still: wall clock and monotonic clock tell, compared at every turn of the loop, so once a second at least. An engine
that does not answer is no better: nobody knows what has ended meanwhile.

From then on no time-out strikes until the engine has been asked for everything of ours, and what passed counts
against none. Everybody who ends something because of the time asks here first, so whoever wakes up first finds out.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import structlog

from orchestrator.clock import Clock
from orchestrator.planning.lapses import Lapse, Sparing

_log = structlog.get_logger()

#: More than this between two looks means that nobody was awake; every time-out then has so long at least.
STALL = timedelta(seconds=60)
#: Outages that are no longer are not worth a word.
_BLINK = timedelta(seconds=1)
#: How many lapses are remembered.
_REMEMBERED = 256


class Vigil:
    """Knows which time counts. Safe to call from any thread. It begins with nothing known of the engine."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._wall, self._ticks = clock.now(), clock.monotonic()
        self._held_since: float | None = self._ticks  #: by the monotonic clock; None: nothing is held
        self._away_since: datetime | None = None  #: when the engine went away
        self._woke_at: datetime | None = None  #: when somebody was found to have slept, since the engine told last
        self._slept = timedelta(0)
        self._wakings = 0
        self._sleeps: list[tuple[datetime, datetime]] = []  #: when we woke, until when grace lasts
        self._born: datetime | None = self._wall  #: None: the engine has told once
        self._sparing = Sparing(held=True)
        self._ask: Callable[[], None] = lambda: None

    def on_waking(self, ask: Callable[[], None]) -> None:
        """Have the engine asked for everything by this whenever we find that nobody was awake."""
        self._ask = ask

    def look(self) -> Sparing:
        """What time-outs are to be spared now."""
        with self._lock:
            stalled = self._compare()
            sparing = self._sparing
        if stalled:
            self._ask()
        return sparing

    def wakings(self) -> int:
        """How often nobody was awake for a while: what went on meanwhile had less time than it seems."""
        self.look()
        with self._lock:
            return self._wakings

    def is_over(self, since: datetime, limit: timedelta) -> bool:
        """Whether a time-out that runs since then is over; not as long as nobody knows what has ended meanwhile."""
        sparing = self.look()
        return not sparing.held and self._clock.now() >= sparing.due(since, limit)

    def left_alone_until(self, asked: datetime) -> datetime | None:
        """Until when a process that was asked to end then is to be left alone though its grace is over: nobody was
        awake to see it end, or it may have slept too. None: not at all."""
        self.look()
        with self._lock:
            now = self._clock.now()
            if self._woke_at is not None and asked < self._woke_at:
                return now + _BLINK  # until the engine has told
            return max((until for woke, until in self._sleeps if asked < woke and now < until), default=None)

    def engine_left(self) -> None:
        """No event of the engine arrives any more."""
        with self._lock:
            self._compare()
            if self._away_since is None:
                self._away_since = self._clock.now()
            self._hold()

    def engine_listed(self, began: float) -> None:
        """The engine has told of everything of ours, asked at `began` by the monotonic clock."""
        with self._lock:
            self._compare()
            if self._held_since is not None and began >= self._held_since:
                self._release()

    def _compare(self) -> bool:
        wall, ticks = self._clock.now(), self._clock.monotonic()
        passed, ticked = wall - self._wall, timedelta(seconds=ticks - self._ticks)
        self._wall, self._ticks = wall, ticks
        if max(abs(passed), ticked) <= STALL:
            return False
        _log.warning("scheduler.woke", clock_moved=str(passed), passed=str(ticked))
        self._slept += max(passed, timedelta(0))
        self._woke_at = wall
        self._wakings += 1
        self._hold()
        return True

    def _hold(self) -> None:
        self._held_since = self._ticks
        self._sparing = Sparing(held=True, lapses=self._sparing.lapses)

    def _release(self) -> None:
        now = self._clock.now()
        new = [*self._of_sleep(now), *self._of_outage(now)]
        if self._woke_at is not None:
            _log.info(
                "scheduler.caught_up", slept=str(self._slept), time_outs="have as much more, a minute at least"
            )
        if self._born is not None:  # what an earlier process did not start has waited for this one
            new.append(Lapse(at=self._born, until=now + STALL, unstarted=True))
        self._held_since = self._away_since = self._woke_at = self._born = None
        self._slept = timedelta(0)
        self._sparing = Sparing(lapses=(*self._sparing.lapses, *new)[-_REMEMBERED:])

    def _of_sleep(self, now: datetime) -> Iterator[Lapse]:
        if self._woke_at is not None:
            self._sleeps = [*self._sleeps, (self._woke_at, now + STALL)][-_REMEMBERED:]
            yield Lapse(at=self._woke_at, length=self._slept, until=now + STALL)

    def _of_outage(self, now: datetime) -> Iterator[Lapse]:
        """Containers ran on meanwhile, but none could be started."""
        away = timedelta(0) if self._away_since is None else now - self._away_since - self._slept
        if away > _BLINK:
            yield Lapse(at=now, until=now + min(away, STALL))
            yield Lapse(at=now, length=away, until=now, unstarted=True)
