"""What an image on the engine says of itself. `/tmp` is looked at through a container that is created, never
started, and removed: once per image id.
"""

import base64
import threading
from contextlib import suppress
from typing import Any

import docker.errors
import msgspec

from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, PROBE_KIND, DeploymentId
from orchestrator.images.calls import ImageApi
from orchestrator.spec.container import ImageFacts

#: Bits of a mode as the engine's archive header writes them (Go's `os.FileMode`).
_DIRECTORY, _STICKY, _PERMISSIONS = 1 << 31, 1 << 20, 0o777
#: Images whose facts are remembered: the newest ones.
_REMEMBERED = 4096


class FactsReader:
    """Facts by image id, asked for once. Any thread."""

    def __init__(self, api: ImageApi, deployment: DeploymentId) -> None:
        self._api = api
        self._deployment = deployment
        self._lock = threading.Lock()
        self._known: dict[str, ImageFacts] = {}
        self._swept = False

    def read(self, inspected: dict[str, Any]) -> ImageFacts:
        """The facts of an image, from what `inspect` said of it."""
        image_id = str(inspected["Id"])
        known = self._known.get(image_id)
        if known is None:
            with self._lock:
                self._sweep()
                known = self._known[image_id] = self._ask(inspected)
                while len(self._known) > _REMEMBERED:
                    del self._known[next(iter(self._known))]
        return known

    def _ask(self, inspected: dict[str, Any]) -> ImageFacts:
        config = inspected.get("Config") or {}
        return ImageFacts(
            id=str(inspected["Id"]),
            user=config.get("User") or "",
            architecture=inspected.get("Architecture") or "",
            entrypoint=_words(config.get("Entrypoint")),
            command=_words(config.get("Cmd")),
            volumes=tuple(sorted(config.get("Volumes") or ())),
            world_writable_tmp=self._has_world_writable_tmp(str(inspected["Id"])),
        )

    def _has_world_writable_tmp(self, image_id: str) -> bool:
        labels = {DEPLOYMENT_LABEL: self._deployment, KIND_LABEL: PROBE_KIND}
        client = self._api.client()
        container = client.create_container(image_id, command=["-"], entrypoint=["-"], labels=labels)["Id"]
        try:
            answer = client.head(
                f"{client.base_url}/v{client.api_version}/containers/{container}/archive",
                params={"path": "/tmp"},  # noqa: S108 - a path inside the image
            )
            return answer.ok and _is_world_writable(answer.headers["X-Docker-Container-Path-Stat"])
        finally:
            with suppress(docker.errors.NotFound):
                client.remove_container(container, v=True, force=True)

    def _sweep(self) -> None:
        """Remove what a life of ours that was cut short left behind, before the first probe of this one."""
        if self._swept:
            return
        labels = [f"{DEPLOYMENT_LABEL}={self._deployment}", f"{KIND_LABEL}={PROBE_KIND}"]
        client = self._api.client()
        for left in client.containers(all=True, filters={"label": labels}):
            with suppress(docker.errors.NotFound):
                client.remove_container(left["Id"], v=True, force=True)
        self._swept = True


def _is_world_writable(header: str) -> bool:
    """Whether a path's head says: a directory, sticky, writable by everybody."""
    mode = int(msgspec.json.decode(base64.b64decode(header))["mode"])
    return bool(mode & _DIRECTORY) and bool(mode & _STICKY) and mode & _PERMISSIONS == _PERMISSIONS


def _words(value: object) -> tuple[str, ...] | None:
    return tuple(str(word) for word in value) if isinstance(value, list) else None
