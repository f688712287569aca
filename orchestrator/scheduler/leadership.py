"""Taking the lead, keeping it, and knowing whether this process has it (invariant I3).

The lead lasts some seconds by the database's clock and is renewed on a thread of its own, so that no slow turn
loses it. What protects is not this clockwork: every transaction checks the epoch, and it is read again before every
start. The clockwork decides how soon a standby goes on, and keeps a leader quiet that cannot know whether it still
leads.
"""

import functools
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import FencedError, StoreError, StoreUnavailableError
from orchestrator.ids import Epoch
from orchestrator.ports import Led, Store
from orchestrator.scheduler.patience import Patience

_log = structlog.get_logger()

#: How long the lead lasts beyond its newest renewal: a standby leads that much later than a leader dies, at most.
LASTS = timedelta(seconds=6)
#: Renewals in that time, if all goes well.
_RENEWALS = 4
#: Seconds between two looks of a standby at the most: a lead that is given up is taken at once.
_LOOK = 1.0
#: Seconds between two looks at the least.
_MOMENT = 0.05
#: Seconds after which a standby says again that it is there.
_SAY_AGAIN = 10.0
#: Seconds that a renewal under way may hold up giving the lead up.
_JOIN_SECONDS = 2.0


class Leadership:
    """One process's claim to lead. `owner` names it for people."""

    def __init__(self, store: Store, clock: Clock, owner: str, *, lasts: timedelta = LASTS) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner
        self._lasts = lasts
        self._stop = threading.Event()
        self._epoch: Epoch | None = None
        self._expires = True
        self._over = False
        self._said = -_SAY_AGAIN
        self._renewed_at = clock.now(), clock.monotonic()
        self._thread: threading.Thread | None = None

    # --- taking it --------------------------------------------------------------------------------------

    def wait(self, stop: threading.Event, waiting: Callable[[], None] = lambda: None) -> Epoch | None:
        """Stand by until the lead is free, and take it; None once `stop` is set. While the database is away, nobody
        leads. `waiting` is called once, when somebody else is found to lead.

        Raises `SchedulerRunningError` where a home's lock leaves nothing to wait for."""
        since = self._clock.now()
        patience = Patience(self._clock, stop, longest=_LOOK)
        known: Led | None = None
        while not stop.is_set():
            try:
                found = self._take()
                if not isinstance(found, Led):
                    return found
                if known is None:
                    waiting()
                self._say_there(found, since, new=known is None or known.epoch != found.epoch)
            except StoreUnavailableError as trouble:
                if patience.is_news():
                    _log.warning("standby.waits_for_database", trouble=trouble.message)
                patience.wait()
            else:
                known, patience = found, Patience(self._clock, stop, longest=_LOOK)
                self._clock.wait(stop, min(max(found.left.total_seconds(), _MOMENT), _LOOK))
        self._stand_down()
        return None

    def _take(self) -> Epoch | Led:
        led = self._store.led()
        if led is not None:
            return led
        now, monotonic = self._clock.now(), self._clock.monotonic()
        found = self._store.bid(self._owner, now, self._lasts)
        if not isinstance(found, Led):
            self._expires = self._store.leading().left is not None
            self._epoch, self._renewed_at = found, (now, monotonic)
            _log.info("leader.taken", epoch=found, owner=self._owner)
        return found

    def _say_there(self, led: Led, since: datetime, *, new: bool) -> None:
        if self._clock.monotonic() - self._said >= _SAY_AGAIN:
            self._said = self._clock.monotonic()
            self._store.stand_by(self._owner, since)
        if new:
            _log.info("scheduler.standby", leader=led.owner, epoch=led.epoch, seconds=led.left.total_seconds())

    def _stand_down(self) -> None:
        try:
            self._store.stand_down(self._owner)
        except StoreError as trouble:  # it is forgotten by itself
            _log.info("standby.left_untold", trouble=trouble.message)

    # --- keeping it -------------------------------------------------------------------------------------

    def keep(self, fenced: Callable[[], None]) -> None:
        """Renew it from now on; `fenced` is called once, from a thread, when somebody else has it."""
        epoch = self._epoch
        if epoch is not None and self._expires:
            run = functools.partial(self._run, epoch, fenced)
            self._thread = threading.Thread(target=run, name="leadership", daemon=True)
            self._thread.start()

    def holds(self) -> bool:
        """Whether this process leads now: surely, by its own clocks, or by the database's word. False also where
        the database cannot be asked. Right at this moment only: who acts upon it needs another fence as well, for
        it may be stopped in between."""
        return self._surely() or self._asked()

    def close(self) -> None:
        """Give the lead up, after everything that is done in its name has ended; idempotent."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)
        sure, self._over = self._surely(), True
        if self._epoch is None or not sure:
            return  # it is nobody's by now, or another's; and a database that is away would only hold us up
        try:
            self._store.give_up(self._epoch)
        except StoreError as trouble:  # it expires
            _log.warning("leader.not_given_up", trouble=trouble.message)
        else:
            _log.info("leader.given_up", epoch=self._epoch)

    def _surely(self) -> bool:
        """By both clocks: one stands still while the machine sleeps, the other may be set."""
        if self._over or self._epoch is None:
            return False
        at, monotonic = self._renewed_at
        passed = max(self._clock.monotonic() - monotonic, (self._clock.now() - at).total_seconds())
        return not self._expires or passed < self._lasts.total_seconds()

    def _asked(self) -> bool:
        try:
            return not self._over and self._epoch is not None and self._store.epoch() == self._epoch
        except StoreUnavailableError:
            return False

    def _run(self, epoch: Epoch, fenced: Callable[[], None]) -> None:
        patience = Patience(self._clock, self._stop)
        while not self._clock.wait(self._stop, self._lasts.total_seconds() / _RENEWALS):
            try:
                self._renew(epoch)
            except FencedError as told:
                self._over = True
                _log.error("leader.fenced", epoch=epoch, told=told.message)
                fenced()
                return
            except StoreUnavailableError as trouble:
                if patience.is_news():
                    _log.warning("leader.not_renewed", sure=self._surely(), trouble=trouble.message)
            except Exception:  # noqa: BLE001 - a loop's shell: logged, and tried again
                _log.exception("leader.renewal_broke")
            else:
                patience = Patience(self._clock, self._stop)

    def _renew(self, epoch: Epoch) -> None:
        asked = self._clock.now(), self._clock.monotonic()
        self._store.renew(epoch, self._lasts)
        self._renewed_at = asked
