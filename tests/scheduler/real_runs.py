"""Runs of a DAG file in the foreground, on a real engine: what `dags test` does, without its face."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.app import App
from orchestrator.dagfiles.lookup import find_dag
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.foreground import Foreground
from orchestrator.ids import ContainerId, DeploymentId, TryKey
from orchestrator.ports import LogFlag, LogStore
from orchestrator.queries import RunView
from orchestrator.settings import open_project
from orchestrator.spec.artifacts import Harvest
from orchestrator.spec.container import ContainerFacts, VolumeFacts
from orchestrator.spec.value import Value

HEAD = """
from orchestrator import DAG, DockerOperator, Mount, Secret
with DAG("d") as dag:
"""


class Ended(Value, frozen=True, kw_only=True):
    """A run that is over, and what it left on the engine."""

    view: RunView
    containers: tuple[ContainerFacts, ...]
    volumes: tuple[VolumeFacts, ...]
    harvests: tuple[Harvest, ...] = ()  #: of tries of which there is one, in order
    logs: dict[str, bytes] = {}  #: what was written, by task
    seen: tuple[str, ...] = ()  #: what `RealRuns.look` saw in each container that was left

    @property
    def states(self) -> dict[str, str]:
        return {task.key.task_id: str(task.state) for task in self.view.tasks}

    @property
    def reasons(self) -> dict[str, str]:
        return {task.key.task_id: str(task.reason.code) for task in self.view.tasks if task.reason}


class RealRuns:
    """Runs DAGs of a project of its own."""

    def __init__(self, folder: Path, image: str) -> None:
        self.root = folder
        self.look: Callable[[DockerEngine, ContainerId], str] = lambda _, __: ""
        self.conf: dict[str, Any] = {}
        (folder / "dags").mkdir()
        self._environment = {
            **os.environ,
            "ORCHESTRATOR_HOME": str(folder / ".orchestrator"),
            "ORCHESTRATOR__TASKS__DEFAULT_IMAGE": image,
        }

    def run(self, *tasks: str, **settings: str) -> Ended:
        """A DAG of these statements, to its end. What it leaves behind on purpose is removed afterwards."""
        return self.run_file(HEAD + "".join(f"    {each}\n" for each in tasks), **settings)

    def run_file(self, text: str, **settings: str) -> Ended:
        """The DAG `d` of a file with this text, likewise."""
        (self.root / "dags" / "d.py").write_text(text)
        app = App(open_project(self.root, self._environment | settings))
        with app.trial() as parts:
            engine, deployment = app.engine(), parts.store.deployment()
            with cleared(engine, deployment):
                foreground = Foreground(parts, lambda _: None)
                dag = find_dag(app.project.dags_folder, parts.parser, "d")
                foreground.start(dag, logical_date=None, conf=self.conf)
                view = foreground.wait()
                containers = engine.list_ours(deployment)
                harvests = (parts.artifacts.harvest(attempt.key) for attempt in view.tries)
                return Ended(
                    view=view,
                    containers=containers,
                    volumes=engine.list_volumes(deployment),
                    harvests=tuple(filter(None, harvests)),
                    logs={each.key.task.task_id: log_of(parts.logs, each.key) for each in view.tries},
                    seen=tuple(self.look(engine, ContainerId(each.id)) for each in containers),
                )


def log_of(logs: LogStore, key: TryKey) -> bytes:
    """Without lines of ours."""
    return b"".join(each.data for each in logs.records(key) if LogFlag.SYSTEM not in each.flags)


@contextmanager
def cleared(engine: DockerEngine, deployment: DeploymentId) -> Iterator[None]:
    try:
        yield
    finally:
        for container in engine.list_ours(deployment):
            engine.remove(ContainerId(container.id), force=True)
        for volume in engine.list_volumes(deployment):
            engine.remove_volume(volume.name)
        engine.close()
