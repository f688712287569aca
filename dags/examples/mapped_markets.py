"""As many tasks as there are markets on the day, which nobody knows before the run: one for each, one that takes
all their results, and one more for each of the best."""

from datetime import UTC, datetime

from orchestrator import DAG, DockerOperator, task


@task.docker
def list_markets():
    from api import Api

    return Api.connected("example_api").json("/markets", {})


@task.docker(map_index_template="{{ element('market') }}")
def count_sold(market, ds=None):
    """What a market sold of all products: an instance for each."""
    from api import Api

    rows = Api.connected("example_api").json(f"/markets/{market}/{ds}", {})
    return {"MARKET": market, "SOLD": sum(row["sold"] for row in rows)}


@task.docker
def best(sold, number):
    """Gets the results of all instances, in order."""
    return sorted(sold, key=lambda each: (-each["SOLD"], each["MARKET"]))[:number]


with DAG(
    "mapped_markets",
    description="What each market sold, however many there are",
    schedule="@daily",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=True,
    default_args={"image": "http-fetch", "connections": ["example_api"]},
    tags=["example"],
):
    sold = count_sold.expand(market=list_markets())
    DockerOperator.partial(
        task_id="praise",
        script='echo "$MARKET sold $SOLD"',
    ).expand(environment=best(sold, number=2))
