"""Volumes of ours on the engine. A new one is root's alone (0755); it is opened to every user before the first
container that mounts it starts. What somebody else made, or a task has changed, is left as it is."""

import http.client
import tarfile
from typing import Any
from urllib.parse import quote

import msgspec

from orchestrator.clock import Clock
from orchestrator.engines.docker import faults
from orchestrator.engines.docker.archive import pack, path_mode
from orchestrator.engines.docker.client import Client, Reply
from orchestrator.engines.docker.facts import instant
from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, PROBE_KIND, ContainerId, DeploymentId
from orchestrator.spec.container import ContainerSpec, InputFile, Mount, MountType, VolumeFacts

_STAT = "X-Docker-Container-Path-Stat"
#: As the engine makes a volume, and as it is opened.
_CLOSED, _OPEN = 0o755, 0o1777
#: Where the opener has it: at a place where no image has files that would be copied into it.
_DOOR = "/.orchestrator-volume"


class Volumes:
    """Calls about volumes; each raises `EngineUnavailableError`, `EngineError`."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    def open_those_of(self, container: ContainerId, spec: ContainerSpec) -> None:
        """Let every user write to the volumes of ours that a created container mounts."""
        for mount in spec.mounts:
            ours = mount.type is MountType.VOLUME and DEPLOYMENT_LABEL in mount.labels
            if ours and not mount.read_only and self._is_closed(container, mount.target):
                self._open(container, spec, mount)

    def list_ours(self, deployment: DeploymentId) -> tuple[VolumeFacts, ...]:
        return self._list(f"{DEPLOYMENT_LABEL}={deployment}")

    def list_owned(self, label: str) -> tuple[VolumeFacts, ...]:
        return self._list(label)

    def remove(self, name: str) -> bool:
        """False where it is gone already, or a container still mounts it."""
        reply = self._client.call("DELETE", f"/volumes/{quote(name, safe='')}")
        if reply.status == http.client.NO_CONTENT:
            return True
        if reply.status in (http.client.NOT_FOUND, http.client.CONFLICT):
            return False
        raise faults.refused(reply)

    def _list(self, label: str) -> tuple[VolumeFacts, ...]:
        filters = msgspec.json.encode({"label": [label]}).decode()
        told = _decode(self._asked("GET", "/volumes", {"filters": filters}))
        return tuple(map(_facts, told.get("Volumes") or ()))

    def _is_closed(self, container: ContainerId, target: str) -> bool:
        with self._client.open(f"/containers/{container}/archive", {"path": target}, method="HEAD") as response:
            if response.status != http.client.OK:
                raise faults.refused_launch(Reply(status=response.status, body=response.read()), container)
            mode = path_mode(response.getheader(_STAT, ""))
        return mode == _CLOSED and self._owner(container, target) == 0

    def _owner(self, container: ContainerId, target: str) -> int:
        """The uid of a folder, from the first entry of its archive; the rest is not read."""
        with self._client.open(f"/containers/{container}/archive", {"path": target}) as response:
            if response.status != http.client.OK:
                raise faults.refused_launch(Reply(status=response.status, body=response.read()), container)
            head = response.read(tarfile.BLOCKSIZE)
        return tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape").uid

    def _open(self, container: ContainerId, spec: ContainerSpec, mount: Mount) -> None:
        """A container that is never started takes the new mode in: the task's own may be read-only."""
        name = mount.source or self._name(container, mount.target)
        facts = _facts(_decode(self._asked("GET", f"/volumes/{quote(name, safe='')}")))
        if facts.labels.get(DEPLOYMENT_LABEL) != mount.labels[DEPLOYMENT_LABEL]:
            return
        door = {"Type": "volume", "Source": name, "Target": _DOOR, "VolumeOptions": {"NoCopy": True}}
        body = {
            "Image": spec.image,
            "Entrypoint": ["-"],
            "Cmd": ["-"],
            "NetworkDisabled": True,
            "Labels": {DEPLOYMENT_LABEL: spec.labels[DEPLOYMENT_LABEL], KIND_LABEL: PROBE_KIND},
            "HostConfig": {"Mounts": [door]},
        }
        reply = self._client.call("POST", "/containers/create", body=msgspec.json.encode(body))
        if reply.status != http.client.CREATED:
            raise faults.refused_launch(reply)
        opener = _decode(reply)["Id"]
        try:
            ((_, packed),) = pack([InputFile(path=_DOOR, mode=_OPEN)], self._clock.now()).items()
            reply = self._client.call(
                "PUT", f"/containers/{opener}/archive", {"path": "/"}, packed, "application/x-tar"
            )
            if reply.status != http.client.OK:
                raise faults.refused_launch(reply)
        finally:
            self._client.call("DELETE", f"/containers/{opener}")

    def _name(self, container: ContainerId, target: str) -> str:
        """Of the volume without a name of its own that a container has there."""
        told = _decode(self._asked("GET", f"/containers/{container}/json"))
        return next(str(each["Name"]) for each in told["Mounts"] if each["Destination"] == target)

    def _asked(self, method: str, path: str, query: dict[str, str] | None = None) -> Reply:
        reply = self._client.call(method, path, query)
        if reply.status != http.client.OK:
            raise faults.refused(reply)
        return reply


def _decode(reply: Reply) -> dict[str, Any]:
    return msgspec.json.decode(reply.body, type=dict[str, Any])


def _facts(told: dict[str, Any]) -> VolumeFacts:
    return VolumeFacts(
        name=told["Name"], labels=told.get("Labels") or {}, created_at=instant(told.get("CreatedAt") or "")
    )
