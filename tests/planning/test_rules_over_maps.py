"""Mapped parents count as their instances: every multiset of ends, in more than one order, under every rule, at
each step against the table of trigger rules."""

import itertools
from collections.abc import Sequence

import pytest
from mapped_dags import each_of, mapped, over
from planning_sim import Leader, container, dag, empty
from test_rules import DEAD, READY, ROWS, SKIPPED, F, K, S, W, every, present

from orchestrator.ids import RunKey
from orchestrator.planning.changes import Launch
from orchestrator.states import TaskState, TriggerRule

CODES = {S: 0, F: 1, K: 99}
#: What an empty task is once its rule has said so much.
BECOMES = {READY: S, SKIPPED: K, DEAD: TaskState.UPSTREAM_FAILED}
ENDS = list(every("SFK", 4, least=1))


def check(leader: Leader, key: RunKey, ended: Sequence[TaskState], number: int) -> None:
    """Each child stands as the table has it for what has ended, and what has not."""
    row = ROWS[present([*ended, *[W] * (number - len(ended))])]
    states = leader.states(key)
    for rule in TriggerRule:
        assert states[f"child_{rule}"] is BECOMES.get(row[rule], TaskState.WAITING), (rule, ended)


@pytest.mark.parametrize("ends", ENDS, ids=present)
def test_instances_are_the_parents_that_rules_count(ends: list[TaskState]) -> None:
    for order in {tuple(ends), tuple(reversed(ends)), *itertools.islice(itertools.permutations(ends), 3)}:
        leader = Leader()
        children = [empty(f"child_{rule}", "p", trigger_rule=rule) for rule in TriggerRule]
        leader.parse(dag(mapped("p", over(each_of(*order)), skip_on_exit_code=(99,)), *children, container("open")))
        key = leader.trigger()
        launches: dict[int, Launch] = {}
        for launch in leader.prepare_all():
            launches[launch.attempt.key.task.map_index] = launch
        for ended, end in enumerate(order):
            check(leader, key, order[:ended], len(order))
            leader.exit(launches[ended], CODES[end])
        check(leader, key, order, len(order))
