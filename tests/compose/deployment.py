"""The orchestrator as `docker compose up` deploys it, from a copy of what the repository holds, beside whatever
else this machine's engine runs: names of its own, a network of its own, and nothing left of it."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import docker
import msgspec
from docker.models.containers import Container

from orchestrator.clock import SystemClock

REPOSITORY = Path(__file__).parents[2]
PROBES = Path(__file__).parent / "deployed_dags"
PATIENCE = 280
#: How a deployment under test differs from everybody's: names, quicker checks, one data root on the host.
_OVERRIDE = """
x-ours: &ours
  environment:
    ORCHESTRATOR__ENGINE__NETWORK: {network}
    ORCHESTRATOR__ROOTS__RESULTS: /results
  volumes:
    - {results}:/results
  secrets: [probe]
services:
  postgres:
    healthcheck:
      interval: 1s
      retries: 60
  scheduler:
    <<: *ours
    healthcheck:
      interval: 1s
      retries: 60  # a busy machine takes its time
  standby: *ours
secrets:
  probe:
    file: {secret}
networks:
  tasks:
    name: {network}
"""


class Deployment:
    """One project of `docker compose`, of these local images in the place of those that a registry has. `variables`
    are those that make it work on this machine."""

    def __init__(self, folder: Path, base: str, postgres: str, variables: Mapping[str, str]) -> None:
        self.name = f"orctest{secrets.token_hex(4)}"
        self.network = f"{self.name}-tasks"
        self.folder = folder
        self.results = folder.parent / "results"
        self.results.mkdir()
        images = {"ORCHESTRATOR_BASE": base, "ORCHESTRATOR_POSTGRES": postgres}
        self._variables = {**os.environ, **variables, **images}
        self._engine = docker.from_env()
        _copy_repository(folder)
        for probe in PROBES.glob("*.py"):
            shutil.copy(probe, folder / "dags")
        override = folder / "override.yml"
        secret = folder.parent / "probe"
        secret.write_text("everybody on the host may read it")
        secret.chmod(0o644)
        override.write_text(_OVERRIDE.format(network=self.network, results=self.results, secret=secret))

    # --- docker compose --------------------------------------------------------------------------------

    def compose(self, *arguments: str, files: Sequence[str] = ("docker-compose.yml", "override.yml")) -> str:
        """What it prints; it must end well."""
        done = self.try_compose(*arguments, files=files)
        told = f"docker compose {' '.join(arguments)} ended with {done.returncode}"
        assert done.returncode == 0, f"{told}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def try_compose(
        self, *arguments: str, files: Sequence[str] = ("docker-compose.yml", "override.yml")
    ) -> subprocess.CompletedProcess[str]:
        chosen = [word for file in files for word in ("-f", file)]
        return subprocess.run(
            ["docker", "compose", "-p", self.name, *chosen, *arguments],
            cwd=self.folder,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def up(self) -> None:
        """Deployed, and healthy."""
        done = self.try_compose("up", "--detach", "--wait", "--wait-timeout", "120")
        said = "" if done.returncode == 0 else self.try_compose("logs", "--tail", "40").stdout
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{said}"

    @contextmanager
    def standby(self) -> Iterator[Container]:
        """A second scheduler beside the first one, for a while, which says when it stands by."""
        chosen = ("--profile", "standby")
        try:
            self.compose(*chosen, "up", "--detach", "standby")
            yield self.service("standby")
        finally:
            self.compose(*chosen, "rm", "--stop", "--force", "standby")

    def orchestrator(self, *arguments: str) -> str:
        """A command inside, as a user calls it."""
        return self.compose("exec", "-T", "scheduler", "orchestrator", *arguments)

    def json(self, *arguments: str) -> Any:
        return msgspec.json.decode(self.orchestrator(*arguments, "--output", "json"))

    # --- what the engine has of it ---------------------------------------------------------------------

    @property
    def scheduler(self) -> Container:
        return self.service("scheduler")

    def service(self, name: str) -> Container:
        """Its container, running or ended."""
        labels = [f"com.docker.compose.project={self.name}", f"com.docker.compose.service={name}"]
        (container,) = self._engine.containers.list(all=True, filters={"label": labels})
        return container

    @contextmanager
    def starts(self, dag_id: str) -> Iterator[Iterator[Container]]:
        """Containers of a DAG's tries as they start, from now on."""
        with self._started(f"orchestrator.dag_id={dag_id}") as ids:
            found = (self._container(each) for each in ids)
            yield (each for each in found if each is not None and self._is_here(each))

    @contextmanager
    def starts_of_scheduler(self) -> Iterator[Iterator[str]]:
        """Ids, as the scheduler's container starts, from now on."""
        ours = (f"com.docker.compose.project={self.name}", "com.docker.compose.service=scheduler")
        with self._started(*ours) as ids:
            yield ids

    def _started(self, *labels: str) -> AbstractContextManager[Iterator[str]]:
        since = str(SystemClock().now().timestamp())
        filters = [
            "--filter",
            "event=start",
            *(word for label in labels for word in ("--filter", f"label={label}")),
        ]
        return _lines("docker", "events", "--since", since, *filters, "--format", "{{.ID}}")

    def output(self, container: Container) -> AbstractContextManager[Iterator[str]]:
        """Lines of a container as it prints them."""
        return _lines("docker", "logs", "--follow", str(container.id))

    def _container(self, container_id: str) -> Container | None:
        """None where it is gone already, as one of somebody else's may be."""
        try:
            return self._engine.containers.get(container_id)
        except docker.errors.NotFound:
            return None

    def _is_here(self, container: Container) -> bool:
        return self.network in container.attrs["NetworkSettings"]["Networks"]

    @contextmanager
    def dag_file(self, name: str, text: str) -> Iterator[None]:
        """There for a while."""
        file = self.folder / "dags" / name
        file.write_text(text)
        try:
            yield
        finally:
            file.unlink()

    @contextmanager
    def imitation(self) -> Iterator[Container]:
        """A container of somebody else, for a while, that carries the labels of this deployment."""
        (attempt, *_) = self.json("tasks", "show", "nyc_flights", "report")["tries"]
        deployment = attempt["container"].split("-")[1]
        labels = {
            "orchestrator.deployment": deployment,
            "orchestrator.kind": "try",
            "orchestrator.try_id": "0" * 16,
        }
        foreign = self._engine.containers.run(
            self._variables["ORCHESTRATOR_BASE"], ["sleep", "600"], labels=labels, detach=True
        )
        try:
            yield foreign
        finally:
            foreign.remove(force=True)

    def left(self) -> list[str]:
        """What is on the engine but volumes and images: containers in any state, and networks."""
        listed = ("ps", "--all", "--format", "{{.Names}}", "--filter")
        tasks = _docker(*listed, f"network={self.network}")
        services = _docker(*listed, f"label=com.docker.compose.project={self.name}")
        networks = _docker("network", "ls", "--filter", f"name={self.name}", "--format", "{{.Name}}")
        return [*dict.fromkeys([*tasks, *services]), *networks]

    def volumes(self) -> list[str]:
        ours = f"label=com.docker.compose.project={self.name}"
        return _docker("volume", "ls", "--filter", ours, "--format", "{{.Name}}")

    def end(self) -> list[str]:
        """Take everything down by force; what is left in spite of that."""
        for name in self.left():
            if not name.startswith(self.name):
                self._engine.containers.get(name).remove(v=True, force=True)
        self.compose("down", "--volumes", "--rmi", "local", "--timeout", "5")
        left = [*self.left(), *self.volumes()]
        self._engine.close()
        return left


def _docker(*arguments: str) -> list[str]:
    """The lines it prints."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.split()


@contextmanager
def _lines(*command: str) -> Iterator[Iterator[str]]:
    """What a program prints while it runs, which it does until nobody listens any more."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield (line.rstrip("\n") for line in process.stdout)
        finally:
            process.terminate()


def _copy_repository(folder: Path) -> None:
    """As a clone has it, with what is not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".", ":!tests"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.split("\0"):
        if name and (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
