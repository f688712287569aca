"""Task instances that are prepared and wait for the limits, in the order in which they are admitted.

Those with equal claims share a lane, since the limits hold them back alike: who admits looks at the first of each
lane only.
"""

from collections.abc import Iterator
from datetime import datetime

from orchestrator.ids import TaskKey
from orchestrator.planning.limits import Lane
from orchestrator.planning.rows import CacheFacts
from orchestrator.planning.tables import Shelf, Table
from orchestrator.spec.container import ContainerSpec
from orchestrator.spec.value import Value

#: Order of admission: whether a sensor looks again, priority (negative), logical date, topological order.
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
        self._lanes: Shelf[Lane, Turn] = Shelf()
        self._heads: Shelf[None, Head] = Shelf()

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
        before = self._lanes.first(ready.lane)
        self._lanes.add(ready.lane, ready.turn)
        self._lead(ready.lane, before)

    def drop(self, key: TaskKey) -> None:
        """Leave the line, if it stands there."""
        ready = self._ready.get(key)
        if ready is not None:
            self._ready.drop(key)
            before = self._lanes.first(ready.lane)
            self._lanes.remove(ready.lane, ready.turn)
            self._lead(ready.lane, before)

    def first(self) -> Head | None:
        """Whose turn comes first."""
        return self._heads.first(None)

    def after(self, head: Head) -> Head | None:
        """The first of the lanes whose turn comes after this one, which need not be there any more."""
        return self._heads.after(None, head)

    def heads(self) -> list[Head]:
        return list(self._heads.entries(None))

    def in_order(self, lane: Lane) -> list[Turn]:
        return list(self._lanes.entries(lane))

    def _lead(self, lane: Lane, before: Turn | None) -> None:
        after = self._lanes.first(lane)
        if before != after:
            if before is not None:
                self._heads.remove(None, (before, lane))
            if after is not None:
                self._heads.add(None, (after, lane))
