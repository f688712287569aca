"""Two DAGs that know nothing of each other but the names of what one makes and the other needs."""

from datetime import UTC, datetime

from orchestrator import DAG, Asset, DockerOperator

sales = Asset("example_sales")
stock = Asset("example_stock")

with DAG(
    "asset_producer",
    description="Counts what was sold and what is left",
    schedule="@daily",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=True,
    tags=["example"],
):
    for asset, number in ((sales, 12), (stock, 30)):
        DockerOperator(
            task_id=f"count_{asset.name.removeprefix('example_')}",
            environment={"NUMBER": number},
            script="""
                echo "{\\"day\\": \\"{{ ds }}\\", \\"number\\": $NUMBER}" > "$ORCHESTRATOR_RESULT"
            """,
            outlets=[asset],  # it is updated when the task has succeeded, and its result goes with the update
        )

with DAG(
    "asset_consumer",
    description="Orders new goods as soon as both are known",
    schedule=sales & stock,
    is_paused_upon_creation=True,
    tags=["example"],
):
    DockerOperator(
        task_id="order",
        environment={
            "SOLD": "{{ triggering_asset_events.example_sales[-1].extra.number }}",
            "LEFT": "{{ triggering_asset_events.example_stock[-1].extra.number }}",
        },
        script='echo "$((SOLD * 3 - LEFT))"',
    )
