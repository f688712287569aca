"""Tells of vulnerabilities when the list of them has changed. The look at the list is a branch, so a day without
news is seen as one: what would follow is skipped."""

from datetime import UTC, datetime

from orchestrator import DAG, DockerOperator, EmptyOperator, Mount, task


@task.branch(image="http-fetch", connections=["example_api"])
def check(ds=None):
    """Compare the digest of the list with that of the list we know."""
    from pathlib import Path

    from api import Api  # the image's own module

    known = Path("known.txt")
    now = Api.connected("example_api").json(f"/vulnerabilities/{ds}/digest", {})["sha256"]
    return "nothing_new" if known.exists() and known.read_text() == now else "download"


@task.docker
def tell_severe(file, least):
    """Those that are severe, the worst first."""
    import json
    from pathlib import Path

    found = [each for each in json.loads(Path(file).read_text()) if each["severity"] >= least]
    for each in sorted(found, key=lambda one: (-one["severity"], one["id"])):
        print(f"{each['severity']:4} {each['id']}, published {each['published']}")
    return len(found)


with DAG(
    "nvd_watch",
    description="Vulnerabilities, when there are new ones",
    schedule="@daily",
    start_date=datetime(2019, 1, 1, tzinfo=UTC),
    max_active_runs=1,  # what is known is one file
    is_paused_upon_creation=True,
    default_args={"mounts": [Mount.root("nvd", "/data")]},
    tags=["example"],
):
    checked = check()
    download = DockerOperator(
        task_id="download",
        image="http-fetch",
        connections=["example_api"],
        command="python -m fetch example_api /vulnerabilities/{{ ds }} lists/{{ ds }}.json",
    )
    told = tell_severe("/data/lists/{{ ds }}.json", 7)
    remember = DockerOperator(
        task_id="remember",  # last, so that whatever fails before it is looked at again
        script="""
            sha256sum /data/lists/{{ ds }}.json | head -c 64 > /data/.known
            mv /data/.known /data/known.txt
        """,
    )
    nothing_new = EmptyOperator(task_id="nothing_new")

    checked >> [download, nothing_new]
    download >> told >> remember
