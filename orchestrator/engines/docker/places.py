"""Where the engine finds what this process calls by a path of its own.

On one machine that is the same path. In a container of that engine it is what the container's own mounts say; and
an engine elsewhere does not find it at all: then a data root is a volume over there (spec images-and-engine 4).
"""

import http.client
import re
import secrets
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import structlog

from orchestrator.engines.docker import faults
from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.client import Client
from orchestrator.errors import EngineError, LaunchRefusedError
from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, PROBE_KIND, ROOT_KIND, DeploymentId
from orchestrator.spec.value import Json, Value
from orchestrator.states import ReasonCode

_log = structlog.get_logger()

#: What an engine keeps for a container and mounts into it, as the kernel tells: its path names the container.
_OWN_FILE = re.compile(r"/(?:overlay-)?containers/(?P<id>[0-9a-f]{64})/\S* /etc/(?:hostname|hosts|resolv\.conf) ")
_MOUNTS = Path("/proc/self/mountinfo")
_SECONDS = 30.0
_PROBE = "/probe"


class OwnMount(Value, frozen=True, kw_only=True):
    """One mount of a container: what lies at `destination` there is the host's `source` (empty: not of a disk)."""

    destination: str
    source: str = ""


class EnginePlaces:
    """Any thread. Every call raises `EngineUnavailableError`; what the engine said once is remembered.

    `find` names the engine's address, `mountinfo` is where the kernel tells of our own mounts."""

    def __init__(self, find: Callable[[], Address], deployment: DeploymentId, mountinfo: Path = _MOUNTS) -> None:
        self._find = find
        self._deployment = deployment
        self._mountinfo = mountinfo
        self._lock = threading.Lock()
        self._mounts: tuple[OwnMount, ...] | None = None
        self._asked = False
        self._roots: dict[str, str] = {}

    def path(self, own: str) -> str | None:
        """Where the engine's host has what is at the absolute path `own` here; None where it is in no mount of
        the container that we are in."""
        with self._lock, closing(Client(self._find, _SECONDS)) as client:
            return self._path(client, own)

    def root(self, name: str, folder: Path) -> str:
        """The data root `name`, which is `folder` here: its path on the engine's host, or, where the engine
        does not see that folder, a volume's name."""
        with self._lock:
            if name not in self._roots:
                with closing(Client(self._find, _SECONDS)) as client:
                    self._roots[name] = self._seen(client, folder) or self._volume(client, name, folder)
            return self._roots[name]

    def _path(self, client: Client, own: str) -> str | None:
        if not self._asked:
            self._mounts = self._own_mounts(client)
            self._asked = True
        return own if self._mounts is None else translated(own, self._mounts)

    def _own_mounts(self, client: Client) -> tuple[OwnMount, ...] | None:
        """None where we are in no container of this engine."""
        found = _OWN_FILE.search(_text(self._mountinfo))
        if found is None:
            return None
        reply = client.call("GET", f"/containers/{found['id']}/json")
        if reply.status == http.client.NOT_FOUND:
            return None
        if reply.status != http.client.OK:
            raise faults.refused(reply)
        mounts = msgspec.json.decode(reply.body, type=dict[str, Any]).get("Mounts") or ()
        return tuple(OwnMount(destination=each["Destination"], source=each.get("Source", "")) for each in mounts)

    def _seen(self, client: Client, folder: Path) -> str | None:
        """Where the engine's host has this folder; None where it has none, or another one."""
        path = self._path(client, str(folder))
        if path is None:
            return None
        token = folder / f".orchestrator-probe-{secrets.token_hex(4)}"
        try:
            token.touch()
        except OSError:  # it is not ours to write to: that there is such a folder must do
            return path if self._has(client, path) else None
        try:
            return path if self._has(client, f"{path}/{token.name}") else None
        finally:
            with suppress(OSError):
                token.unlink(missing_ok=True)

    def _has(self, client: Client, path: str) -> bool:
        """Whether the engine's host has this path: it makes no container, never to be started, without."""
        body = {
            "Image": _any_image(client),
            "Entrypoint": ["-"],
            "Cmd": ["-"],
            "NetworkDisabled": True,
            "Labels": self._labels(PROBE_KIND),
            "HostConfig": {"Mounts": [{"Type": "bind", "Source": path, "Target": _PROBE, "ReadOnly": True}]},
        }
        reply = client.call("POST", "/containers/create", body=msgspec.json.encode(body))
        if reply.status == http.client.CREATED:
            made = msgspec.json.decode(reply.body, type=dict[str, Json])
            client.call("DELETE", f"/containers/{made['Id']}", {"v": "1", "force": "1"})
            return True
        refusal = faults.refused_launch(reply)
        if isinstance(refusal, LaunchRefusedError) and refusal.code == ReasonCode.MOUNT_MISSING:
            return False
        raise refusal

    def _volume(self, client: Client, name: str, folder: Path) -> str:
        volume = f"orc-{self._deployment}-root-{name}"
        body = {"Name": volume, "Labels": self._labels(ROOT_KIND)}
        reply = client.call("POST", "/volumes/create", body=msgspec.json.encode(body))
        if reply.status != http.client.CREATED:
            raise faults.refused(reply)
        _log.warning("root.unseen", root=name, folder=str(folder), volume=volume)
        return volume

    def _labels(self, kind: str) -> dict[str, str]:
        return {DEPLOYMENT_LABEL: self._deployment, KIND_LABEL: kind}


def translated(own: str, mounts: tuple[OwnMount, ...]) -> str | None:
    """The host's path of a container's path: by the innermost mount that holds it, None where none does."""
    path = PurePosixPath(own)
    holding = [each for each in mounts if each.source and path.is_relative_to(each.destination)]
    if not holding:
        return None
    mount = max(holding, key=lambda each: len(PurePosixPath(each.destination).parts))
    return str(PurePosixPath(mount.source) / path.relative_to(mount.destination))


def _any_image(client: Client) -> str:
    """The id of some image on the engine."""
    reply = client.call("GET", "/images/json")
    if reply.status != http.client.OK:
        raise faults.refused(reply)
    images = msgspec.json.decode(reply.body, type=list[dict[str, Json]])
    if not images:
        raise EngineError("the engine has no image with which its folders could be looked at", fix="pull any image")
    return str(images[0]["Id"])


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # no such file on this system, so no container either
        return ""
