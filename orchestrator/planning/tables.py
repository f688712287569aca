"""The two containers the world is made of. Both can be forked: a fork reads through to what it came from and
keeps its own writes, at a cost that follows the writes and not the size of what is beneath.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Hashable, Iterator
from heapq import merge
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
#: An entry must have an order among those of its group.
E = TypeVar("E", bound=Any)


class Table(Generic[K, V]):
    """One immutable value a key."""

    def __init__(self, beneath: "Table[K, V] | None" = None) -> None:
        self._beneath = beneath
        self._own: dict[K, V] = {}
        self._dropped: set[K] = set()

    def fork(self) -> "Table[K, V]":
        return Table(self)

    def get(self, key: K) -> V | None:
        found = self._own.get(key)
        if found is not None or self._beneath is None or key in self._dropped:
            return found
        return self._beneath.get(key)

    def __getitem__(self, key: K) -> V:
        """KeyError where there is none."""
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __contains__(self, key: K) -> bool:
        return self.get(key) is not None

    def put(self, key: K, value: V) -> None:
        self._own[key] = value
        self._dropped.discard(key)

    def drop(self, key: K) -> None:
        """Forget a key, known or not."""
        self._own.pop(key, None)
        if self._beneath is not None:
            self._dropped.add(key)

    def items(self) -> Iterator[tuple[K, V]]:
        yield from self._own.items()
        if self._beneath is not None:
            for key, value in self._beneath.items():
                if key not in self._own and key not in self._dropped:
                    yield key, value

    def values(self) -> Iterator[V]:
        return (value for _, value in self.items())


class Tally(Generic[K]):
    """A number a key, 0 where none was counted."""

    def __init__(self, table: Table[K, int] | None = None) -> None:
        self._table: Table[K, int] = table or Table()

    def fork(self) -> "Tally[K]":
        return Tally(self._table.fork())

    def __getitem__(self, key: K) -> int:
        return self._table.get(key) or 0

    def add(self, key: K, number: int) -> None:
        total = self[key] + number
        if total < 0:
            raise ValueError(f"the tally of {key} fell below nothing")
        if total:
            self._table.put(key, total)
        else:
            self._table.drop(key)

    def items(self) -> Iterator[tuple[K, int]]:
        return self._table.items()


class Shelf(Generic[K, E]):
    """Groups of entries, each group in order."""

    def __init__(self, beneath: "Shelf[K, E] | None" = None) -> None:
        self._beneath = beneath
        self._own: dict[K, list[E]] = {}
        self._dropped: dict[K, set[E]] = {}

    def fork(self) -> "Shelf[K, E]":
        return Shelf(self)

    def add(self, group: K, entry: E) -> None:
        """Add an entry that is not there."""
        dropped = self._dropped.get(group)
        if dropped and entry in dropped:
            dropped.remove(entry)
        else:
            insort(self._own.setdefault(group, []), entry)

    def remove(self, group: K, entry: E) -> None:
        """Remove an entry that is there."""
        own = self._own.get(group, [])
        place = bisect_left(own, entry)
        if place < len(own) and own[place] == entry:
            del own[place]
            if not own:
                del self._own[group]
        elif self._beneath is None:
            raise ValueError(f"{entry} is not on the shelf")
        else:
            self._dropped.setdefault(group, set()).add(entry)

    def entries(self, group: K) -> Iterator[E]:
        """The group's entries in order. Nothing may be added or removed meanwhile."""
        own = iter(self._own.get(group, ()))
        if self._beneath is None:
            return own
        dropped = self._dropped.get(group, set())
        return merge(own, (entry for entry in self._beneath.entries(group) if entry not in dropped))

    def first(self, group: K) -> E | None:
        return next(self.entries(group), None)

    def after(self, group: K, entry: E) -> E | None:
        """The first entry greater than this one, which need not be there."""
        own = self._own.get(group, ())
        place = bisect_right(own, entry)
        following = own[place] if place < len(own) else None
        if self._beneath is None:
            return following
        dropped = self._dropped.get(group, set())
        below = self._beneath.after(group, entry)
        while below is not None and below in dropped:
            below = self._beneath.after(group, below)
        return min((each for each in (following, below) if each is not None), default=None)

    def count(self, group: K) -> int:
        beneath = self._beneath.count(group) if self._beneath is not None else 0
        return len(self._own.get(group, ())) + beneath - len(self._dropped.get(group, ()))

    def groups(self) -> Iterator[K]:
        """Every group that holds something."""
        beneath = self._beneath.groups() if self._beneath is not None else iter(())
        return (group for group in {**dict.fromkeys(beneath), **self._own} if self.count(group))
