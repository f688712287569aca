"""A day at New York's airports, from the flights and the weather of 2013 to a page with chart and table."""

from datetime import UTC, datetime, timedelta

from orchestrator import DAG, DockerOperator, Mount

with DAG(
    "nyc_flights",
    description="Delays and cancellations of one day's flights from New York",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    end_date=datetime(2013, 12, 30, tzinfo=UTC),
    catchup=False,
    is_paused_upon_creation=False,
    tags=["example"],
    default_args={
        "mounts": [Mount.root("flights", "/data")],  # where the images work, so paths are relative to it
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(minutes=5),
    },
):
    fetch_flights = DockerOperator(
        task_id="fetch_flights",
        image="flights-fetch",
        command="python -m fetch flights {{ ds }} raw/{{ ds }}/flights.csv",
    )
    fetch_weather = DockerOperator(
        task_id="fetch_weather",
        image="flights-fetch",
        command="python -m fetch weather {{ ds }} raw/{{ ds }}/weather.csv",
    )
    clean_flights = DockerOperator(
        task_id="clean_flights",
        image="flights-table",
        command="python -m clean flights raw/{{ ds }}/flights.csv clean/{{ ds }}/flights.csv",
    )
    clean_weather = DockerOperator(
        task_id="clean_weather",
        image="flights-table",
        command="python -m clean weather raw/{{ ds }}/weather.csv clean/{{ ds }}/weather.csv",
    )
    join = DockerOperator(
        task_id="join",
        image="flights-table",
        command="python -m join clean/{{ ds }}/flights.csv clean/{{ ds }}/weather.csv joined/{{ ds }}.csv",
    )
    rank_carriers = DockerOperator(
        task_id="rank_carriers",
        image="flights-table",
        command="python -m rank joined/{{ ds }}.csv carriers/{{ ds }}.csv",
    )
    delay_chart = DockerOperator(
        task_id="delay_chart",
        image="flights-report",
        command="python -m chart {{ ds }} joined/{{ ds }}.csv charts/{{ ds }}.png",
    )
    report = DockerOperator(
        task_id="report",
        image="flights-report",
        command="""
            python -m report {{ ds }}
                --joined joined/{{ ds }}.csv --carriers carriers/{{ ds }}.csv --chart charts/{{ ds }}.png
                --json report/{{ ds }}.json --html report/{{ ds }}.html
        """,
    )

    fetch_flights >> clean_flights
    fetch_weather >> clean_weather
    [clean_flights, clean_weather] >> join >> [rank_carriers, delay_chart] >> report
