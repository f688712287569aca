"""The instants at which time alone asks for a decision, one for each thing and kind of wait."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from orchestrator.planning.tables import Shelf, Table


class TimerKind(StrEnum):
    """What an instant may be waited for."""

    SCHEDULE = "schedule"  #: of a DAG id: its next run may be due
    ASSETS = "assets"  #: of a DAG id: the updates that its next run waits for are there
    RETRY = "retry"  #: of a task key: its delay ends, or a sensor's wait for its next look
    SENSOR = "sensor"  #: of a task key: it has looked for as long as it may
    TIMEOUT = "timeout"  #: of a try id: its start_timeout, then its execution_timeout
    RUN_TIMEOUT = "run_timeout"  #: of a run key: its dagrun_timeout
    RUN_DEADLINE = "run_deadline"  #: of a run key: from then on it is late
    TASK_DEADLINE = "task_deadline"  #: of a task key: likewise


#: When, what, and of what (of one kind, so comparable).
Timer = tuple[datetime, TimerKind, Any]


class Timers:
    """At most one instant for each kind and thing. Can be forked, as the tables it is made of."""

    def __init__(self) -> None:
        self._in_order: Shelf[None, Timer] = Shelf()
        self._at: Table[tuple[TimerKind, Any], datetime] = Table()

    def fork(self) -> "Timers":
        fork = Timers()
        fork._in_order = self._in_order.fork()
        fork._at = self._at.fork()
        return fork

    def set(self, kind: TimerKind, of: Any, due: datetime | None) -> None:
        """Wait until `due`, in place of what was waited for before; None: not at all."""
        before = self._at.get((kind, of))
        if before == due:
            return
        if before is not None:
            self._in_order.remove(None, (before, kind, of))
            self._at.drop((kind, of))
        if due is not None:
            self._in_order.add(None, (due, kind, of))
            self._at.put((kind, of), due)

    def at(self, kind: TimerKind, of: Any) -> datetime | None:
        """When the timer of this kind and thing runs out; None if there is none."""
        return self._at.get((kind, of))

    def first(self) -> datetime | None:
        """The earliest instant of all; may lie in the past."""
        timer = self._in_order.first(None)
        return None if timer is None else timer[0]

    def due(self, now: datetime) -> list[Timer]:
        """All that have come, earliest first."""
        due = []
        for timer in self._in_order.entries(None):
            if timer[0] > now:
                break
            due.append(timer)
        return due

    def all(self) -> list[Timer]:
        """All there are, earliest first."""
        return list(self._in_order.entries(None))
