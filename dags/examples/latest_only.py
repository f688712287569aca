"""Every month's model is trained, also in a backfill of many months; only the newest one is deployed."""

from datetime import UTC, datetime

from orchestrator import DAG, DockerOperator, LatestOnlyOperator, Mount

with DAG(
    "deploy_latest_only",
    description="A model for each month, the newest of which is deployed",
    schedule="@monthly",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=True,
    default_args={"mounts": [Mount.root("latest_only", "/models")]},
    tags=["example"],
):
    train_model = DockerOperator(
        task_id="train_model",
        script="""
            echo 'a model of {{ ds }}' > /models/{{ ds }}.txt
            echo '{{ ds }}'
        """,
    )
    newest = LatestOnlyOperator(task_id="newest")
    deploy_model = DockerOperator(
        task_id="deploy_model",
        script="cp /models/{{ ds }}.txt /models/deployed.txt",
    )

    [train_model, newest] >> deploy_model
