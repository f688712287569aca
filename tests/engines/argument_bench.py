"""A bench for arguments: from a `DockerOperator` as written to its container on a real engine."""

import selectors
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from orchestrator import DAG, DockerOperator
from orchestrator.authoring.serialize import to_spec
from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.client import Client
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.ids import ContainerId, DeploymentId, Epoch, RunKey, TaskKey, TryKey, VersionId, new_try_id
from orchestrator.planning.rows import Run
from orchestrator.spec.container import ContainerSpec, ImageFacts
from orchestrator.spec.dag import ContainerTemplate, TaskSpec
from orchestrator.spec.finalize import Site, finalize, with_try
from orchestrator.spec.interval import Interval
from orchestrator.states import RunState, RunType

DAY = datetime(2013, 1, 1, tzinfo=UTC)
KEY = TaskKey("d", "r", "t")
RUN = Run(
    key=RunKey("d", "r"),
    run_type=RunType.MANUAL,
    state=RunState.RUNNING,
    version=VersionId("v"),
    interval=Interval(start=DAY, end=DAY),
    created_at=DAY,
)
PATIENCE = 60


class ArgumentBench:
    """Creates containers of tasks, one at a time, and removes them all."""

    def __init__(
        self, engine: DockerEngine, address: Address, deployment: DeploymentId, image: str, project: Path
    ) -> None:
        self.engine = engine
        self.deployment = deployment
        self.image = image
        self._project = project
        self._client = Client(lambda: address, PATIENCE)
        self._tries = 0
        self._made: list[ContainerId] = []

    @property
    def volumes(self) -> dict[str, dict[str, str]]:
        """Labels of this deployment's volumes, by name."""
        return {volume.name: volume.labels for volume in self.engine.list_volumes(self.deployment)}

    def task(self, **arguments: Any) -> TaskSpec:
        """The task as its DAG file says it, checked as a parse would."""
        with DAG("d") as made:
            DockerOperator(task_id="t", **arguments)
        return to_spec(made, "d.py").task("t")

    def spec(self, **arguments: Any) -> ContainerSpec:
        """Its next try's container."""
        task = self.task(**arguments)
        site = Site(network="none", project=str(self._project), root_path=lambda name: str(self._project / name))
        self._tries += 1
        spec = finalize(
            msgspec.structs.replace(task.container or ContainerTemplate(), image="base"),
            dag=to_spec(DAG("d"), "d.py"),
            task=task,
            run=RUN,
            key=KEY,
            image=ImageFacts(id=self.image, world_writable_tmp=True),
            site=site,
        )
        key = TryKey(KEY, self._tries)
        return with_try(spec, deployment=self.deployment, key=key, try_id=new_try_id(), epoch=Epoch(1))

    def create(self, **arguments: Any) -> ContainerId:
        spec = self.spec(**({} if "script" in arguments else {"command": ["true"]}) | arguments)
        container = self.engine.create(spec)
        self._made.append(container)
        if spec.files:
            self.engine.put_files(container, spec.files)
        return container

    def run(self, script: str, **arguments: Any) -> str:
        """What a shell in it says."""
        return self.start(self.create(script=script, tty=True, **arguments))

    def start(self, container: ContainerId) -> str:
        with closing(self.engine.attach_logs(container)) as stream, selectors.DefaultSelector() as selector:
            self.engine.start(container)
            selector.register(stream, selectors.EVENT_READ)
            data = b""
            while (chunk := stream.recv()) != b"":
                if chunk is None:
                    assert selector.select(PATIENCE)
                else:
                    data += chunk
        return data.decode().replace("\r", "").strip()

    def inspect(self, container: ContainerId) -> dict[str, Any]:
        return self.ask("GET", f"/containers/{container}/json")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the engine's API."""
        reply = self._client.call(method, path, body=None if body is None else msgspec.json.encode(body))
        assert reply.status < 300, reply.text
        return msgspec.json.decode(reply.body) if reply.body else None

    @contextmanager
    def network(self, name: str) -> Iterator[str]:
        """A network of this deployment's own."""
        made = f"orc-{self.deployment}-{name}"
        self.ask("POST", "/networks/create", {"Name": made, "Labels": {"orchestrator.deployment": self.deployment}})
        try:
            yield made
        finally:
            self.clear()
            self.ask("DELETE", f"/networks/{made}")

    def clear(self) -> None:
        for container in self._made:
            self.engine.remove(container, force=True)
        self._made.clear()

    def close(self) -> None:
        self.clear()
        for volume in self.engine.list_volumes(self.deployment):
            self.engine.remove_volume(volume.name)
        self._client.close()
