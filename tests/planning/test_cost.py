"""What a turn costs follows its events, not the size of the world."""

import itertools
import sys
from collections.abc import Callable

import msgspec
import pytest
from mapped_dags import each_of, mapped, mapped_group, over, result_of
from planning_sim import SETTINGS, Leader, container, dag, exited, started

from orchestrator.ids import TryId
from orchestrator.planning.changes import Launch
from orchestrator.planning.decide import decide
from orchestrator.planning.events import Event, Tick
from orchestrator.spec.dag import BranchChoice


class Unchecked(Leader):
    """Checks cost more than the turns they check."""

    def _check(self) -> None:
        pass


def busy(dags: int) -> tuple[Leader, Launch]:
    """A leader of that many DAGs with two runs each, four tasks running and all others waiting for a slot."""
    leader = Unchecked(msgspec.structs.replace(SETTINGS, parallelism=4))
    for number in range(dags):
        name = f"d{number:03}"
        tasks = [container("a"), container("b", "a"), container("c", "b")]
        leader.parse(dag(*tasks, dag_id=name, file=f"{name}.py"), file=f"{name}.py")
        for _ in range(2):
            leader.trigger(name)
    return leader, leader.prepare_all()[0]


def calls(leader: Leader, event: Event) -> int:
    """How many Python functions one turn calls."""
    ids = (TryId(f"x{number}") for number in itertools.count())
    number = 0

    def count(_frame: object, what: str, _argument: object) -> None:
        nonlocal number
        number += what in ("call", "c_call")

    sys.setprofile(count)
    try:
        decide(leader.world, [event], leader.now, ids, leader.settings)
    finally:
        sys.setprofile(None)
    return number


@pytest.mark.parametrize(
    "event_of",
    [lambda launch: exited(launch.attempt), lambda launch: started(launch.attempt), lambda _: Tick()],
    ids=["exit", "start", "tick"],
)
def test_a_turn_costs_the_same_in_a_world_twenty_times_as_large(event_of: Callable[[Launch], Event]) -> None:
    small, large = busy(5), busy(100)
    in_small, in_large = calls(small[0], event_of(small[1])), calls(large[0], event_of(large[1]))
    assert in_large <= in_small * 1.1 + 20


def of_map(elements: int) -> tuple[Leader, Launch]:
    """A leader of a map of that many elements, of a map over its results, of a group that waits for it within, and
    of a task after all, with some tries open. One has ended: the first end of a kind is news to all that wait."""
    map_over = over(each_of(*range(elements)))
    group, members = mapped_group("group", map_over, container("first"), container("second", "first", "each"))
    tasks = [mapped("each", map_over), mapped("again", over(result_of("each"))), container("last", "again")]
    leader = Unchecked(msgspec.structs.replace(SETTINGS, parallelism=4))
    leader.parse(dag(*tasks, *members, groups=(group,)))
    leader.trigger()
    first, second, *_ = [each for each in leader.prepare_all() if each.attempt.key.task.task_id == "each"]
    leader.exit(first)
    return leader, second


def test_the_end_of_an_instance_costs_the_same_in_a_map_twenty_times_as_long() -> None:
    small, large = of_map(20), of_map(400)
    in_small, in_large = calls(small[0], exited(small[1].attempt)), calls(large[0], exited(large[1].attempt))
    assert in_large <= in_small * 1.1 + 20


def of_branches(elements: int) -> tuple[Leader, Event]:
    """A leader of a mapped branch of that many elements, one of which ends when another has."""
    branch = mapped("branch", over(each_of(*range(elements))), choice=BranchChoice())
    leader = Unchecked(msgspec.structs.replace(SETTINGS, parallelism=4))
    leader.parse(dag(branch, container("left", "branch"), container("right", "branch")))
    leader.trigger()
    first, second, *_ = leader.prepare_all()
    both = b'["left", "right"]'
    leader.exit(first, result=both)
    return leader, exited(second.attempt, result=both)


def test_the_end_of_a_branch_costs_the_same_in_a_map_twenty_times_as_long() -> None:
    small, large = calls(*of_branches(20)), calls(*of_branches(400))
    assert large <= small * 1.1 + 20


def test_expanding_costs_as_much_as_there_are_elements() -> None:
    def expanding(elements: int) -> int:
        leader = Unchecked()
        again = mapped("again", over(result_of("each")))
        leader.parse(
            dag(container("list"), mapped("each", over(result_of("list"))), again, container("last", "each"))
        )
        leader.trigger()
        (launch,) = leader.prepare_all()
        return calls(leader, exited(launch.attempt, result=msgspec.json.encode(list(range(elements)))))

    assert expanding(800) <= expanding(40) * 20 * 1.5
