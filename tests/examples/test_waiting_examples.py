"""Examples that wait: for data, for other runs, for updates of assets, for a person."""

from collections import defaultdict
from statistics import mean

import msgspec
import pytest
from examples_project import Examples, all_of, states

pytestmark = pytest.mark.engine

MARKETS = ("harbour", "hill", "park", "station")


def test_ratings_are_waited_for_fetched_in_pages_and_ranked(examples: Examples) -> None:
    view = examples.run("movie_ranking", "2019-01-05")
    assert states(view) == all_of("success", "wait_for_ratings", "fetch_ratings", "rank_movies")
    looks = examples.project.ok("tasks", "logs", "movie_ranking", "wait_for_ratings").stdout.splitlines()
    assert looks[0] == "0 records"
    assert looks[-1] != looks[0]
    ratings = msgspec.json.decode(examples.project.files("movies")["ratings/2019-01-05.json"])
    assert len(ratings) > 200  # more than two pages
    rated = defaultdict(list)
    for each in ratings:
        rated[each["movie"]].append(each["rating"])
    ranked = examples.table("movies", "rankings/2019-01-05.csv")
    assert [float(row["mean"]) for row in ranked] == sorted(
        (round(mean(each), 4) for each in rated.values()), reverse=True
    )


def test_markets_are_waited_for_and_trigger_another_dag_and_a_third_waits_for_that(examples: Examples) -> None:
    day = "2024-01-05"
    report = examples.trigger("supermarket_report", f"{day}T02:00")
    markets = examples.trigger("supermarkets", day)
    examples.project.wait_task("supermarket_report", "all_there", "up_for_reschedule")
    examples.project.wait_task("supermarkets", "wait_harbour", "up_for_reschedule")
    delivered = examples.run("supermarket_delivery", day)
    assert states(delivered) == all_of("success", *(f"deliver_{market}" for market in MARKETS))
    tasks = [f"{name}_{market}" for name in ("wait", "copy", "metrics") for market in MARKETS]
    assert states(examples.ended("supermarkets", markets)) == all_of("success", *tasks)
    assert states(examples.ended("supermarket_report", report)) == all_of("success", "all_there", "report")
    runs = [run["run_id"] for run in examples.project.json("runs", "list", "supermarket_metrics")]
    assert [states(examples.ended("supermarket_metrics", run)) for run in runs] == [
        all_of("success", "count_sold")
    ] * len(MARKETS)
    lines = [line.split(",") for line in examples.text("supermarkets", f"report-{day}.csv").splitlines()]
    assert {market for market, _ in lines} == set(MARKETS)
    sold = [int(number) for _, number in lines]
    assert sold == sorted(sold, reverse=True)


def test_a_run_begins_once_all_its_assets_are_updated(examples: Examples) -> None:
    examples.project.ok("dags", "unpause", "asset_consumer")
    made = [examples.run("asset_producer", day) for day in ("2024-01-01", "2024-01-02")]
    assert [states(view) for view in made] == [all_of("success", "count_sales", "count_stock")] * 2
    examples.project.wait_runs("asset_consumer", 2)
    runs = [run["run_id"] for run in examples.project.json("runs", "list", "asset_consumer")]
    views = [examples.ended("asset_consumer", run_id) for run_id in runs]
    assert [states(view) for view in views] == [all_of("success", "order")] * 2
    assert [view.results["order"] for view in views] == [6, 6]


@pytest.mark.parametrize("approved", [True, False])
def test_nothing_is_deployed_that_nobody_approved(examples: Examples, *, approved: bool) -> None:
    run_id = examples.trigger("approval")
    examples.project.wait_task("approval", "approve", "up_for_reschedule")
    answer = ("--param", "percent=25") if approved else ("--reject", "--note", "too few cases")
    examples.project.ok("tasks", "approve", "approval", "approve", run_id, *answer)
    done = all_of("success", "train", "approve", "deploy")
    view = examples.ended("approval", run_id)
    assert states(view) == (done if approved else done | {"approve": "skipped", "deploy": "skipped"})
    deployed = f"25% model of {run_id}\n"
    assert (examples.project.files("approval").get("deployed.txt") == deployed.encode()) is approved


def test_there_is_a_task_for_each_market_and_one_for_all_their_results(examples: Examples) -> None:
    view = examples.run("mapped_markets", "2024-01-01")
    counted = [f"count_sold[{number}]" for number in range(len(MARKETS))]
    assert states(view) == all_of("success", "list_markets", *counted, "best", "praise[0]", "praise[1]")
    best = view.results["best"]
    assert len(best) == 2
    assert best[0]["SOLD"] >= best[1]["SOLD"]
