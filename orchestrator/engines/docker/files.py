"""Files of containers, by the engine's archive API: it works after the end, for any user, for read-only containers,
and without a shell in the image."""

import http.client
import posixpath
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from typing import IO, Any

import msgspec

from orchestrator.clock import Clock
from orchestrator.engines.docker import faults
from orchestrator.engines.docker.archive import PathFacts, found_files, path_facts, read_only_member, write_archive
from orchestrator.engines.docker.client import Client, Reply
from orchestrator.errors import EngineError, EngineTimeoutError, FileTooLargeError, NoSuchFileError
from orchestrator.ids import ContainerId
from orchestrator.ports import FoundFile
from orchestrator.spec.artifacts import ArtifactId
from orchestrator.spec.container import InputFile

_STAT = "X-Docker-Container-Path-Stat"
#: Bytes of a list of changes that are read at most, and of an archive that stay in memory.
_MOST_CHANGES = 8 * 1024 * 1024
_IN_MEMORY = 1024 * 1024
_DELETED = 2


class Files:
    """Calls about files; each raises `EngineUnavailableError`, `NoSuchContainerError`, `EngineError`."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    def read(self, container: ContainerId, path: str, limit: int) -> bytes:
        facts, content = self._read_path(container, path, limit)
        if facts.link:
            facts, content = self._read_path(container, facts.link, limit)
        if not facts.regular:
            raise NoSuchFileError(f"{path} is not a regular file")
        return content

    def size(self, container: ContainerId, path: str) -> int | None:
        with self._client.open(f"/containers/{container}/archive", {"path": path}, method="HEAD") as response:
            if response.status == http.client.NOT_FOUND:
                return None
            if response.status != http.client.OK:
                raise faults.refused_file(Reply(status=response.status, body=response.read()))
            facts = path_facts(response.getheader(_STAT, ""))
        return facts.size if facts.regular else None

    def changed(self, container: ContainerId) -> tuple[str, ...]:
        with self._client.open(f"/containers/{container}/changes", {}) as response:
            if response.status != http.client.OK:
                raise faults.refused(Reply(status=response.status, body=response.read()))
            told = response.read(_MOST_CHANGES)
            if response.read(1):
                raise EngineError("it changed more files than can be looked through")
        changes = msgspec.json.decode(told or b"null", type=list[dict[str, Any]] | None) or []
        paths = {str(each["Path"]) for each in changes if each["Kind"] != _DELETED}
        return tuple(sorted(paths - {posixpath.dirname(path) for path in paths}))

    def copy_out(
        self, container: ContainerId, path: str, take: Callable[[FoundFile, IO[bytes] | None], bool]
    ) -> None:
        where = self._followed(container, path)
        with self._client.open(f"/containers/{container}/archive", {"path": where}) as response:
            if response.status != http.client.OK:
                raise faults.refused_file(Reply(status=response.status, body=response.read()))
            try:
                with tarfile.open(fileobj=response, mode="r|") as archive:
                    if all(take(*found) for found in found_files(archive, path)):
                        response.read()
            except tarfile.TarError as error:
                raise EngineTimeoutError(f"the engine broke off the archive of {path}: {error}") from error

    def put(
        self, container: ContainerId, files: Sequence[InputFile], artifact: Callable[[ArtifactId], IO[bytes]]
    ) -> None:
        place = f"/containers/{container}/archive"
        for folder in dict.fromkeys(file.volume for file in files):
            with tempfile.SpooledTemporaryFile(_IN_MEMORY) as packed:
                write_archive(packed, folder, files, self._clock.now(), artifact)
                reply = self._client.call("PUT", place, {"path": folder}, packed, "application/x-tar")
            if reply.status != http.client.OK:
                raise faults.refused_launch(reply, container)

    def _followed(self, container: ContainerId, path: str) -> str:
        """Where a path leads if it is a symbolic link. A HEAD has no words: what is wrong, the next call tells."""
        with self._client.open(f"/containers/{container}/archive", {"path": path}, method="HEAD") as response:
            facts = response.getheader(_STAT)
            return (path_facts(facts).link if facts else "") or path

    def _read_path(self, container: ContainerId, path: str, limit: int) -> tuple[PathFacts, bytes]:
        """What is at `path`, and its bytes if it is a file; a file above `limit` is not read at all."""
        with self._client.open(f"/containers/{container}/archive", {"path": path}) as response:
            if response.status != http.client.OK:
                raise faults.refused_file(Reply(status=response.status, body=response.read()))
            facts = path_facts(response.getheader(_STAT, ""))
            if not facts.regular:
                return facts, b""
            if facts.size > limit:
                raise FileTooLargeError(path, facts.size, limit)
            content = read_only_member(response, path, limit)
            response.read()
            return facts, content
