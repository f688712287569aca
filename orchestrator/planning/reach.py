"""Which tasks come after which, directly or not: worked out once for a DAG version, as sets of bits."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from orchestrator.spec.dag import TaskSpec


class Reach:
    """Of tasks in topological order, and their direct children."""

    __slots__ = ("_after", "_before", "_order", "_place")

    def __init__(self, tasks: Sequence[TaskSpec], children: Mapping[str, Iterable[str]]) -> None:
        self._order = tuple(task.task_id for task in tasks)
        self._place = {task_id: place for place, task_id in enumerate(self._order)}
        bit = {task_id: 1 << place for task_id, place in self._place.items()}
        self._before: dict[str, int] = {}
        for task in tasks:
            self._before[task.task_id] = _union(self._before[parent] | bit[parent] for parent in task.upstream)
        self._after: dict[str, int] = {}
        for task_id in reversed(self._order):
            self._after[task_id] = _union(self._after[child] | bit[child] for child in children[task_id])

    def downstream(self, task_id: str) -> tuple[str, ...]:
        """All tasks after it, in topological order."""
        return self._names(self._after[task_id])

    def upstream(self, task_id: str) -> tuple[str, ...]:
        """All tasks before it, in topological order."""
        return self._names(self._before[task_id])

    def between(self, first: str, last: str) -> tuple[str, ...]:
        """All tasks on a way from one to the other, without the two, in topological order."""
        return self._names(self._after[first] & self._before[last])

    def _names(self, bits: int) -> tuple[str, ...]:
        return tuple(self._order[place] for place in _places(bits))


def _union(sets: Iterable[int]) -> int:
    union = 0
    for each in sets:
        union |= each
    return union


def _places(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
