"""Events of five days, each day in a run and a file of its own: runs catch up, and a backfill goes further back or
does days again, with the same bytes."""

from datetime import UTC, datetime, timedelta

from orchestrator import DAG, DockerOperator, Mount, task


@task.docker
def calculate_stats(ds=None):
    """Events of each user on the day."""
    import csv
    import json
    from collections import Counter
    from pathlib import Path

    events = json.loads(Path(f"/data/events/{ds}.json").read_text())
    counts = Counter(event["user"] for event in events)
    new = Path(f"/data/stats/.{ds}.csv")
    new.parent.mkdir(exist_ok=True)
    with new.open("w", newline="") as file:
        csv.writer(file).writerows([("date", "user", "events"), *((ds, *each) for each in sorted(counts.items()))])
    new.replace(f"/data/stats/{ds}.csv")
    return {"users": len(counts), "events": len(events)}


with DAG(
    "user_events",
    description="Events of each day by user",
    schedule="@daily",
    start_date=datetime(2019, 1, 1, tzinfo=UTC),
    end_date=datetime(2019, 1, 5, tzinfo=UTC),
    catchup=True,
    max_active_runs=3,
    is_paused_upon_creation=True,
    default_args={
        "mounts": [Mount.root("user_events", "/data")],
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
    },
    tags=["example"],
):
    fetch_events = DockerOperator(
        task_id="fetch_events",
        image="http-fetch",
        connections=["example_api"],
        command="""
            python -m fetch example_api /events events/{{ ds }}.json
                --query start_date={{ ds }} --query end_date={{ next_ds }}
        """,
    )
    stats = calculate_stats()
    send_stats = DockerOperator(
        task_id="send_stats",  # a task of its own: to send again needs no new calculation, nor the other way round
        environment={"EVENTS": stats["events"], "USERS": stats["users"]},
        script="""
            mkdir -p /data/outbox
            echo "{{ ds }}: $EVENTS events of $USERS users" > /data/outbox/{{ ds }}.txt
        """,
    )

    fetch_events >> stats >> send_stats
