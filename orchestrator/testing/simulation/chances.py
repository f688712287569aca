"""What goes wrong in one history, all drawn from its seed: which kinds of trouble there are at all, and where they
strike."""

import math
import sqlite3
from dataclasses import dataclass, field
from enum import StrEnum, auto

from orchestrator.spec.container import EngineEventKind
from orchestrator.testing.simulation.dice import Dice
from orchestrator.testing.simulation.hub import Process


class Trouble(StrEnum):
    """Kinds of trouble; a history has some of them."""

    CRASHES = auto()  #: the scheduler is killed, anywhere
    SLOW_CALLS = auto()  #: calls of the engine take seconds, on the way there or back
    FAILING_CALLS = auto()  #: they fail, before or after they took effect
    EVENTS = auto()  #: of the engine: lost, told twice, late, in another order
    ENGINE_AWAY = auto()  #: the engine goes away, with live-restore: containers run on
    ENGINE_STOPS = auto()  #: in order, and containers with it
    ENGINE_CRASHES = auto()  #: and containers with it
    DATABASE = auto()  #: it refuses statements or commits, or loses an answer, or is away
    DISK = auto()  #: logs cannot be written
    CLOCK = auto()  #: the machine's clock is set, by minutes or hours
    LEADERSHIP = auto()  #: several schedulers, and the one that leads is frozen, or loses the lead
    PEOPLE = auto()  #: they kill, clear, cancel
    FOREIGNERS = auto()  #: other programs kill our containers
    REGISTRY = auto()  #: images cannot be had for a while


#: Kinds under which a kill takes no longer than its grace allows.
MILD = (Trouble.PEOPLE, Trouble.EVENTS, Trouble.DISK, Trouble.REGISTRY)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFate:
    """What becomes of one call of the engine; seconds."""

    there: float = 0.0
    back: float = 0.0
    lost_there: bool = False  #: it takes no effect
    lost_back: bool = False  #: it takes effect, and nobody hears of it


@dataclass(slots=True)
class Chances:
    """Draws what goes wrong. `on`: trouble strikes now; once it does no more, everything must come to its end."""

    random: Dice
    kinds: frozenset[Trouble]
    on: bool = True
    database_away: bool = False
    registry_away: bool = False
    _last_told: dict[str, float] = field(default_factory=dict)

    def has(self, kind: Trouble) -> bool:
        return self.on and kind in self.kinds

    def _strikes(self, kind: Trouble, chance: float) -> bool:
        return self.has(kind) and self.random.happens(chance)

    def crash_in(self) -> int | None:
        """How many steps a process lives; None: it is not killed so."""
        if not self._strikes(Trouble.CRASHES, 0.8):
            return None
        return int(math.exp(self.random.uniform(0.0, math.log(4000))))

    def call(self) -> CallFate:
        """Of one call of the engine."""
        random = self.random
        slow = self._strikes(Trouble.SLOW_CALLS, 0.06)
        there, back = (self._long() if slow and random.happens(0.5) else self._short() for _ in range(2))
        if self._strikes(Trouble.FAILING_CALLS, 0.06):
            lost_there = random.happens(0.5)
            return CallFate(there=there, back=back, lost_there=lost_there, lost_back=not lost_there)
        return CallFate(there=there, back=back)

    def _short(self) -> float:
        return self.random.random() * 0.02 if self.random.happens(0.3) else 0.0

    def _long(self) -> float:
        return self.random.choice((0.3, 1.0, 3.0, 12.0, 40.0)) * self.random.random()

    def event(self, kind: EngineEventKind, container: str, now: float) -> list[float]:
        """After how many seconds an event is told: none where it is lost, two where it is told twice. Those of
        one container keep their order. What an engine loses without breaking the stream are ends and removals:
        a start or a signal that is lost so is nothing that could be made up for."""
        random = self.random
        losable = kind in (EngineEventKind.DIE, EngineEventKind.DESTROY, EngineEventKind.OOM)
        if losable and self._strikes(Trouble.EVENTS, 0.05):
            return []
        late = self._long() / 8 if self._strikes(Trouble.EVENTS, 0.15) else 0.0
        at = max(now + late, self._last_told.get(container, 0.0) + 1e-6)
        self._last_told[container] = at
        times = 2 if self._strikes(Trouble.EVENTS, 0.05) else 1
        return [at - now + again * random.random() for again in range(times)]

    def statement(self, process: Process | None, *, commit: bool = False) -> sqlite3.Error | None:
        """Why the database refuses a statement, if it does; of people's connections none is refused but while it
        is away."""
        if self.database_away:
            return refusal("disk I/O error", sqlite3.SQLITE_IOERR)
        if process is None or not self._strikes(Trouble.DATABASE, 0.01 if commit else 0.001):
            return None
        return self.random.choice(
            (
                refusal("database is locked", sqlite3.SQLITE_BUSY),
                refusal("database or disk is full", sqlite3.SQLITE_FULL),
                refusal("disk I/O error", sqlite3.SQLITE_IOERR),
            )
        )

    def loses_commit_answer(self, process: Process | None) -> bool:
        """Whether a commit took place and is told as failed."""
        return process is not None and self._strikes(Trouble.DATABASE, 0.01)

    def log_fails(self) -> bool:
        return self._strikes(Trouble.DISK, 0.02)


def refusal(text: str, code: int) -> sqlite3.OperationalError:
    """An error as the driver raises it."""
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


def drawn(random: Dice) -> frozenset[Trouble]:
    """The kinds of trouble of one history: none in some, so that the ordinary way is looked at, too; in some only
    such as hold up no kill, so that kills can be timed."""
    if random.happens(0.15):
        return frozenset(kind for kind in MILD if random.happens(0.6))
    share = random.choice((0.0, 0.15, 0.3, 0.5, 0.8))
    return frozenset(kind for kind in Trouble if random.happens(share))
