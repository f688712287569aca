"""Which company's page was looked at most, hour by hour: compressed files through a volume of the run into a table
of PostgreSQL, by SQL that stands in files of its own. An hour that is done again replaces its rows."""

from datetime import UTC, datetime

from orchestrator import DAG, DockerOperator, Mount, TemplateFile, task


@task.docker
def count_views(pages):
    """Views of these pages in the English Wikipedia; 0 for one that nobody looked at."""
    views = dict.fromkeys(pages, 0)
    with open("/data/pageviews") as file:
        for line in file:
            language, page, number, _ = line.split()
            if language == "en" and page in views:
                views[page] = int(number)
    return views


with DAG(
    "stocksense",
    description="Page views of five companies, hour by hour",
    schedule="@hourly",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=True,
    max_active_runs=4,  # each has a volume of its own, so their files do not meet
    default_args={"mounts": [Mount.run("/data")], "connections": ["example_api"]},
    tags=["example"],
):
    fetch = DockerOperator(
        task_id="fetch",
        image="http-fetch",
        command="""
            python -m fetch example_api
                /pageviews/{{ data_interval_start.strftime("%Y%m%d-%H") }}.gz /data/pageviews.gz
        """,
    )
    extract = DockerOperator(
        task_id="extract",
        script="gunzip --force /data/pageviews.gz",
    )
    views = count_views(["Amazon", "Apple", "Facebook", "Google", "Microsoft"])
    write = DockerOperator(
        task_id="write",
        image="sql",
        connections=["example_db"],
        inputs={"/sql/upsert.sql": TemplateFile("sql/stocksense_upsert.sql")},
        command="python -m pg run example_db /sql/upsert.sql",
    )
    most_popular = DockerOperator(
        task_id="most_popular",
        image="sql",
        connections=["example_db"],
        mounts=[Mount.root("stocksense", "/data")],
        inputs={"/sql/popular.sql": TemplateFile("sql/stocksense_popular.sql")},
        command="python -m pg export example_db /sql/popular.sql popular/{{ ds }}.csv",
    )

    fetch >> extract >> views >> write >> most_popular
