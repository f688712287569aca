"""What becomes of each container of ours, as the reconciler does it and as it is shown beforehand."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from store_rows import NOW, REASON, attempt, run, task

from orchestrator.planning.rows import Try, TryOutcome
from orchestrator.scheduler.keeping import KEPT
from orchestrator.scheduler.upkeep import Upkeep, upkeep_of
from orchestrator.spec.container import ContainerFacts, ContainerState

CREATED, RUNNING, EXITED = ContainerState.CREATED, ContainerState.RUNNING, ContainerState.EXITED
OPEN: dict[str, Any] = {}
OVER = {"outcome": TryOutcome.FAILED, "reason": REASON, "ended_at": NOW}
COLLECTED = {**OVER, "removed_at": NOW}


def _known(*, keep_failed: bool, **fields: Any) -> Try:
    made = attempt(task(run()), "t1")
    return replace(made, spec=replace(made.spec, keep_failed=keep_failed), **fields)


def _facts(state: ContainerState, name: str) -> ContainerFacts:
    return ContainerFacts(id="c1", name=name, state=state, labels={})


@pytest.mark.parametrize(
    ("fields", "state", "expected"),
    [
        (OPEN, RUNNING, Upkeep.FOLLOW),
        (OPEN, EXITED, Upkeep.COLLECT),
        (OPEN, CREATED, Upkeep.MAKE_ANEW),
        (OVER, EXITED, Upkeep.COLLECT),
        (OVER, CREATED, Upkeep.COLLECT),
        (COLLECTED, EXITED, Upkeep.REMOVE),
        (COLLECTED, RUNNING, Upkeep.REMOVE),
        (COLLECTED, CREATED, Upkeep.REMOVE),
    ],
)
def test_it_follows_from_the_try_and_the_state(
    fields: dict[str, Any], state: ContainerState, expected: Upkeep
) -> None:
    known = _known(keep_failed=False, **fields)
    assert upkeep_of(_facts(state, known.spec.name), known, NOW) is expected


def test_what_a_failed_try_asked_to_keep_goes_in_its_time_or_when_it_runs_again() -> None:
    known = _known(keep_failed=True, **COLLECTED)
    name = known.spec.name
    assert upkeep_of(_facts(EXITED, name), known, NOW) is Upkeep.KEEP
    assert upkeep_of(_facts(RUNNING, name), known, NOW) is Upkeep.REMOVE
    assert upkeep_of(_facts(EXITED, name), known, NOW + KEPT - timedelta(seconds=1)) is Upkeep.KEEP
    assert upkeep_of(_facts(EXITED, name), known, NOW + KEPT) is Upkeep.REMOVE


@pytest.mark.parametrize("state", list(ContainerState))
def test_what_no_row_knows_is_left_alone(state: ContainerState) -> None:
    known = _known(keep_failed=False, **COLLECTED)
    assert upkeep_of(_facts(state, known.spec.name), None, NOW) is Upkeep.LEAVE
    assert upkeep_of(_facts(state, "another"), known, NOW) is Upkeep.LEAVE
