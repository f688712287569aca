"""Where tries write beside data roots: folders in the roots themselves, so that what they wrote can be moved into
its place by renaming. They are made through a container that never starts, and promoted or removed by one that runs
for that alone: so it works for folders of any host and for volumes, whoever owns the files."""

import http.client
from collections.abc import Mapping
from importlib import resources
from typing import Any
from urllib.parse import quote

import msgspec

from orchestrator.clock import Clock
from orchestrator.engines.docker import faults
from orchestrator.engines.docker.archive import pack
from orchestrator.engines.docker.client import Client, Reply
from orchestrator.engines.docker.promotion import CONFLICT
from orchestrator.errors import EngineError, LaunchRefusedError, NameTakenError
from orchestrator.ids import (
    DEPLOYMENT_LABEL,
    KIND_LABEL,
    OWNER_LABEL,
    PROBE_KIND,
    PROMOTION_KIND,
    SERVES_LABEL,
    TRY_LABEL,
    DeploymentId,
    TryId,
    helper_name,
    is_helper_name,
)
from orchestrator.spec.container import ContainerSpec, InputFile, Mount, MountType
from orchestrator.states import ReasonCode

#: Where a helper has the roots.
_ROOTS = "/.orchestrator-roots"
_ANYBODY_WRITES = 0o1777
_SUBPATH_API = (1, 45)
#: Characters of a helper's words that a message shows.
_SHOWN = 500


