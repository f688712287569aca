"""The loop: sole owner of the world and of the writing connection.

A turn takes what happened, has the planner decide, commits the rows in one transaction, applies them to the
world, and only then sends out effects and notices. When a commit fails or its outcome is unknown, the world is
dropped and rebuilt from the database, and the engine is asked what is true.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Protocol, get_args

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import FencedError, StoreConflictError, StoreUnavailableError
from orchestrator.ids import Epoch, TryId
from orchestrator.planning.changes import Change, Effect, PutTry, Row
from orchestrator.planning.decide import PlanSettings, decide, resume
from orchestrator.planning.events import Event, Requested, Tick
from orchestrator.planning.world import World
from orchestrator.ports import Store
from orchestrator.scheduler.attempts import OpenAttempts
from orchestrator.scheduler.inbox import EngineConnected, Inbox, Message, Quit, Wake
from orchestrator.scheduler.notices import Notice, notices_of
from orchestrator.scheduler.patience import Patience

_log = structlog.get_logger()

#: Seconds after which unanswered requests are looked for though nobody called: a safety net.
_LOOK = 1.0
_ROWS = get_args(Row)
_EFFECTS = get_args(Effect)


class Effects(Protocol):
    """Sends effects to the services that carry them out, and has the engine asked."""

    def dispatch(self, effect: Effect, world: World) -> None: ...
    def reconcile(self) -> None: ...


class Loop:
    """Runs turns until it is told to quit, or fenced."""

    def __init__(
        self,
        store: Store,
        inbox: Inbox,
        attempts: OpenAttempts,
        effects: Effects,
        *,
        epoch: Epoch,
        plan: PlanSettings,
        ids: Iterator[TryId],
        clock: Clock,
        publish: Callable[[Notice], None],
    ) -> None:
        self._store = store
        self._inbox = inbox
        self._attempts = attempts
        self._effects = effects
        self._epoch = epoch
        self._plan = plan
        self._ids = ids
        self._clock = clock
        self._publish = publish
        self._stop = threading.Event()
        self._world = World()
        self._quit = False

    def start(self) -> None:
        """Build the world and register the open tries, before any event of the engine can arrive."""
        self._rebuild()

    def resume(self) -> None:
        """Send out again what the database says is under way; the engine's side follows its connection."""
        self._dispatch(resume(self._world))

    def quit(self) -> None:
        """End after the running turn; from any thread."""
        self._stop.set()
        self._inbox.post(Quit())

    def run(self) -> None:
        """Turns until `quit`. Raises `FencedError` when another scheduler has taken the lead."""
        while not self._quit:
            self.turn(self._inbox.take(self._patience()))

    def turn(self, messages: Sequence[Message]) -> None:
        """Take in what happened and do what follows; with nothing, look whether time asks for something."""
        events: list[Event] = []
        connected = False
        for message in messages:
            match message:
                case Quit():
                    self._quit = True
                case EngineConnected():
                    connected = True
                case Wake():
                    pass
                case _:
                    events.append(message)
        if not messages or any(isinstance(message, Wake) for message in messages):
            events += [Requested(request=request) for request in self._store.unanswered()]
        self._settle(events)
        if connected:
            self._effects.reconcile()

    def _settle(self, events: list[Event]) -> None:
        """Decide and commit. On trouble with the database recover and decide again; a turn it refuses is split,
        so that one bad row costs no other."""
        try:
            self._decide_and_commit((*events, Tick()))
        except StoreUnavailableError as trouble:
            _log.error("turn.not_committed", trouble=trouble.message)
            self._recover()
            self._inbox.post_all(events)
        except StoreConflictError as conflict:
            _log.error("turn.refused", conflict=conflict.message, key=str(conflict.key))
            self._recover()
            for event in events:
                self._alone(event)

    def _alone(self, event: Event) -> None:
        try:
            self._decide_and_commit((event, Tick()))
        except StoreConflictError as conflict:
            _log.error("event.dropped", event_type=type(event).__name__, conflict=conflict.message)
            self._recover()
        except StoreUnavailableError as trouble:
            _log.error("turn.not_committed", trouble=trouble.message)
            self._recover()
            self._inbox.post(event)

    def _decide_and_commit(self, events: tuple[Event, ...]) -> None:
        now = self._clock.now()
        changes = decide(self._world, events, now, self._ids, self._plan)
        if not changes:
            return
        rows = [change for change in changes if isinstance(change, _ROWS)]
        if rows:
            self._store.write(self._epoch, rows)
        self._world.apply(changes)
        for change in changes:
            if isinstance(change, PutTry) and change.attempt.outcome is not None:
                self._attempts.close(change.attempt.try_id)
        self._dispatch(changes)
        for notice in notices_of(changes):
            self._publish(notice)

    def _dispatch(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change, _EFFECTS):
                self._effects.dispatch(change, self._world)

    def _recover(self) -> None:
        """Rebuild the world from the database, waiting for it as long as it takes, then ask the engine."""
        patience = Patience(self._clock, self._stop)
        while True:
            try:
                if self._store.epoch() != self._epoch:
                    raise FencedError("another scheduler leads now")
                self._rebuild()
            except StoreUnavailableError as trouble:
                _log.error("database.waits", trouble=trouble.message)
                if not patience.wait():
                    self._quit = True
                    return
            else:
                break
        self.resume()
        self._effects.reconcile()

    def _rebuild(self) -> None:
        self._world = World.of(self._store.load())
        self._attempts.keep_only(
            (attempt, self._world.task_spec(attempt.key.task)) for attempt in self._world.open_tries()
        )

    def _patience(self) -> float:
        due = self._world.next_due()
        if due is None:
            return _LOOK
        left: timedelta = due - self._clock.now()
        return min(max(left.total_seconds(), 0.001), _LOOK)
