"""Which days sell umbrellas: sales come from one of two systems, by the date, and weather beside them. The three
DAGs differ in the place where the two branches meet again."""

from datetime import UTC, datetime

from orchestrator import DAG, EmptyOperator, Mount, TriggerRule, task


@task.branch
def pick_erp(new_since, ds=None):
    """Sales of a day are in the system that was in use on it."""
    return "fetch_sales_new" if ds >= new_since else "fetch_sales_old"


@task.docker
def fetch_sales(erp, ds=None):
    """A day's sales of ten shops, as this system writes them."""
    import json
    import random
    from pathlib import Path

    chance = random.Random(f"rain {ds}")
    sold = {f"shop {number}": 5 + 2 * chance.randrange(10) for number in range(10)}
    if erp == "new":
        text = json.dumps([{"shop": shop, "sold": number} for shop, number in sold.items()])
    else:
        text = "".join(f"{shop};{number}\n" for shop, number in sold.items())
    Path(f"/data/sales.{erp}").write_text(text)


@task.docker
def clean_sales(erp):
    """The same table from either system."""
    import csv
    import json
    from pathlib import Path

    text = Path(f"/data/sales.{erp}").read_text()
    if erp == "new":
        rows = [(each["shop"], each["sold"]) for each in json.loads(text)]
    else:
        rows = [line.split(";") for line in text.splitlines()]
    with open("/data/sales.csv", "w", newline="") as file:
        csv.writer(file).writerows([("shop", "sold"), *rows])


@task.docker
def fetch_weather(ds=None):
    """Millimetres of rain that fell on each shop, or nothing where its gauge failed."""
    import random
    from pathlib import Path

    chance = random.Random(f"rain {ds}")
    rain = [f"shop {number},{chance.randrange(10)}\n" for number in range(10)]
    Path("/data/weather.raw").write_text("".join([*rain, "shop 10,\n"]))


@task.docker
def clean_weather():
    from pathlib import Path

    lines = Path("/data/weather.raw").read_text().splitlines()
    whole = [f"{line}\n" for line in lines if not line.endswith(",")]
    Path("/data/weather.csv").write_text("shop,rain\n" + "".join(whole))


@task.docker
def join_datasets():
    import csv

    with open("/data/weather.csv") as weather, open("/data/sales.csv") as sales:
        rain = {row["shop"]: row["rain"] for row in csv.DictReader(weather)}
        rows = [(row["shop"], row["sold"], rain[row["shop"]]) for row in csv.DictReader(sales)]
    with open("/data/joined.csv", "w", newline="") as file:
        csv.writer(file).writerows([("shop", "sold", "rain"), *rows])
    return len(rows)


@task.docker
def train_model():
    """Umbrellas that are sold for each millimetre of rain, and without any: a line through the points."""
    import csv
    from statistics import linear_regression

    with open("/data/joined.csv") as file:
        rows = [(float(row["rain"]), float(row["sold"])) for row in csv.DictReader(file)]
    slope, intercept = linear_regression(*zip(*rows, strict=True))
    return {"per_millimetre": round(slope, 6), "without_rain": round(intercept, 6)}


@task.docker(mounts=[Mount.root("umbrella", "/models")])
def deploy_model(model, dag=None, ds=None):
    import json
    from pathlib import Path

    Path(f"/models/{dag.dag_id}-{ds}.json").write_text(json.dumps(model))


def umbrella(dag_id, description, *, join_rule=TriggerRule.ALL_SUCCESS, join_first=False):
    """`join_rule` is that of the join of all data; with `join_first` the branches meet in a task of their own."""
    with DAG(
        dag_id,
        description=description,
        schedule="@daily",
        start_date=datetime(2024, 1, 1, tzinfo=UTC),
        is_paused_upon_creation=True,
        default_args={"mounts": [Mount.run("/data")]},
        tags=["example"],
    ):
        pick = pick_erp("2024-03-01")
        cleaned = []
        for erp in ("old", "new"):
            fetched = fetch_sales.override(task_id=f"fetch_sales_{erp}")(erp)
            cleaned.append(clean_sales.override(task_id=f"clean_sales_{erp}")(erp))
            pick >> fetched >> cleaned[-1]
        weather = clean_weather()
        fetch_weather() >> weather
        if join_first:
            join_erp = EmptyOperator(task_id="join_erp", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
            cleaned >> join_erp
            cleaned = [join_erp]
        join = join_datasets.override(trigger_rule=join_rule)()
        model = train_model()
        [*cleaned, weather] >> join >> model
        deploy_model(model)


umbrella("umbrella_skipped", "The join waits for both branches to succeed, so it is always skipped: a mistake")
umbrella(
    "umbrella_join_rule",
    "The join of all data takes what one branch brought",
    join_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
)
umbrella("umbrella_join_task", "The branches meet in a task of their own: all after it is as ever", join_first=True)
