"""Trigger rules against a table written by hand, and against what the words of each rule say naively."""

import csv
import itertools
from collections.abc import Iterable
from pathlib import Path

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


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["present"])
def test_each_class_of_parents_gives_what_the_table_says(row: dict[str, str]) -> None:
    parents = [LETTERS[letter] for letter in row["present"].strip("-")]
    for rule in TriggerRule:
        assert judge(rule, counted(parents)) == row[rule], rule
        assert judge(rule, counted(parents * 3)) == row[rule], rule


def test_the_table_holds_every_class_of_parents() -> None:
    classes = {"".join(each) for size in range(1, 6) for each in itertools.combinations("SFUKW", size)} | {"-"}
    assert {row["present"] for row in TABLE} == classes


@pytest.mark.parametrize("rule", TriggerRule)
def test_up_to_four_parents_are_judged_as_the_words_say(rule: TriggerRule) -> None:
    for size in range(5):
        for parents in itertools.combinations_with_replacement((S, F, U, K, W), size):
            assert judge(rule, counted(parents)) == naive(rule, list(parents)), parents


def verdicts_on_the_way(rule: TriggerRule, arrivals: Iterable[TaskState], total: int) -> list[Verdict]:
    counts = ParentCounts(total=total)
    seen = [judge(rule, counts)]
    for state in arrivals:
        counts = counts.having(state)
        seen.append(judge(rule, counts))
    return seen


def assert_same_in_any_order(rule: TriggerRule, orders: Iterable[tuple[TaskState, ...]]) -> None:
    """The first verdict that falls is the same in every order, and the last word."""
    fallen = set()
    for order in orders:
        decided = [each for each in verdicts_on_the_way(rule, order, len(order)) if each is not WAITING]
        assert len(set(decided)) == 1
        fallen.add(decided[0])
    assert len(fallen) == 1


@pytest.mark.parametrize("rule", [rule for rule in TriggerRule if not rule.startswith("one_")])
def test_the_order_of_arrival_never_matters(rule: TriggerRule) -> None:
    for size in range(5):
        for parents in itertools.combinations_with_replacement((S, F, U, K), size):
            assert_same_in_any_order(rule, set(itertools.permutations(parents)) or {()})


@pytest.mark.parametrize("rule", [rule for rule in TriggerRule if rule.startswith("one_")])
def test_rules_that_do_not_wait_give_one_verdict_too(rule: TriggerRule) -> None:
    for size in range(1, 5):
        for parents in itertools.combinations_with_replacement((S, F, U, K), size):
            assert_same_in_any_order(rule, set(itertools.permutations(parents)))


@given(
    rule=st.sampled_from(TriggerRule),
    parents=st.lists(st.sampled_from([S, F, U, K]), min_size=1, max_size=40),
    shuffle=st.randoms(use_true_random=False),
)
def test_many_parents_in_any_order_agree_with_the_words(
    rule: TriggerRule, parents: list[TaskState], shuffle: object
) -> None:
    other = list(parents)
    shuffle.shuffle(other)  # type: ignore[attr-defined]  # hypothesis hands a Random
    assert_same_in_any_order(rule, [tuple(parents), tuple(other)])
    assert judge(rule, counted(parents)) == naive(rule, parents)


def test_removed_parents_do_not_count() -> None:
    counts = ParentCounts(total=2).having(TaskState.REMOVED)
    assert judge(TriggerRule.ALL_SUCCESS, counts) is WAITING
    assert judge(TriggerRule.ALL_SUCCESS, counts.having(S)) is READY
    assert judge(TriggerRule.ALL_SKIPPED, counts.having(TaskState.REMOVED)) is READY
