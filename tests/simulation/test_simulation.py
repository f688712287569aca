"""Whole histories of the shipped scheduler, drawn from seeds: what always holds, holds; and what could break it is
found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from simulations import simulate, without_times

from orchestrator.testing.simulation.outages import Away
from orchestrator.testing.simulation.planted import PLANTED

SEEDS = 120
#: Far more than it takes: a machine may be busy with other things.
SECONDS = 1200.0
pytestmark = pytest.mark.timeout(2 * SECONDS)
HERE = Path(__file__).parent


def test_no_history_violates_what_always_holds() -> None:
    played = simulate("--seeds", str(SEEDS), seconds=SECONDS)
    assert played.returncode == 0, played.stdout + played.stderr
    assert f"{SEEDS} histories, 0 with a violation" in played.stdout


@pytest.mark.long
@pytest.mark.timeout(0)
def test_ten_thousand_histories_violate_nothing() -> None:
    played = simulate("--seeds", "10000", seconds=6 * 3600.0)
    assert played.returncode == 0, played.stdout + played.stderr


def test_every_planted_bug_is_found_within_a_thousand_histories() -> None:
    named = [word for name in PLANTED for word in ("--planted", name)]
    played = simulate(*named, "--seeds", "999", seconds=SECONDS)
    assert played.returncode == 0, played.stdout + played.stderr
    told = dict(line.split(": ", 1) for line in played.stdout.splitlines() if line.split(": ", 1)[0] in PLANTED)
    assert len(PLANTED) >= 10
    assert told.keys() == PLANTED.keys()
    assert [name for name, found in told.items() if "the simulation broke" in found] == []


@pytest.mark.parametrize("away", [Away.SCHEDULER, Away.DATABASE, Away.ENGINE, Away.REGISTRY])
def test_an_outage_runs_nothing_again_and_spends_no_retry(away: Away) -> None:
    played = simulate("--outage", away, "30", "90", "240", "700", seconds=SECONDS)
    assert played.returncode == 0, played.stdout + played.stderr
    assert played.stdout.count("nothing ran again, no retry was spent") == 4


@pytest.mark.parametrize("away", [Away.ASLEEP, Away.FROZEN])
def test_nothing_times_out_or_is_lost_over_an_hour_of_sleep(away: Away) -> None:
    played = simulate("--outage", away, "3600", seconds=SECONDS)
    assert played.returncode == 0, played.stdout + played.stderr


def test_the_same_seed_is_the_same_history() -> None:
    first, second = (simulate("--seeds", "4", "--seed", "20", "--trace", seconds=SECONDS) for _ in range(2))
    assert without_times(first.stdout) == without_times(second.stdout)
    assert any("engine: start" in line for line in without_times(first.stdout))


def test_what_is_simulated_is_what_is_shipped() -> None:
    """The functions of planner, services, store and logs are those of their modules, and every service works."""
    command = [sys.executable, str(HERE / "shipped_code.py")]
    played = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    told = json.loads(played.stdout)
    assert told["violations"] == []
    assert told["changed"] == ["orchestrator.scheduler.scheduler.new_try_id"]  # which are drawn from the seed
    assert set(told["replaced"]) == {"threading", "queue", "socket", "selectors", "set", "new_try_id"}
    assert set(told["idle"]) <= NOT_SIMULATED | WITHOUT_FUNCTIONS


#: Of planning what these histories do not go into: assets, sensors, mapping, approvals, other DAGs, backfills.
NOT_SIMULATED = {
    f"orchestrator.{name}"
    for name in (
        "planning.approvals", "planning.assets", "planning.awaits", "planning.backfills", "planning.caching",
        "planning.deadlines", "planning.expansion", "planning.explain", "planning.externals", "planning.history",
        "planning.lateness", "planning.outlook", "planning.resting", "planning.sensors", "planning.triggers",
        "scheduler.facts", "scheduler.lost_output", "scheduler.refusals", "store.images", "store.late",
        "store.postgresql",
    )
}  # fmt: skip
#: Values, tables and promises.
WITHOUT_FUNCTIONS = {
    f"orchestrator.{name}"
    for name in ("planning.changes", "planning.events", "store.database", "store.portable", "store.tables")
}
