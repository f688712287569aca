"""What the tests need of the machine beyond `.[dev]`: got on first need where that is possible, else the test
is skipped with the reason. Nothing here asks a registry for anything.
"""

import functools
from pathlib import Path

import msgspec
import pytest

from orchestrator.bootstrap.base_image import BaseImage
from orchestrator.bootstrap.machine import LocalMachine
from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address, find_address
from orchestrator.engines.docker.client import Client
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.errors import OrchestratorError
from orchestrator.ids import DEPLOYMENT_LABEL, DeploymentId
from orchestrator.images.calls import ImageApi
from orchestrator.settings import Project, open_project


@functools.cache
def this_project() -> Project:
    """The project that these tests are part of, for its settings: which engine, which base image."""
    return open_project(Path(__file__).parent)


def need_engine() -> Address:
    """Where a Docker engine answers; skips where none does."""
    reason = _engine_problem()
    if reason:
        pytest.skip(reason)
    return _find_engine()


def need_base_image(address: Address) -> str:
    """What setting `images.base` is on this engine: itself, or its stand-in, which is made if need be (root, on
    Debian); skips where neither can be had."""
    api = ImageApi(lambda: address)
    project = this_project()
    base = BaseImage(api, project.settings.images.base, LocalMachine(), project.home, SystemClock())
    try:
        return base.ensure(print)
    except OrchestratorError as error:
        pytest.skip(f"needs the base image: {error}")
    finally:
        api.close()


def _find_engine() -> Address:
    project = this_project()
    return find_address(project.settings.engine.address, project.engine_environment).require()


@functools.cache
def _engine_problem() -> str:
    engine = DockerEngine(_find_engine, SystemClock(), timeout=10)
    try:
        engine.ping()
    except OrchestratorError as error:
        return f"needs a running Docker engine: {error}"
    finally:
        engine.close()
    return ""


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


def _strings(value: object) -> list[object]:
    return value if isinstance(value, list) else []
