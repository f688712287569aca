"""What the tests need of the machine beyond `.[dev]`: got on first need where that is possible, else the test
is skipped with the reason. Nothing here asks a registry for anything.
"""

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from orchestrator.bootstrap.base_image import BaseImage
from orchestrator.bootstrap.machine import LocalMachine
from orchestrator.bootstrap.offline_base import debian_mirror
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


def need_compose(folder: Path) -> Mapping[str, str]:
    """The variables with which `docker compose` is version 2; its plugin is got into `folder` if need be (root, on
    Debian). Skips where it cannot be had."""
    if shutil.which("docker") is None:
        pytest.skip("needs the docker command")
    if _has_compose({}):
        return {}
    variables = {"DOCKER_CONFIG": str(folder)}
    machine = LocalMachine()
    mirror = debian_mirror() if machine.is_debian() else ()
    if not (machine.is_root() and mirror):
        pytest.skip("needs docker compose, version 2 (or root on Debian, to get its package)")
    try:
        _get_plugins(machine, mirror[0], folder)
    except OrchestratorError as error:
        pytest.skip(f"needs docker compose, whose package cannot be had: {error}")
    assert _has_compose(variables), "the plugin that was got does not run"
    return variables


#: The Debian release whose packages hold version 2 as a program that runs everywhere, the packages, their folder.
_RELEASE, _PLUGINS, _PLUGIN_FOLDER = "trixie", ("docker-compose", "docker-buildx"), "usr/libexec/docker/cli-plugins"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def _has_compose(variables: Mapping[str, str]) -> bool:
    command = ["docker", "compose", "version", "--short"]
    done = subprocess.run(command, env={**os.environ, **variables}, check=False, capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.lstrip("v").startswith("2")


def _get_plugins(machine: LocalMachine, mirror: str, folder: Path) -> None:
    """Packages of another release, unpacked and not installed, by an apt with lists of its own."""
    apt = folder / "apt"
    (apt / "lists" / "partial").mkdir(parents=True)
    sources = apt / "sources.list"
    sources.write_text(f"deb [signed-by={_KEYRING}] {mirror} {_RELEASE} main\n")
    options = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": apt / "lists",
        "Dir::Cache": apt,
        "APT::Sandbox::User": "root",
    }
    apt_get = ("apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}")))
    machine.run((*apt_get, "update"), print)
    machine.run(
        ("sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(apt), *apt_get, "download", *_PLUGINS), print
    )
    for package in apt.glob("*.deb"):
        machine.run(("dpkg", "-x", str(package), str(apt)), print)
    (apt / _PLUGIN_FOLDER).rename(folder / "cli-plugins")
    shutil.rmtree(apt)


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