class Stages:
    """Calls about stages; each raises `EngineUnavailableError`, `EngineError`."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    def ready(self, spec: ContainerSpec) -> ContainerSpec:
        """Make the stages of a container, and have it mount them. `LaunchRefusedError`."""
        staged = _staged(spec)
        if not staged:
            return spec
        self._make(spec, staged)
        mounts = tuple(self._mount(mount) if mount.stage else mount for mount in spec.mounts)
        return msgspec.structs.replace(spec, mounts=mounts)

    def promote(self, spec: ContainerSpec) -> str | None:
        """Move what a container wrote into its roots; why that cannot be, None where it is done."""
        code, words = self._helped(spec, "promote")
        if code == 0:
            return None
        if code == CONFLICT:
            roots = {f"{_ROOTS}/{index}": mount.target for index, mount in enumerate(_staged(spec))}
            paths = ", ".join(_told(line, roots) for line in words.splitlines())
            return f"a folder would have to replace what is none, or the other way round: {paths}"
        return f"moving it into the data root ended with {code}: {words[-_SHOWN:]}"

    def discard(self, spec: ContainerSpec) -> None:
        """Remove what a container wrote beside its roots, and where it wrote it."""
        code, words = self._helped(spec, "discard")
        if code != 0:
            raise EngineError(f"removing a stage ended with {code}: {words[-_SHOWN:]}")

    def _make(self, spec: ContainerSpec, staged: tuple[Mount, ...]) -> None:
        maker = self._created(
            {"Entrypoint": ["-"], "Cmd": ["-"]}, spec, spec.image, {**_owner(spec), KIND_LABEL: PROBE_KIND}
        )
        try:
            folders = [
                InputFile(path=f"{_ROOTS}/{index}/{mount.stage}", mode=_ANYBODY_WRITES)
                for index, mount in enumerate(staged)
            ]
            ((_, packed),) = pack(folders, self._clock.now()).items()
            path = f"/containers/{maker}/archive"
            reply = self._client.call("PUT", path, {"path": "/"}, packed, "application/x-tar")
            if reply.status != http.client.OK:
                raise faults.refused_launch(reply)
        finally:
            self._client.call("DELETE", f"/containers/{maker}")

    def _mount(self, mount: Mount) -> Mount:
        """The stage in place of its root. Engines too old for folders of volumes find them where they keep them."""
        if mount.type is MountType.BIND:
            return msgspec.structs.replace(mount, source=f"{mount.source}/{mount.stage}")
        if self._client.speaks(_SUBPATH_API):
            return msgspec.structs.replace(mount, subpath=mount.stage)
        told = _decoded(self._asked("GET", f"/volumes/{quote(mount.source, safe='')}"))
        return Mount(type=MountType.BIND, source=f"{told['Mountpoint']}/{mount.stage}", target=mount.target)

    def _helped(self, spec: ContainerSpec, action: str) -> tuple[int, str]:
        """Exit code and words of a helper. One that an earlier process left is taken up where it stands."""
        helper = self._helper(spec, action)
        reply = self._client.call("POST", f"/containers/{helper}/start")
        if reply.status not in (http.client.NO_CONTENT, http.client.NOT_MODIFIED):
            self._client.call("DELETE", f"/containers/{helper}", {"force": "1"})
            raise faults.refused_launch(reply)
        code = int(_decoded(self._asked("POST", f"/containers/{helper}/wait"))["StatusCode"])
        words = _payload(self._asked("GET", f"/containers/{helper}/logs", {"stderr": "1", "tail": "20"}).body)
        self._client.call("DELETE", f"/containers/{helper}", {"force": "1"})
        return code, words.strip()

    def _helper(self, spec: ContainerSpec, action: str) -> str:
        """The id of a helper. What has its name and is not ours is left alone."""
        stages = [f"{_ROOTS}/{index}/{mount.stage}" for index, mount in enumerate(_staged(spec))]
        script = resources.files(__package__).joinpath("promotion.py").read_text()
        process = {"Entrypoint": ["python3", "-c"], "Cmd": [script, action, *stages], "User": "0:0"}
        deployment, served = DeploymentId(spec.labels[DEPLOYMENT_LABEL]), TryId(spec.labels[TRY_LABEL])
        name = helper_name(deployment, action, served)
        labels = {**_owner(spec), KIND_LABEL: PROMOTION_KIND, SERVES_LABEL: served}
        try:
            return self._created(process, spec, spec.promoter or spec.image, labels, name)
        except NameTakenError as taken:
            there = _decoded(self._asked("GET", f"/containers/{name}/json"))
            if is_helper_name(name, there["Config"].get("Labels") or {}):
                return str(there["Id"])
            raise LaunchRefusedError(
                ReasonCode.CREATE_REFUSED, taken.message, fix=f"look at it, then: docker rm --force {name}"
            ) from taken

    def _created(
        self, process: Mapping[str, Any], spec: ContainerSpec, image: str, labels: Mapping[str, str], name: str = ""
    ) -> str:
        mounts = [
            {"Type": mount.type.value, "Source": mount.source, "Target": f"{_ROOTS}/{index}"}
            for index, mount in enumerate(_staged(spec))
        ]
        body = {
            **process,
            "Image": image,
            "NetworkDisabled": True,
            "Labels": labels,
            "HostConfig": {
                "Mounts": mounts,
                "NetworkMode": "none",
                "SecurityOpt": ["no-new-privileges"],
                "LogConfig": {"Type": "json-file", "Config": {}},
            },
        }
        query = {"name": name} if name else {}
        reply = self._client.call("POST", "/containers/create", query, msgspec.json.encode(body))
        if reply.status != http.client.CREATED:
            raise faults.refused_create(reply, name)
        return str(_decoded(reply)["Id"])

    def _asked(self, method: str, path: str, query: dict[str, str] | None = None) -> Reply:
        reply = self._client.call(method, path, query)
        if reply.status != http.client.OK:
            raise faults.refused(reply)
        return reply


def _staged(spec: ContainerSpec) -> tuple[Mount, ...]:
    return tuple(mount for mount in spec.mounts if mount.stage)


def _owner(spec: ContainerSpec) -> dict[str, str]:
    """Whose a helper is: the deployment's, and the process's of a test."""
    return {name: spec.labels[name] for name in (DEPLOYMENT_LABEL, OWNER_LABEL) if name in spec.labels}


def _payload(frames: bytes) -> str:
    """The text of multiplexed output: frames after heads of 8 bytes, of which the last four are a length."""
    text = bytearray()
    while frames:
        length = int.from_bytes(frames[4:8], "big")
        text += frames[8 : 8 + length]
        frames = frames[8 + length :]
    return text.decode("utf-8", "replace")


def _told(path: str, roots: Mapping[str, str]) -> str:
    """A path of a root as its task calls it."""
    for root, target in roots.items():
        if path.startswith(f"{root}/"):
            return target + path[len(root) :]
    return path


def _decoded(reply: Reply) -> dict[str, Any]:
    return msgspec.json.decode(reply.body, type=dict[str, Any])
