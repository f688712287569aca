"""Examples of one or two runs each."""

from datetime import timedelta

import pytest
from examples_project import Examples, all_of, states

from orchestrator.clock import SystemClock

pytestmark = pytest.mark.engine


def test_only_the_newest_of_several_months_is_deployed(examples: Examples) -> None:
    newest = SystemClock().now().replace(day=1) - timedelta(days=1)
    months = [f"{newest - timedelta(days=31 * back):%Y-%m}-01" for back in (2, 1, 0)]
    dates = ("--from", months[0], "--to", months[-1], "--max-active-runs", "3")
    told = examples.project.json("backfill", "create", "deploy_latest_only", *dates)
    examples.project.wait_backfill(told["id"])
    views = [examples.ended("deploy_latest_only", f"backfill__{month}T00:00:00+00:00") for month in months]
    done = all_of("success", "train_model", "newest", "deploy_model")
    assert [states(view) for view in views] == [done | {"deploy_model": "skipped"}] * 2 + [done]
    assert examples.text("latest_only", "deployed.txt") == f"a model of {months[-1]}\n"


def test_a_try_that_ran_out_of_memory_is_followed_by_one_with_more(examples: Examples) -> None:
    view = examples.run("more_memory")
    assert states(view) == all_of("success", "grow")
    assert [(each.outcome, each.reason and each.reason.code) for each in view.tries] == [
        ("failed", "oom_killed"),
        ("success", None),
    ]


def test_news_are_told_once(examples: Examples) -> None:
    quiet = {**dict.fromkeys(("download", "tell_severe", "remember"), "skipped"), "nothing_new": "success"}
    news = {**dict.fromkeys(quiet, "success"), "nothing_new": "skipped"}
    checked = {"run": "success", "check": "success"}
    days = {"2019-01-08": news, "2019-01-09": quiet, "2019-01-14": news}
    ids = [examples.trigger("nvd_watch", day) for day in days]
    assert [states(examples.ended("nvd_watch", run_id)) for run_id in ids] == [
        {**checked, **expected} for expected in days.values()
    ]


def test_a_temporary_database_goes_whatever_came_of_the_run(examples: Examples) -> None:
    asked = {"2019-01-03": False, "2019-01-04": True}
    ids = [examples.trigger("temporary_database", day, {"fail_export": fail}) for day, fail in asked.items()]
    good, bad = (states(examples.ended("temporary_database", run_id)) for run_id in ids)
    done = all_of("success", "create_database", "fetch", "load", "export", "drop_database")
    assert good == done
    assert bad == done | {"export": "failed", "run": "failed"}
    assert examples.services.sql("SELECT datname FROM pg_database WHERE datname LIKE 'ranking%'") == []
    assert examples.project.files("temporary_database").keys() == {"2019-01-03.csv"}
    ranked = [int(row["events"]) for row in examples.table("temporary_database", "2019-01-03.csv")]
    assert ranked == sorted(ranked, reverse=True) != []


def test_hours_go_into_a_table_once_however_often_they_are_done(examples: Examples) -> None:
    tasks = all_of("success", "fetch", "extract", "count_views", "write", "most_popular")
    ids = [examples.trigger("stocksense", hour) for hour in ("2024-01-01T00:00", "2024-01-01T01:00")]
    assert [states(examples.ended("stocksense", run_id)) for run_id in ids] == [tasks] * 2
    assert states(examples.run("stocksense", "2024-01-01T01:00")) == tasks
    rows = examples.services.sql("SELECT page, views FROM page_views ORDER BY page, hour")
    assert [page for page, _ in rows] == [
        page for page in ("Amazon", "Apple", "Facebook", "Google", "Microsoft") for _ in range(2)
    ]
    most = [str(max(int(first[1]), int(second[1]))) for first, second in zip(rows[::2], rows[1::2], strict=True)]
    assert [row["views"] for row in examples.table("stocksense", "popular/2024-01-01.csv")] == most


def test_functions_run_in_images_with_what_they_need_and_may_end_a_run_early(examples: Examples) -> None:
    ids = [examples.trigger("python_functions", "2024-01-01", {"least": least}) for least in (1, 1_000_000)]
    view, quiet = (examples.ended("python_functions", run_id) for run_id in ids)
    rest = ("busiest", "fetch", "best_product", "tell")
    assert states(view) == all_of("success", "markets", "enough", *rest)
    assert states(quiet) == all_of("success", "markets", "enough") | dict.fromkeys(rest, "skipped")
    market, product = view.results["busiest"], view.results["best_product"]
    rows = view.results["fetch"]
    assert market["sold"] == sum(row["sold"] for row in rows) == max(view.results["markets"].values())
    assert product == max(rows, key=lambda row: row["sold"])["product"]
    assert view.results["tell"] == f"{market['name']} sold {market['sold']}, most of it {product}"


def test_each_dataset_of_a_yaml_file_is_a_dag(examples: Examples) -> None:
    parts = {"events": ["all"], "vulnerabilities": ["all"], "markets": ["harbour", "hill", "park", "station"]}
    ids = {name: examples.trigger(f"dataset_{name}", "2019-01-06") for name in parts}
    for name, run_id in ids.items():
        fetched = [f"fetch.{part}" for part in parts[name]]
        assert states(examples.ended(f"dataset_{name}", run_id)) == all_of("success", *fetched, "publish")
    rows = examples.table("datasets", "markets/2019-01-06.csv")
    assert {row["market"] for row in rows} == set(parts["markets"])
