"""Users ranked in a database that is made for the run and dropped at its end, whatever came of it: a set-up and a
teardown. `--conf '{"fail_export": true}'` shows it: the run fails, and the database is gone all the same."""

from datetime import UTC, datetime

from orchestrator import DAG, DockerOperator, Mount, Param, TemplateFile

DATABASE = "ranking_{{ run_id }}"  # no other run's, so that two may go side by side

with DAG(
    "temporary_database",
    description="Users ranked in a database of the run's own",
    schedule="@daily",
    start_date=datetime(2019, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=True,
    params={"fail_export": Param(False, type="boolean", description="Have the export fail, to see what follows")},
    default_args={"image": "sql", "connections": ["example_db"], "mounts": [Mount.run("/data")]},
    tags=["example"],
):
    create_database = DockerOperator(
        task_id="create_database",
        command=["python", "-m", "pg", "create", "example_db", DATABASE],
    )
    fetch = DockerOperator(
        task_id="fetch",
        image="http-fetch",
        connections=["example_api"],
        command="""
            python -m fetch example_api /events /data/events.json
                --query start_date={{ ds }} --query end_date={{ next_ds }}
        """,
    )
    load = DockerOperator(
        task_id="load",
        inputs={"/sql/schema.sql": TemplateFile("sql/temporary_schema.sql")},
        environment={"DATABASE": DATABASE},
        script="""
            python -m pg run example_db /sql/schema.sql --database "$DATABASE"
            python -m pg load example_db events /data/events.json --database "$DATABASE"
        """,
    )
    export = DockerOperator(
        task_id="export",
        mounts=[Mount.root("temporary_database", "/data")],
        inputs={"/sql/ranking.sql": TemplateFile("sql/temporary_ranking.sql")},
        command=[
            "python",
            "-m",
            "pg",
            "export",
            "example_db",
            "/sql/ranking.sql",
            "{{ ds }}.csv",
            "--database",
            DATABASE,
        ],
    )
    drop_database = DockerOperator(
        task_id="drop_database",
        command=["python", "-m", "pg", "drop", "example_db", DATABASE],
    )

    create_database >> load
    fetch >> load >> export >> drop_database.as_teardown(setups=create_database)
