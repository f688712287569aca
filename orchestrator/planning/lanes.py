"""Task instances that are prepared and wait for the limits, in the order in which they are admitted.

Those with equal claims share a lane, since the limits hold them back alike: who admits looks at the first of each
lane only. Sensors that look again stand in lanes of their own.
"""

from collections.abc import Iterator
from datetime import datetime

from orchestrator.ids import TaskKey
from orchestrator.planning.limits import Lane
from orchestrator.planning.rows import CacheFacts
from orchestrator.planning.tables import Shelf, Table
from orchestrator.spec.container import ContainerSpec
from orchestrator.spec.value import Value

#: Order of admission, of one of two lines. False: those that begin, by priority (negative), logical date, place in
#: the graph. True: sensors that look again, by 0, since when they wait (`view.View.turn`), place in the graph.
Turn = tuple[bool, int, datetime, int, TaskKey]
Head = tuple[Turn, Lane]


class Ready(Value, frozen=True, kw_only=True):
    """A prepared container and the place of its task instance in the order. `since`: when it got ready; `cache`: of
    a task that has one."""

    spec: ContainerSpec
    lane: Lane
    turn: Turn
    since: datetime
    cache: CacheFacts | None = None


class Lanes:
    """All that are ready. Can be forked, as the tables it is made of."""

    def __init__(self) -> None:
        self._ready: Table[TaskKey, Ready] = Table()
        self._lanes: Shelf[tuple[bool, Lane], Turn] = Shelf()
        self._heads: Shelf[bool, Head] = Shelf()

    def fork(self) -> "Lanes":
        fork = Lanes()
        fork._ready = self._ready.fork()
        fork._lanes = self._lanes.fork()
        fork._heads = self._heads.fork()
        return fork

    def __contains__(self, key: TaskKey) -> bool:
        return key in self._ready

    def __getitem__(self, key: TaskKey) -> Ready:
        """KeyError where it is not ready."""
        return self._ready[key]

    def get(self, key: TaskKey) -> Ready | None:
        """None where it is not ready."""
        return self._ready.get(key)

    def items(self) -> Iterator[tuple[TaskKey, Ready]]:
        return self._ready.items()

    def add(self, key: TaskKey, ready: Ready) -> None:
        """Get in line; whoever is there already takes this place instead."""
        self.drop(key)
        self._ready.put(key, ready)
        before = self._lanes.first(_line(ready))
        self._lanes.add(_line(ready), ready.turn)
        self._lead(ready, before)

    def drop(self, key: TaskKey) -> None:
        """Leave the line, if it stands there."""
        ready = self._ready.get(key)
        if ready is not None:
            self._ready.drop(key)
            before = self._lanes.first(_line(ready))
            self._lanes.remove(_line(ready), ready.turn)
            self._lead(ready, before)

    def first(self, *, again: bool) -> Head | None:
        """Whose turn comes first, of those that look `again` or of the others."""
        return self._heads.first(again)

    def after(self, head: Head) -> Head | None:
        """The first of the lanes of its kind whose turn comes after this one, which need not be there any more."""
        again, *_ = head[0]
        return self._heads.after(again, head)

    def heads(self, *, again: bool) -> list[Head]:
        return list(self._heads.entries(again))

    def _lead(self, ready: Ready, before: Turn | None) -> None:
        again, *_ = ready.turn
        after = self._lanes.first(_line(ready))
        if before != after:
            if before is not None:
                self._heads.remove(again, (before, ready.lane))
            if after is not None:
                self._heads.add(again, (after, ready.lane))


def _line(ready: Ready) -> tuple[bool, Lane]:
    again, *_ = ready.turn
    return again, ready.lane
