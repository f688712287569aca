"""Five days that are caught up with, and two of them done again."""

import pytest
from examples_project import Examples, states

pytestmark = pytest.mark.engine

DAYS = [f"2019-01-0{day}" for day in range(1, 6)]
ALL = dict.fromkeys(("run", "fetch_events", "calculate_stats", "send_stats"), "success")


@pytest.fixture(scope="module")
def caught_up(examples: Examples) -> Examples:
    examples.project.ok("dags", "unpause", "user_events")
    examples.project.wait_runs("user_events", len(DAYS))
    return examples


def test_each_day_since_the_start_has_a_run_and_files_of_its_own(caught_up: Examples) -> None:
    runs = [run["run_id"] for run in caught_up.project.json("runs", "list", "user_events")]
    assert sorted(runs) == list(map(run_of, DAYS))
    assert [states(caught_up.ended("user_events", run_id)) for run_id in runs] == [ALL] * len(DAYS)
    for day in DAYS:
        assert {row["date"] for row in caught_up.table("user_events", f"stats/{day}.csv")} == {day}


def test_what_is_sent_is_what_was_counted(caught_up: Examples) -> None:
    rows = caught_up.table("user_events", f"stats/{DAYS[0]}.csv")
    events = sum(int(row["events"]) for row in rows)
    told = f"{DAYS[0]}: {events} events of {len(rows)} users\n"
    assert caught_up.text("user_events", f"outbox/{DAYS[0]}.txt") == told


def test_a_backfill_does_days_again_and_leaves_the_same_bytes(caught_up: Examples) -> None:
    before = caught_up.project.files("user_events")
    tried = {day: least_tries(caught_up, day) for day in DAYS}
    command = ("backfill", "create", "user_events", "--from", DAYS[1], "--to", DAYS[2], "--max-active-runs", "2")
    assert [step["does"] for step in caught_up.project.json(*command, "--dry-run")] == ["leave", "leave"]
    told = caught_up.project.json(*command, "--reprocess", "all")
    caught_up.project.wait_backfill(told["id"])
    assert [states(caught_up.ended("user_events", run_of(day))) for day in DAYS] == [ALL] * len(DAYS)
    assert [least_tries(caught_up, day) - tried[day] for day in DAYS] == [0, 1, 1, 0, 0]
    assert caught_up.project.files("user_events") == before


def run_of(day: str) -> str:
    return f"scheduled__{day}T00:00:00+00:00"


def least_tries(examples: Examples, day: str) -> int:
    return min(task.tries for task in examples.ended("user_events", run_of(day)).tasks)
