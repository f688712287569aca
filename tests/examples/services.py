"""The services that the example DAGs use, as containers on a network of their own: the API that the data come from,
and PostgreSQL."""

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Self

import docker
from docker.models.containers import Container

_PASSWORDS = {"api": "bookworm", "db": "silverfish"}


class Services(NamedTuple):
    """The network that tasks join, and what they are told: connections by their ids."""

    network: str
    connections: dict[str, str]
    api: Container
    database: Container

    @classmethod
    @contextmanager
    def running(cls, images: dict[str, str]) -> Iterator[Self]:
        """Both services, of these images, until the end of the block; nothing of them is left then."""
        client = docker.from_env()
        name = f"orchestrator-tests-{secrets.token_hex(4)}"
        network = client.networks.create(name)
        started: list[Container] = []

        def start(image: str, **environment: str) -> Container:
            given = {"name": f"{name}-{image}", "network": name, "environment": environment}
            started.append(client.containers.run(images[image], detach=True, **given))
            return started[-1]

        try:
            api = start("example-api", API_LOGIN="reader", API_PASSWORD=_PASSWORDS["api"], RATINGS_LAG="2")
            database = start("example-db", POSTGRES_PASSWORD=_PASSWORDS["db"])
            wait_line(api, "listening on port")
            wait_line(database, "ready to accept connections")
            connections = {
                "example_api": f"http://reader:{_PASSWORDS['api']}@{api.name}:8000",
                "example_db": f"postgres://postgres:{_PASSWORDS['db']}@{database.name}:5432/postgres",
            }
            yield cls(name, connections, api, database)
        finally:
            for container in started:
                container.remove(force=True, v=True)
            network.remove()
            client.close()

    def sql(self, query: str) -> list[list[str]]:
        """Rows of PostgreSQL, asked on its own machine."""
        command = [
            "psql",
            "--host",
            "localhost",
            "--username",
            "postgres",
            "--csv",
            "--tuples-only",
            "--command",
            query,
        ]
        done = self.database.exec_run(command, environment={"PGPASSWORD": _PASSWORDS["db"]})
        assert done.exit_code == 0, done.output.decode()
        return [line.split(",") for line in done.output.decode().splitlines()]


def wait_line(container: Container, part: str) -> None:
    """Until the container writes a line that holds `part`; `AssertionError` where it ends before."""
    words = ["docker", "logs", "--follow", str(container.id)]
    heard = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as following:
        assert following.stdout is not None
        for line in following.stdout:
            heard.append(line)
            if part in line:
                following.terminate()
                return
    raise AssertionError(f"{container.name} ended without saying {part!r}: {''.join(heard)}")
