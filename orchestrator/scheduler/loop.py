"""The loop: sole owner of the world and of the writing connection.

A turn takes what happened, has the planner decide, commits the rows in one transaction, applies them to the
world, and only then sends out effects and notices. When a commit fails or its outcome is unknown, the world is
dropped and rebuilt from the database, and the engine is asked what is true.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Protocol, get_args

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import FencedError, StoreConflictError, StoreError, StoreUnavailableError
from orchestrator.ids import Epoch, TryId
from orchestrator.planning.changes import Answered, Change, Effect, PutRun, PutTask, PutTry, Row, Spared
from orchestrator.planning.decide import PlanSettings, decide, resume
from orchestrator.planning.events import Event, Exited, Lapsed, LaunchFailed, Lost, Requested, Tick
from orchestrator.planning.explain import Explained, Present, explain
from orchestrator.planning.rows import Answer
from orchestrator.planning.world import World
from orchestrator.ports import Store
from orchestrator.scheduler.attempts import OpenAttempts
from orchestrator.scheduler.chronicle import Chronicle
from orchestrator.scheduler.heartbeat import Beat
from orchestrator.scheduler.inbox import Asked, EngineConnected, Fenced, Inbox, Message, Quit, Wake
from orchestrator.scheduler.notices import Notice, notices_of
from orchestrator.scheduler.outage import Outage
from orchestrator.scheduler.refusals import instead_of
from orchestrator.scheduler.vigil import Vigil

_log = structlog.get_logger()

#: Seconds after which unanswered requests are looked for though nobody called: a safety net.
_LOOK = 1.0
#: Seconds that one step of a turn may take: a decision on thousands of tasks, a transaction that waits for a lock.
_STEP = 60.0
#: Seconds that a turn waits at least where only time brings it about.
_MOMENT = 0.001
_ROWS = get_args(Row)
_EFFECTS = get_args(Effect)


class Effects(Protocol):
    """Sends effects to the services that carry them out, and has the engine asked. `world` is as it was after the
    commit: a run may have ended in the very turn that asked for something of it."""

    def dispatch(self, effect: Effect, world: World) -> None: ...
    def reconcile(self) -> None: ...


class Loop:
    """Runs turns until it is told to quit, or fenced."""

    def __init__(  # noqa: PLR0913 - wired once, by name
        self,
        store: Store,
        inbox: Inbox,
        attempts: OpenAttempts,
        vigil: Vigil,
        effects: Effects,
        *,
        epoch: Epoch,
        plan: PlanSettings,
        ids: Iterator[TryId],
        clock: Clock,
        publish: Callable[[Notice], None],
        beat: Beat,
    ) -> None:
        self._store = store
        self._inbox = inbox
        self._attempts = attempts
        self._vigil = vigil
        self._effects = effects
        self._epoch = epoch
        self._plan = plan
        self._ids = ids
        self._clock = clock
        self._publish = publish
        self._beat = beat
        self._chronicle = Chronicle()
        self._stop = threading.Event()
        self._outage = Outage(clock, self._stop)
        self._world = World()
        self._quit = False
        self._kept: list[Message] = []  #: messages of a turn that was not committed, for the next one
        self._unknown: tuple[Change, ...] = ()  #: a turn of which nobody knows whether it was committed
        self._looked = -_LOOK
        self._decided_at: datetime | None = None

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
            kept, self._kept = self._kept, []
            self._beat.rest()
            came = self._inbox.take(0.0 if kept else self._patience())
            self._beat.work(_STEP)
            self.turn([*kept, *came])
        self._beat.rest()

    def turn(self, messages: Sequence[Message]) -> None:
        """Take in what happened and do what follows; with nothing, look whether time asks for something."""
        events: list[Event] = []
        questions: list[Asked] = []
        woken = connected = False
        for message in messages:
            match message:
                case Quit():
                    self._quit = True
                case Fenced():
                    raise FencedError("another scheduler leads now")
                case EngineConnected():
                    connected = True
                case Wake():
                    woken = True
                case Asked():
                    questions.append(message)
                case _:
                    events.append(message)
        events += self._lapsed()
        if woken or self._clock.monotonic() - self._looked >= _LOOK:
            events += self._requests()
        self._settle(events)
        if connected:
            self._effects.reconcile()
        for asked in questions:
            self._answer(asked)

    def _lapsed(self) -> list[Lapsed]:
        """That other time-outs are to be spared than the world knows."""
        sparing = self._vigil.look()
        return [] if sparing == self._world.spared else [Lapsed(sparing=sparing)]

    def _answer(self, asked: Asked) -> None:
        """From the world as it is committed. A question is no event: it changes nothing, and harms nothing."""
        present = Present(now=self._clock.now(), settings=self._plan, engine_away=self._attempts.unheard)
        away = self._outage.reason
        try:
            explained = explain(self._world, asked.question, present) if away is None else Explained(reason=away)
            asked.answer(explained)
        except Exception:  # noqa: BLE001 - the shell of a loop: logged, and who asks is told that nothing is known
            _log.exception("question.broke", question=asked.question)
            asked.answer(Explained())

    def _requests(self) -> list[Requested]:
        """What faces ask and nobody has answered. While the database is away, nothing: they are asked still."""
        self._looked = self._clock.monotonic()
        try:
            asked = [Requested(request=request) for request in self._store.unanswered()]
        except StoreUnavailableError as trouble:
            self._outage.noticed(trouble, writing=False)
            return []
        self._outage.answered(writing=False)
        return asked

    # --- deciding and committing --------------------------------------------------------------------------

    def _settle(self, events: list[Event]) -> None:
        """Decide and commit. A turn that the database refuses, or that breaks, is split, so that one bad event
        costs no other."""
        if self._attempted(lambda: self._decide_and_commit((*events, Tick())), events) is not None:
            for event in (Tick(), *events):
                self._alone(event)

    def _alone(self, event: Event) -> None:
        refusal = self._attempted(lambda: self._decide_and_commit((event, Tick())), [event])
        if refusal is not None:
            self._refuse(event, refusal)

    def _refuse(self, event: Event, refusal: Exception) -> None:
        """Have the event fail its own try, file or request."""
        words = str(refusal)
        match event:
            case Tick():
                raise refusal  # no turn can succeed then: a new process may
            case Requested():
                answer = Answer(ok=False, error=f"this cannot be done: {words}")
                told = Answered(request=event.request, answer=answer, at=self._clock.now())
                self._attempted(lambda: self._commit((told,)), [])
            case _ if (instead := instead_of(event, words)) is not None:
                self._alone(instead)
            case Exited() | Lost() | LaunchFailed():
                self._attempts.refuse_end(event.try_id)  # to be told again at a later look
            case _:
                pass

    def _attempted(self, act: Callable[[], None], events: Sequence[Event]) -> Exception | None:
        """Do it; what it was refused for, or broke of, None where it was done or is to be done again, in the next
        turn, because the database went away."""
        try:
            act()
        except StoreUnavailableError as trouble:
            self._wait_for_database(trouble, events)
        except Exception as error:
            if isinstance(error, StoreError) and not isinstance(error, StoreConflictError):
                raise  # fenced, or a database that no other event finds in order either
            _log.exception("turn.refused", event_types=[type(event).__name__ for event in events])
            self._recover()
            return error
        return None

    def _decide_and_commit(self, events: tuple[Event, ...]) -> None:
        now = self._clock.now()
        self._beat.work(_STEP)
        changes = decide(self._world, events, now, self._ids, self._plan)
        self._decided_at = now
        if changes:
            self._commit(changes)

    def _commit(self, changes: tuple[Change, ...]) -> None:
        rows = [change for change in changes if isinstance(change, _ROWS)]
        if rows:
            self._write(rows, changes)
        self._beat.work(_STEP)
        self._world.apply(changes)
        for change in changes:
            if isinstance(change, PutTry) and change.attempt.outcome is not None:
                self._attempts.close(change.attempt.try_id)
        self._dispatch(changes)
        self._tell(changes)

    def _write(self, rows: list[Row], changes: tuple[Change, ...]) -> None:
        try:
            self._beat.work(_STEP)
            self._store.write(self._epoch, rows)
        except StoreUnavailableError:
            self._unknown = changes
            raise
        self._outage.answered(writing=True)

    def _dispatch(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change, _EFFECTS):
                self._effects.dispatch(change, self._world)

    def _tell(self, changes: tuple[Change, ...]) -> None:
        self._chronicle.tell(changes)
        for notice in notices_of(changes):
            self._publish(notice)

    # --- when the database is not there -------------------------------------------------------------------

    def _wait_for_database(self, trouble: StoreUnavailableError, events: Sequence[Event]) -> None:
        """Recover, and keep the events for the next turn, in their place before those that come; requests are
        found in the database again. One that can be read but not written is tried again after a while only."""
        lasts = self._outage.reason is not None
        self._outage.noticed(trouble, writing=True)
        self._kept += [event for event in events if not isinstance(event, Requested)]
        if lasts:
            self._stand_by()
        self._recover()
        self._looked = -_LOOK

    def _recover(self) -> None:
        """Rebuild the world from the database, waiting for it as long as it takes, then ask the engine. Watchers
        hear of a turn that was committed though the answer was lost."""
        while not self._quit:
            self._beat.work(_STEP)
            try:
                if self._store.epoch() != self._epoch:
                    raise FencedError("another scheduler leads now")
                self._rebuild()
                unheard = self._unknown if self._took_effect(self._unknown) else ()
            except StoreUnavailableError as trouble:
                self._outage.noticed(trouble, writing=False)
                self._stand_by()
            else:
                self._unknown = ()
                self._outage.answered(writing=False)
                self._tell(unheard)
                self.resume()
                self._effects.reconcile()
                return

    def _stand_by(self) -> None:
        """Wait a while for the database, and answer who asks why nothing happens."""
        self._beat.rest()
        self._outage.wait()
        self._beat.work(_STEP)
        self._quit = self._quit or self._stop.is_set()
        for message in self._inbox.take(0.0):
            match message:
                case Asked():
                    self._answer(message)
                case Fenced():
                    raise FencedError("another scheduler leads now")
                case Quit():
                    self._quit = True
                case _:
                    self._kept.append(message)

    def _rebuild(self) -> None:
        self._world = World.of(self._store.load())
        self._world.apply((Spared(sparing=self._vigil.look()),))
        self._attempts.keep_only(
            (attempt, self._world.task_spec(attempt.key.task)) for attempt in self._world.open_tries()
        )

    def _took_effect(self, changes: tuple[Change, ...]) -> bool:
        """Whether this turn, written as a whole or not at all, is in the database: its last telling row says."""
        for change in reversed(changes):
            match change:
                case PutTry():
                    return self._store.attempt(change.attempt.try_id) == change.attempt
                case PutTask():
                    return change.task in self._store.tasks(change.task.key.run)
                case PutRun():
                    return self._store.run(change.run.key) == change.run
                case Answered():
                    return self._store.answer(change.request.id) is not None
                case _:
                    pass
        return False

    def _patience(self) -> float:
        """Seconds until time asks for something. What a turn has looked at and left is not looked at at once."""
        due = self._world.next_due()
        if due is None or (self._decided_at is not None and due <= self._decided_at):
            return _LOOK
        return min(max((due - self._clock.now()).total_seconds(), _MOMENT), _LOOK)
