"""Two DAGs that know nothing of each other but the names of what one makes and the other needs."""

from datetime import UTC, datetime

from orchestrator import DAG, Asset, DockerOperator, task

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


@task.docker
def order(triggering_asset_events=None):
    """Three times what was sold, less what is left; nothing where a run was asked for by hand, without updates."""
    newest = {name: events[-1]["extra"]["number"] for name, events in triggering_asset_events.items()}
    return max(0, newest.get("example_sales", 0) * 3 - newest.get("example_stock", 0))


with DAG(
    "asset_consumer",
    description="Orders new goods as soon as both are known",
    schedule=sales & stock,
    is_paused_upon_creation=True,
    tags=["example"],
):
    order()
