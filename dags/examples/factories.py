"""DAGs and tasks out of a YAML file: who adds a dataset there writes no Python. A change of it is noticed like
one of this file."""

from datetime import UTC, datetime
from pathlib import Path

import yaml

from orchestrator import DAG, DockerOperator, Mount, TaskGroup, task


@task.docker
def publish(parts, columns, name, ds=None):
    """One table of all parts, with these columns."""
    import csv
    import json
    from pathlib import Path

    rows = [row for part in parts for row in json.loads(Path(part).read_text())]
    file = Path(f"/data/{name}/{ds}.csv")
    file.parent.mkdir(exist_ok=True)
    with file.open("w", newline="") as output:
        table = csv.DictWriter(output, columns)
        table.writeheader()
        table.writerows(rows)
    return len(rows)


def fetch_part(name, path, part):
    """The task that fetches one part, and the file it leaves."""
    file = f"/data/raw/{name}/{{{{ ds }}}}/{part}.json"
    DockerOperator(
        task_id=part,
        image="http-fetch",
        connections=["example_api"],
        command=["python", "-m", "fetch", "example_api", path.replace("{part}", part), file],
    )
    return file


def dataset_dag(name, description, schedule, path, columns, parts=("all",)):
    with DAG(
        f"dataset_{name}",
        description=description,
        schedule=schedule,
        start_date=datetime(2019, 1, 1, tzinfo=UTC),
        is_paused_upon_creation=True,
        default_args={"mounts": [Mount.root("datasets", "/data")]},
        tags=["example", "dataset"],
    ):
        with TaskGroup("fetch") as fetch:
            files = [fetch_part(name, path, part) for part in parts]
        fetch >> publish(files, columns, name)


for name, dataset in yaml.safe_load(Path(__file__).with_name("factories.yaml").read_text())["datasets"].items():
    dataset_dag(name, **dataset)
