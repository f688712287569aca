"""Trigger rules against a table written by hand, and against what the words of each rule say naively."""

import csv
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.planning.rules import ParentCounts, Verdict, judge
from orchestrator.states import TaskState, TriggerRule

S, F, U, K, W = (
    TaskState.SUCCESS,
    TaskState.FAILED,
    TaskState.UPSTREAM_FAILED,
    TaskState.SKIPPED,
    TaskState.WAITING,
)
LETTERS = {"S": S, "F": F, "U": U, "K": K, "W": W}
READY, WAITING, SKIPPED, DEAD = Verdict.READY, Verdict.WAITING, Verdict.SKIPPED, Verdict.UPSTREAM_FAILED
TABLE = list(csv.DictReader((Path(__file__).parent / "trigger_rules.csv").read_text().splitlines()))


def counted(states: Iterable[TaskState]) -> ParentCounts:
    parents = list(states)
    counts = ParentCounts(total=len(parents))
    for state in parents:
        counts = counts.having(state) if state.final else counts
    return counts


def naive(rule: TriggerRule, parents: list[TaskState]) -> Verdict:  # noqa: PLR0911, PLR0912, C901 - one rule a case
    """The rule's sentence, read off the list of states."""
    if not parents:
        return READY
    finished = all(state is not W for state in parents)
    bad = [state for state in parents if state in (F, U)]
    match rule:
        case TriggerRule.ALL_SUCCESS:
            dead = DEAD if bad else SKIPPED if finished and K in parents else None
            return READY if all(state is S for state in parents) else dead or WAITING
        case TriggerRule.ALL_FAILED:
            ready = all(state in (F, U) for state in parents)
            return READY if ready else SKIPPED if S in parents or K in parents else WAITING
        case TriggerRule.ALL_DONE:
            return READY if finished else WAITING
        case TriggerRule.ALL_SKIPPED:
            ready = all(state is K for state in parents)
            return READY if ready else SKIPPED if S in parents or bad else WAITING
        case TriggerRule.ONE_SUCCESS:
            lost = SKIPPED if all(state is K for state in parents) else DEAD
            return READY if S in parents else lost if finished else WAITING
        case TriggerRule.ONE_FAILED:
            return READY if bad else SKIPPED if finished else WAITING
        case TriggerRule.ONE_DONE:
            return READY if S in parents or F in parents else SKIPPED if finished else WAITING
        case TriggerRule.NONE_FAILED:
            return DEAD if bad else READY if finished else WAITING
        case TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS:
            ready = READY if S in parents else SKIPPED
            return DEAD if bad else ready if finished else WAITING
        case TriggerRule.NONE_SKIPPED:
            return SKIPPED if K in parents else READY if finished else WAITING
        case TriggerRule.ALL_DONE_MIN_ONE_SUCCESS:
            lost = SKIPPED if all(state is K for state in parents) else DEAD
            return WAITING if not finished else READY if S in parents else lost
        case TriggerRule.ALWAYS:
            return READY


ROWS = {row["present"].strip("-"): row for row in TABLE}


def every(states: str, most: int, least: int = 0) -> Iterator[list[TaskState]]:
    """Every multiset of states, from `least` to `most` of them."""
    for size in range(least, most + 1):
        for letters in itertools.combinations_with_replacement(states, size):
            yield [LETTERS[letter] for letter in letters]


def present(parents: Iterable[TaskState]) -> str:
    """The class of a multiset: which states there are, whatever their number."""
    there = set(parents)
    return "".join(letter for letter, state in LETTERS.items() if state in there)


def test_the_table_holds_every_class_of_parents_and_every_rule() -> None:
    classes = {"".join(each) for size in range(6) for each in itertools.combinations("SFUKW", size)}
    assert set(ROWS) == classes
    assert len(TABLE) == len(classes)
    assert all(set(row) == {"present", *TriggerRule} for row in TABLE)


@pytest.mark.parametrize("rule", TriggerRule)
def test_up_to_four_parents_are_judged_as_the_table_and_the_words_say(rule: TriggerRule) -> None:
    for parents in every("SFUKW", 4):
        assert judge(rule, counted(parents)) == ROWS[present(parents)][rule] == naive(rule, parents), parents


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["present"])
def test_the_table_holds_for_many_parents_of_each_class(row: dict[str, str]) -> None:
    parents = [LETTERS[letter] for letter in row["present"].strip("-")]
    for rule in TriggerRule:
        assert judge(rule, counted(parents)) == judge(rule, counted(parents * 3)) == row[rule], rule


def verdict_on_arrival(rule: TriggerRule, order: Sequence[TaskState]) -> Verdict:
    """The verdict that falls when parents end in this order; at each step the words of the rule say the same."""
    counts = ParentCounts(total=len(order))
    fallen: list[Verdict] = []
    for ended in range(len(order) + 1):
        verdict = judge(rule, counts)
        assert verdict == naive(rule, [*order[:ended], *[W] * (len(order) - ended)]), order[:ended]
        fallen += [verdict] * (verdict is not WAITING)
        counts = counts.having(order[ended]) if ended < len(order) else counts
    assert len(set(fallen)) == 1, "a verdict that fell stays, and one falls in the end"
    return fallen[0]


@pytest.mark.parametrize("rule", TriggerRule)
def test_up_to_four_parents_give_one_verdict_in_every_order_of_arrival(rule: TriggerRule) -> None:
    for parents in every("SFUK", 4):
        orders = set(itertools.permutations(parents))
        assert len({verdict_on_arrival(rule, order) for order in orders}) == 1, parents


@pytest.mark.parametrize("rule", TriggerRule)
def test_a_task_is_given_up_as_soon_as_no_end_of_the_rest_would_have_it_run(rule: TriggerRule) -> None:
    for parents in every("SFUKW", 4, least=1):
        rest = parents.count(W)
        known = [state for state in parents if state is not W]
        ends = {naive(rule, [*known, *end]) for end in itertools.product((S, F, U, K), repeat=rest)}
        verdict = judge(rule, counted(parents))
        assert (verdict is WAITING) or ends == {verdict}
        if len(ends) == 1 and READY not in ends:
            assert verdict in ends, parents


@given(
    rule=st.sampled_from(TriggerRule),
    parents=st.lists(st.sampled_from([S, F, U, K]), max_size=40),
    shuffle=st.randoms(use_true_random=False),
)
def test_many_parents_in_any_order_agree_with_the_words(
    rule: TriggerRule, parents: list[TaskState], shuffle: Random
) -> None:
    other = list(parents)
    shuffle.shuffle(other)
    assert verdict_on_arrival(rule, parents) == verdict_on_arrival(rule, other)


def test_removed_parents_do_not_count() -> None:
    counts = ParentCounts(total=2).having(TaskState.REMOVED)
    assert judge(TriggerRule.ALL_SUCCESS, counts) is WAITING
    assert judge(TriggerRule.ALL_SUCCESS, counts.having(S)) is READY
    assert judge(TriggerRule.ALL_SKIPPED, counts.having(TaskState.REMOVED)) is READY
