"""The Docker Engine behind the `Engine` port: each verb is one call, its refusals told by `faults`."""

import http.client
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any
from urllib.parse import quote

import msgspec
import structlog

from orchestrator.clock import Clock
from orchestrator.engines.docker import faults
from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.client import Client, Reply
from orchestrator.engines.docker.convert import create_body, create_query
from orchestrator.engines.docker.events import EventStreams
from orchestrator.engines.docker.facts import REMADE_NETWORK, container_facts, engine_life, memory_held
from orchestrator.engines.docker.files import Files
from orchestrator.engines.docker.stages import Stages
from orchestrator.engines.docker.streams import Refused, SocketStream, open_socket
from orchestrator.engines.docker.volumes import Volumes
from orchestrator.errors import (
    EngineError,
    LaunchRefusedError,
    NoSuchContainerError,
)
from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, TRY_KIND, ContainerId, DeploymentId
from orchestrator.ports import FoundFile
from orchestrator.spec.artifacts import ArtifactId, none_stored
from orchestrator.spec.container import (
    ContainerFacts,
    ContainerSpec,
    EngineCapacity,
    EngineEvent,
    EngineLife,
    InputFile,
    VolumeFacts,
)
from orchestrator.states import ReasonCode

_log = structlog.get_logger()

_CHUNK = 64 * 1024
_GIB = 1 << 30
_SUBPATH_API = (1, 45)
_BOTH = {"stdout": "1", "stderr": "1"}


