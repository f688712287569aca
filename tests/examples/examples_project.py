"""The example DAGs as a user has them, with a scheduler that is up, and what the tests ask of it."""

import csv
import io
from typing import Any, NamedTuple

import msgspec
from cli_project import CliProject, Started
from services import Services

from orchestrator.ids import RunKey, TaskKey
from orchestrator.queries import RunView

#: All DAGs of `dags/examples/`.
DAGS = (
    "approval", "asset_consumer", "asset_producer", "mapped_markets", "movie_ranking", "supermarket_delivery",
    "supermarket_metrics", "supermarket_report", "supermarkets",
    "dataset_events", "dataset_markets", "dataset_vulnerabilities", "deploy_latest_only", "more_memory",
    "nvd_watch", "python_functions", "stocksense", "temporary_database", "umbrella_join_rule", "umbrella_join_task",
    "umbrella_skipped", "user_events",
)  # fmt: skip


class Examples(NamedTuple):
    """A copy of the examples that is up, beside the services they use."""

    project: CliProject
    services: Services
    up: Started

    def trigger(self, dag_id: str, day: str | None = None, conf: dict[str, Any] | None = None) -> str:
        """Ask for a run: its id."""
        date = ("--logical-date", day) if day else ()
        given = ("--conf", msgspec.json.encode(conf).decode()) if conf else ()
        told = self.project.json("dags", "trigger", dag_id, *date, *given)
        return str(told["run_id"])

    def ended(self, dag_id: str, run_id: str) -> RunView:
        """The run, once it has ended."""
        return self.project.ended(RunKey(dag_id=dag_id, run_id=run_id))

    def run(self, dag_id: str, day: str | None = None, conf: dict[str, Any] | None = None) -> RunView:
        """Ask for a run, and wait for its end."""
        return self.ended(dag_id, self.trigger(dag_id, day, conf))

    def text(self, root: str, path: str) -> str:
        """What stands in a file of a data root."""
        return self.project.files(root)[path].decode()

    def table(self, root: str, path: str) -> list[dict[str, str]]:
        """The rows of a CSV file of a data root."""
        return list(csv.DictReader(io.StringIO(self.text(root, path))))


def states(view: RunView) -> dict[str, str]:
    """The state of the run, under its own name, and of each task; of a mapped one, of each instance."""
    return {"run": view.run.state, **{named(task.key): task.state for task in view.tasks}}


def named(key: TaskKey) -> str:
    return key.task_id if key.map_index < 0 else f"{key.task_id}[{key.map_index}]"


def all_of(state: str, *task_ids: str) -> dict[str, str]:
    """Each of these in this state; in a run that is a success."""
    return {"run": "success", **dict.fromkeys(task_ids, state)}
