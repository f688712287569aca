"""Four markets deliver files when they like. Each is waited for, and has its numbers made by another DAG; a third
one, two hours later, waits for the first."""

from datetime import UTC, datetime, timedelta

from orchestrator import (
    DAG,
    DockerOperator,
    DockerSensor,
    ExternalTaskSensor,
    Mount,
    Param,
    TriggerDagRunOperator,
    task,
)

MARKETS = ("harbour", "hill", "park", "station")
COMMON = {
    "is_paused_upon_creation": True,
    "default_args": {"mounts": [Mount.root("supermarkets", "/data")]},
    "tags": ["example"],
}

with DAG(
    "supermarkets",
    description="Takes over what markets deliver",
    schedule="@daily",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    max_active_tasks=4,  # tasks that wait do not count, however many days they wait for
    **COMMON,
):
    for market in MARKETS:
        wait = DockerSensor(
            task_id=f"wait_{market}",
            # A file alone may be half written: the mark comes after it.
            script=f"test -e /data/incoming/{market}/{{{{ ds }}}}/_SUCCESS || exit 75",
            poke_interval=timedelta(seconds=5),
            timeout=timedelta(days=2),
        )
        copy = DockerOperator(
            task_id=f"copy_{market}",
            script=f"""
                mkdir -p /data/raw/{{{{ ds }}}}
                cp /data/incoming/{market}/{{{{ ds }}}}/sales.json /data/raw/{{{{ ds }}}}/{market}.json
            """,
        )
        metrics = TriggerDagRunOperator(
            task_id=f"metrics_{market}",
            trigger_dag_id="supermarket_metrics",
            conf={"market": market},
            logical_date="{{ logical_date }}",
            wait_for_completion=True,
        )
        wait >> copy >> metrics


@task.docker
def count_sold(ds=None, params=None):
    """What a market sold of all products."""
    import json
    from pathlib import Path

    rows = json.loads(Path(f"/data/raw/{ds}/{params['market']}.json").read_text())
    sold = sum(row["sold"] for row in rows)
    file = Path(f"/data/metrics/{ds}/{params['market']}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{sold}\n")
    return sold


with DAG(
    "supermarket_metrics",
    description="The numbers of one market, when somebody asks for them",
    schedule=None,
    params={"market": Param("harbour", enum=MARKETS)},
    **COMMON,
):
    count_sold()


with DAG(
    "supermarket_report",
    description="Compares the markets, at two o'clock",
    schedule="0 2 * * *",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    **COMMON,
):
    all_there = ExternalTaskSensor(
        task_id="all_there",
        external_dag_id="supermarkets",
        external_task_ids=[f"metrics_{market}" for market in MARKETS],
        execution_delta=timedelta(hours=2),  # its runs begin at midnight
        failed_states=["failed", "upstream_failed"],
    )
    report = DockerOperator(
        task_id="report",
        script="""
            cd /data/metrics/{{ ds }}
            grep . * | tr : , | sort -t , -k 2 -n -r > /data/report-{{ ds }}.csv
        """,
    )

    all_there >> report


with DAG(
    "supermarket_delivery",
    description="Stands in for the markets: delivers the files of a day, when it is asked to",
    schedule=None,
    **COMMON,
):
    for market in MARKETS:
        DockerOperator(
            task_id=f"deliver_{market}",
            image="http-fetch",
            connections=["example_api"],
            script=f"""
                folder=incoming/{market}/{{{{ ds }}}}
                python -m fetch example_api /markets/{market}/{{{{ ds }}}} "$folder/sales.json"
                touch "$folder/_SUCCESS"
            """,
        )
