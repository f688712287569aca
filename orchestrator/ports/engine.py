"""What services may expect of the place where containers run."""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import IO, Protocol

from orchestrator.ids import ContainerId, DeploymentId
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
from orchestrator.spec.value import Value


class Stream(StrEnum):
    """The two output streams of a container; with a tty there is only stdout."""

    STDOUT = "stdout"
    STDERR = "stderr"


class ByteStream(Protocol):
    """A connection that delivers a container's output frames; made for `selectors`.

    `recv` never blocks: it returns raw bytes of the engine's stream, b"" at the end, or None where nothing is
    there yet; `EngineUnavailableError` where the connection broke, so that more may have been written. Read until
    None before waiting for the first time: bytes may be here already. What it returns has no HTTP framing left;
    without a tty it is multiplexed in frames of an 8-byte head (stream number, 3 zero bytes, big-endian length).
    `close` is idempotent."""

    tty: bool

    def fileno(self) -> int: ...
    def recv(self) -> bytes | None: ...
    def close(self) -> None: ...


class FoundKind(StrEnum):
    """What lies at a path besides folders. A hard link is another name of a file that was handed out before."""

    FILE = "file"
    HARD_LINK = "hard_link"
    OTHER = "other"


class FoundFile(Value, frozen=True, kw_only=True):
    """One path of a container that is no folder. `size` is in bytes, `mode` as `chmod` takes it; `target` is the
    path that a hard link repeats."""

    path: str
    kind: FoundKind
    size: int = 0
    mode: int = 0o644
    target: str = ""


class Engine(Protocol):
    """Where containers run. Safe to call from many threads. Every call raises `EngineUnavailableError`
    where the engine cannot be reached, and its child `EngineTimeoutError` where it was sent and not answered.
    All calls after `create` take the container's id, never its name (invariant I3)."""

    def create(self, spec: ContainerSpec) -> ContainerId:
        """Create, do not start. Volumes that it mounts and that do not exist are made, with the mount's labels;
        to those that are labelled as ours every user may write. `NameTakenError` on a name conflict;
        `LaunchRefusedError` for good."""

    def start(self, container: ContainerId) -> None:
        """Start a created container; sent once, never repeated by the adapter. One that runs is left alone; one
        that exited would run again, as engines do: only who created it may start it, once. `LaunchRefusedError`
        for good (no such executable, missing mount source, missing network); `NoSuchContainerError`."""

    def signal(self, container: ContainerId, signal: str) -> bool:
        """Send a signal ("TERM", "KILL"); False where it does not run (any more). On a connection of its own."""

    def remove(self, container: ContainerId, *, force: bool = False) -> bool:
        """Remove it and its anonymous volumes; False where it is gone already. Without `force`,
        `ContainerRunningError` if it runs."""

    def inspect(self, container: ContainerId) -> ContainerFacts:
        """`NoSuchContainerError` where it is gone."""

    def memory(self, container: ContainerId) -> int | None:
        """Bytes that it holds now, less what the kernel can take back at once; None where it does not run. May
        take a second: engines count now and then. `NoSuchContainerError`."""

    def list_ours(self, deployment: DeploymentId) -> tuple[ContainerFacts, ...]:
        """All containers of kind `try` that carry this deployment's label, in any state, exit facts included."""

    def list_owned(self, label: str) -> tuple[ContainerFacts, ...]:
        """All containers, of any deployment and kind, that carry `label` with whatever value."""

    def list_volumes(self, deployment: DeploymentId) -> tuple[VolumeFacts, ...]:
        """All volumes that carry this deployment's label."""

    def list_owned_volumes(self, label: str) -> tuple[VolumeFacts, ...]:
        """All volumes, of any deployment, that carry `label` with whatever value."""

    def remove_volume(self, name: str) -> bool:
        """Remove a volume and what is in it; False where it is gone already, or a container mounts it."""

    def events(self, deployment: DeploymentId) -> Iterator[EngineEvent]:
        """The event stream of this deployment's containers; blocks. Yields CONNECTED each time it is attached
        to the engine (the caller then lists and merges) and DISCONNECTED once for each time it lost it, or
        could not get it at first; reconnects by itself with growing delays up to 5 s. Ends after `close`."""

    def attach_logs(self, container: ContainerId) -> ByteStream:
        """Output from now on; attach before start and it is complete."""

    def follow_logs(self, container: ContainerId) -> ByteStream:
        """Output from the container's beginning as the engine kept it, then on until its end."""

    def read_logs(self, container: ContainerId) -> Iterator[bytes]:
        """All output the engine kept, as chunks of the same frames, without waiting for more."""

    def read_file(self, container: ContainerId, path: str, limit: int) -> bytes:
        """A file's bytes, running or not. `NoSuchFileError`; `FileTooLargeError` above `limit` bytes."""

    def file_size(self, container: ContainerId, path: str) -> int | None:
        """Bytes of a file, running or not; None where there is no regular file."""

    def changed_paths(self, container: ContainerId) -> tuple[str, ...]:
        """Files (and empty directories) that are in the container and not so in its image, as far as no mount holds
        them, in order. `EngineError` where there are too many to tell."""

    def copy_out(
        self, container: ContainerId, path: str, take: Callable[[FoundFile, IO[bytes] | None], bool]
    ) -> None:
        """Hand out the file at `path`, or all that lies below it, also in mounts; running or not. `take` gets each
        with its bytes, None of what is no file, and says whether to go on. A link at `path` itself is followed,
        none below it. `NoSuchFileError` where nothing is there."""

    def put_files(
        self,
        container: ContainerId,
        files: Sequence[InputFile],
        artifact: Callable[[ArtifactId], IO[bytes]] = none_stored,
    ) -> None:
        """Copy files and directories in: one call for the container, one for each volume they name. `artifact`
        opens those that are kept files."""

    def promote(self, spec: ContainerSpec) -> str | None:
        """Move what a try's container, which is over, wrote through its atomic mounts into their roots; returns why
        that cannot be, None where it is done. Files replace those of the same path, each in one step; folders that
        are there are merged, others appear whole. May be asked again at any time; blocks. `LaunchRefusedError`
        where its `promoter` cannot run."""

    def discard(self, spec: ContainerSpec) -> None:
        """Remove what a try wrote through its atomic mounts and was not promoted; as `promote`."""

    def capacity(self) -> EngineCapacity: ...

    def life(self) -> EngineLife:
        """Since when it has not been restarted, as far as it tells."""

    def ping(self) -> None: ...

    def close(self) -> None:
        """End the event stream and all connections; idempotent, from any thread."""
