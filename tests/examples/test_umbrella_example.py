"""Two branches of which one is skipped, and three ways to join them."""

import json

import pytest
from examples_project import Examples, states

from orchestrator.queries import RunView

pytestmark = pytest.mark.engine

OLD, NEW = "2024-02-28", "2024-03-01"
WEATHER = ("fetch_weather", "clean_weather")
AFTER = ("join_datasets", "train_model", "deploy_model")


def branched(taken: str, other: str, *, after: str) -> dict[str, str]:
    """The states of a run that took one system, and of what comes after the branches."""
    return {
        "run": "success",
        "pick_erp": "success",
        **dict.fromkeys((f"fetch_sales_{taken}", f"clean_sales_{taken}", *WEATHER), "success"),
        **dict.fromkeys((f"fetch_sales_{other}", f"clean_sales_{other}"), "skipped"),
        **dict.fromkeys(AFTER, after),
    }


@pytest.fixture(scope="module")
def ended(examples: Examples) -> dict[str, RunView]:
    """A run of each of the three, side by side."""
    days = {"umbrella_skipped": NEW, "umbrella_join_rule": OLD, "umbrella_join_task": NEW}
    run_ids = {dag_id: examples.trigger(dag_id, day) for dag_id, day in days.items()}
    return {dag_id: examples.ended(dag_id, run_id) for dag_id, run_id in run_ids.items()}


def test_a_join_that_waits_for_all_to_succeed_is_skipped_with_all_after_it(ended: dict[str, RunView]) -> None:
    assert states(ended["umbrella_skipped"]) == branched("new", "old", after="skipped")


def test_a_join_may_take_what_one_branch_brought(ended: dict[str, RunView]) -> None:
    assert states(ended["umbrella_join_rule"]) == branched("old", "new", after="success")


def test_branches_may_meet_in_a_task_of_their_own(ended: dict[str, RunView], examples: Examples) -> None:
    expected = {**branched("new", "old", after="success"), "join_erp": "success"}
    assert states(ended["umbrella_join_task"]) == expected
    model = json.loads(examples.text("umbrella", f"umbrella_join_task-{NEW}.json"))
    assert model == {"per_millimetre": 2.0, "without_rain": 5.0}
