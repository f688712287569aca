"""Waits until a day's ratings are published, fetches all pages of them, and ranks the movies. Between two looks the
sensor has no container and holds nothing back, however long it takes."""

from datetime import UTC, datetime, timedelta

from orchestrator import DAG, DockerOperator, DockerSensor, Mount, task


@task.docker
def rank_movies(least_users, ds=None):
    """Movies by their mean rating, those that few users rated left out."""
    import csv
    import json
    from collections import defaultdict
    from pathlib import Path
    from statistics import mean

    rated, users = defaultdict(list), defaultdict(set)
    for each in json.loads(Path(f"/data/ratings/{ds}.json").read_text()):
        rated[each["movie"]].append(each["rating"])
        users[each["movie"]].add(each["user"])
    rows = [(movie, round(mean(rated[movie]), 4), len(users[movie])) for movie in rated]
    known = [row for row in rows if row[2] >= least_users]
    new = Path(f"/data/rankings/.{ds}.csv")
    new.parent.mkdir(exist_ok=True)
    with new.open("w", newline="") as file:
        ranked = sorted(known, key=lambda row: (-row[1], -row[2], row[0]))
        csv.writer(file).writerows([("movie", "mean", "users"), *ranked])
    new.replace(f"/data/rankings/{ds}.csv")


with DAG(
    "movie_ranking",
    description="Movies by the ratings of each day",
    schedule="@daily",
    start_date=datetime(2019, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=True,
    default_args={
        "image": "http-fetch",
        "connections": ["example_api"],  # host, login and password, as a file of the task's user
        "mounts": [Mount.root("movies", "/data")],
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
    },
    tags=["example"],
):
    wait_for_ratings = DockerSensor(
        task_id="wait_for_ratings",
        command="""
            python -m available example_api /ratings
                --query start_date={{ ds }} --query end_date={{ next_ds }}
        """,
        poke_interval=timedelta(seconds=2),
        timeout=timedelta(hours=6),
    )
    fetch_ratings = DockerOperator(
        task_id="fetch_ratings",
        command="""
            python -m fetch example_api /ratings ratings/{{ ds }}.json --page-size 100
                --query start_date={{ ds }} --query end_date={{ next_ds }}
        """,
    )

    wait_for_ratings >> fetch_ratings >> rank_movies(least_users=3)