class DockerEngine:
    """See `orchestrator.ports.Engine` for what each verb promises.

    `find` names the engine's address (`find_address(...).require`); it is asked again until it does, so the
    engine may come up later than we do. `timeout` is in seconds, for one answer. While `may_change` says no,
    nothing is made, started or removed (`EngineUnavailableError`)."""

    def __init__(
        self,
        find: Callable[[], Address],
        clock: Clock,
        *,
        timeout: float = 60.0,
        may_change: Callable[[], bool] = lambda: True,
    ) -> None:
        self._clock = clock
        self._client = Client(find, timeout, may_change)
        self._events = EventStreams(self._client, clock)
        self._volumes = Volumes(self._client, clock)
        self._files = Files(self._client, clock)
        self._stages = Stages(self._client, clock)
        #: whether containers made here have a tty, until their log is attached: it saves an inspect at launch
        self._ttys: dict[ContainerId, bool] = {}
        self._memory = 0  #: bytes that the engine has, as far as that was asked for

    def create(self, spec: ContainerSpec) -> ContainerId:
        self._refuse_subpaths(spec)
        self._refuse_excess(spec)
        spec = self._stages.ready(spec)
        body = msgspec.json.encode(create_body(spec))
        reply = self._client.call("POST", "/containers/create", create_query(spec), body)
        if reply.status != http.client.CREATED:
            raise faults.refused_create(reply, spec.name)
        made = _decode(reply)
        for warning in made.get("Warnings") or ():
            _log.warning("engine.warning", container=spec.name, warning=warning)
        container = ContainerId(str(made["Id"]))
        try:
            for network in spec.networks:
                self._join(network, container)
            self._volumes.open_those_of(container, spec)
        except LaunchRefusedError:
            self.remove(container)
            raise
        self._ttys[container] = spec.tty
        return container

    def _refuse_subpaths(self, spec: ContainerSpec) -> None:
        """An engine too old for them would mount the whole volume, and say nothing."""
        asked = next((mount for mount in spec.mounts if mount.subpath), None)
        if asked is not None and not self._client.speaks(_SUBPATH_API):
            raise LaunchRefusedError(
                ReasonCode.CREATE_REFUSED,
                f"subpath={asked.subpath!r} of the mount at {asked.target} needs an engine that speaks API"
                f" {_SUBPATH_API[0]}.{_SUBPATH_API[1]}; this one speaks {self._client.api_version}",
                fix="mount the whole volume, or use Docker Engine 26 or newer",
            )

    def _refuse_excess(self, spec: ContainerSpec) -> None:
        """Of cores the engine refuses itself what it does not have; of memory it promises any amount. What it has
        is asked for again before anything is refused, for an engine may come back with more."""
        if spec.memory is None or spec.memory <= self._memory:
            return
        self._memory = self.capacity().memory
        if spec.memory > self._memory:
            raise LaunchRefusedError(
                ReasonCode.CREATE_REFUSED,
                f"mem_limit asks for {spec.memory / _GIB:.4g} GiB, the engine has {self._memory / _GIB:.4g} GiB",
                fix="lower `mem_limit`, or use an engine with more",
            )

    def _join(self, network: str, container: ContainerId) -> None:
        """Connect a container that is not started to a further network: create takes one only."""
        body = msgspec.json.encode({"Container": container})
        reply = self._client.call("POST", f"/networks/{quote(network, safe='')}/connect", body=body)
        if reply.status != http.client.OK:
            raise faults.refused_launch(reply, container)

    def start(self, container: ContainerId) -> None:
        reply = self._client.call("POST", f"/containers/{container}/start")
        if reply.status not in (http.client.NO_CONTENT, http.client.NOT_MODIFIED):
            raise faults.refused_launch(reply, container)

    def signal(self, container: ContainerId, signal: str) -> bool:
        reply = self._client.call("POST", f"/containers/{container}/kill", {"signal": signal})
        if reply.status == http.client.NO_CONTENT:
            return True
        if reply.status in (http.client.NOT_FOUND, http.client.CONFLICT):
            return False
        raise faults.refused(reply)

    def remove(self, container: ContainerId, *, force: bool = False) -> bool:
        query = {"v": "1"} | ({"force": "1"} if force else {})
        reply = self._client.call("DELETE", f"/containers/{container}", query)
        self._ttys.pop(container, None)
        if reply.status == http.client.NO_CONTENT:
            return True
        if reply.status == http.client.NOT_FOUND or "already in progress" in reply.text:
            return False
        raise faults.refused_remove(reply)

    def inspect(self, container: ContainerId) -> ContainerFacts:
        return container_facts(self._inspected(container))

    def memory(self, container: ContainerId) -> int | None:
        reply = self._client.call("GET", f"/containers/{container}/stats", {"stream": "0", "one-shot": "1"})
        if reply.status != http.client.OK:
            raise faults.refused(reply)
        return memory_held(_decode(reply))

    def list_ours(self, deployment: DeploymentId) -> tuple[ContainerFacts, ...]:
        return self._list(f"{DEPLOYMENT_LABEL}={deployment}")

    def list_owned(self, label: str) -> tuple[ContainerFacts, ...]:
        return self._list(label, kind=None)

    def list_volumes(self, deployment: DeploymentId) -> tuple[VolumeFacts, ...]:
        return self._volumes.list_ours(deployment)

    def list_owned_volumes(self, label: str) -> tuple[VolumeFacts, ...]:
        return self._volumes.list_owned(label)

    def remove_volume(self, name: str) -> bool:
        return self._volumes.remove(name)

    def events(self, deployment: DeploymentId) -> Iterator[EngineEvent]:
        return self._events.listen(deployment)

    def attach_logs(self, container: ContainerId) -> SocketStream:
        tty = self._ttys.pop(container, None)
        query = {**_BOTH, "stream": "1"}
        return self._stream(container, f"/containers/{container}/attach", query, tty=tty, hijack=True)

    def follow_logs(self, container: ContainerId) -> SocketStream:
        query = {**_BOTH, "follow": "1"}
        return self._stream(container, f"/containers/{container}/logs", query, tty=None, hijack=False)

    def read_logs(self, container: ContainerId) -> Iterator[bytes]:
        with self._client.open(f"/containers/{container}/logs", _BOTH) as response:
            if response.status != http.client.OK:
                raise faults.refused(Reply(status=response.status, body=response.read()))
            while chunk := response.read1(_CHUNK):
                yield chunk

    def read_file(self, container: ContainerId, path: str, limit: int) -> bytes:
        return self._files.read(container, path, limit)

    def file_size(self, container: ContainerId, path: str) -> int | None:
        return self._files.size(container, path)

    def changed_paths(self, container: ContainerId) -> tuple[str, ...]:
        return self._files.changed(container)

    def copy_out(
        self, container: ContainerId, path: str, take: Callable[[FoundFile, IO[bytes] | None], bool]
    ) -> None:
        self._files.copy_out(container, path, take)

    def put_files(
        self,
        container: ContainerId,
        files: Sequence[InputFile],
        artifact: Callable[[ArtifactId], IO[bytes]] = none_stored,
    ) -> None:
        self._files.put(container, files, artifact)

    def promote(self, spec: ContainerSpec) -> str | None:
        return self._stages.promote(spec)

    def discard(self, spec: ContainerSpec) -> None:
        self._stages.discard(spec)

    def capacity(self) -> EngineCapacity:
        told = self._told("/info")
        return EngineCapacity(
            cpus=int(told["NCPU"]),
            memory=int(told["MemTotal"]),
            version=str(told["ServerVersion"]),
            api_version=self._client.api_version,
            architecture=str(told["Architecture"]),
            os=str(told["OSType"]),
        )

    def life(self) -> EngineLife:
        bridge = self._client.call("GET", f"/networks/{REMADE_NETWORK}")
        if bridge.status not in (http.client.OK, http.client.NOT_FOUND):
            raise faults.refused(bridge)
        return engine_life(_decode(bridge), self._told("/info"))

    def ping(self) -> None:
        reply = self._client.call("GET", "/_ping")
        if reply.status != http.client.OK:
            raise faults.refused(reply)

    def close(self) -> None:
        self._events.close()
        self._client.close()

    def _list(self, label: str, kind: str | None = TRY_KIND) -> tuple[ContainerFacts, ...]:
        labels = [label] if kind is None else [label, f"{KIND_LABEL}={kind}"]
        filters = msgspec.json.encode({"label": labels}).decode()
        reply = self._client.call("GET", "/containers/json", {"all": "1", "filters": filters})
        if reply.status != http.client.OK:
            raise faults.refused(reply)
        listed = [ContainerId(each["Id"]) for each in msgspec.json.decode(reply.body, type=list[dict[str, Any]])]
        return tuple(facts for facts in map(self._facts_if_there, listed) if facts is not None)

    def _inspected(self, container: ContainerId) -> dict[str, Any]:
        return self._told(f"/containers/{container}/json")

    def _told(self, path: str) -> dict[str, Any]:
        reply = self._client.call("GET", path)
        if reply.status != http.client.OK:
            raise faults.refused(reply)
        return _decode(reply)

    def _facts_if_there(self, container: ContainerId) -> ContainerFacts | None:
        try:
            return self.inspect(container)
        except NoSuchContainerError:
            return None

    def _stream(
        self, container: ContainerId, path: str, query: dict[str, str], *, tty: bool | None, hijack: bool
    ) -> SocketStream:
        if tty is None:
            tty = bool(self._inspected(container)["Config"].get("Tty"))
        try:
            return SocketStream(open_socket(self._client, path, query, hijack=hijack), tty=tty)
        except Refused as answer:
            raise faults.refused(answer.reply) from answer


def _decode(reply: Reply) -> dict[str, Any]:
    try:
        return msgspec.json.decode(reply.body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise EngineError(f"the engine's answer cannot be read: {error}") from error
