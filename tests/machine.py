"""What the tests need of the machine beyond `.[dev]`: got on first need where that is possible, else the test
is skipped with the reason. Nothing here asks a registry for anything.
"""

import functools
import os

import msgspec
import pytest

from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address, find_address
from orchestrator.engines.docker.client import Client
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.errors import OrchestratorError
from orchestrator.ids import DEPLOYMENT_LABEL, DeploymentId

#: Images that serve as the base, the best first; the first is what `doctor --fix` builds.
_BASES = ("orchestrator/debian-python", "python:3.13-slim", "scratch/trixie-python")


def engine_environment() -> dict[str, str]:
    """The variables that finding an engine may read."""
    names = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
    return {name: os.environ[name] for name in (*names, "XDG_RUNTIME_DIR", "HOME") if name in os.environ}


def need_engine() -> Address:
    """Where a Docker engine answers; skips where none does."""
    reason = _engine_problem()
    if reason:
        pytest.skip(reason)
    return find_address("", engine_environment()).require()


@functools.cache
def _engine_problem() -> str:
    engine = DockerEngine(lambda: find_address("", engine_environment()).require(), SystemClock(), timeout=10)
    try:
        engine.ping()
    except OrchestratorError as error:
        return f"needs a running Docker engine: {error}"
    finally:
        engine.close()
    return ""


def need_base_image(address: Address) -> str:
    """The reference of a local image with `sh` and `python`; made where there is none, else skips."""
    found = _local_base(address)
    if found is None:
        pytest.skip("needs a base image: `orchestrator doctor --fix` builds it (as root, on Debian)")
    return found


def _local_base(address: Address) -> str | None:
    client = Client(lambda: address, 30)
    try:
        reply = client.call("GET", "/images/json")
        listed = msgspec.json.decode(reply.body, type=list[dict[str, object]])
        tags = [str(tag) for image in listed for tag in _strings(image.get("RepoTags"))]
    finally:
        client.close()
    ranked = [tag for base in _BASES for tag in sorted(tags) if tag == base or tag.startswith(f"{base}:")]
    return ranked[0] if ranked else None


def _strings(value: object) -> list[object]:
    return value if isinstance(value, list) else []


class Leftovers:
    """What of one deployment is on the engine: containers of any kind, and volumes."""

    def __init__(self, address: Address, deployment: DeploymentId) -> None:
        self._client = Client(lambda: address, 60)
        self._filters = {"filters": msgspec.json.encode({"label": [f"{DEPLOYMENT_LABEL}={deployment}"]}).decode()}

    def containers(self) -> list[str]:
        reply = self._client.call("GET", "/containers/json", {"all": "1", **self._filters})
        return [str(each["Id"]) for each in msgspec.json.decode(reply.body, type=list[dict[str, object]])]

    def volumes(self) -> list[str]:
        reply = self._client.call("GET", "/volumes", self._filters)
        told = msgspec.json.decode(reply.body, type=dict[str, object])
        return [str(each["Name"]) for each in _strings(told["Volumes"])]

    def clear(self) -> list[str]:
        """Remove everything there is, by id; returns what was there."""
        containers, volumes = self.containers(), self.volumes()
        for each in containers:
            self._client.call("DELETE", f"/containers/{each}", {"force": "1", "v": "1"})
        for each in volumes:
            self._client.call("DELETE", f"/volumes/{each}")
        return [f"container {each}" for each in containers] + [f"volume {each}" for each in volumes]

    def close(self) -> None:
        self._client.close()
