"""What the scheduler's side and an authoring worker say to each other: msgpack, each message after its length."""

import socket
import struct
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.rows import Reason
from orchestrator.ports import RenderFacts
from orchestrator.spec.control import Control
from orchestrator.spec.dag import ContainerTemplate, ParsedFile
from orchestrator.spec.secrets import StoredKey
from orchestrator.spec.value import Value

_LENGTH = struct.Struct("!I")
_LARGEST = 64 * 1024 * 1024
T = TypeVar("T")


class Limits(Value, frozen=True, kw_only=True):
    """What one request may take: seconds of time, bytes of address space."""

    seconds: float
    memory: int


class ParseTask(Value, frozen=True, kw_only=True, tag="parse"):
    """Parse `file`, relative to `<root>/dags`. Files below `ignored` are nobody's dependencies. `bare_images` are
    the folders in `task-images/` that have no Dockerfile."""

    root: str
    file: str
    environment: dict[str, str]
    task_images: tuple[str, ...]
    ignored: tuple[str, ...]
    limits: Limits
    bare_images: tuple[str, ...] = ()
    engine_aliases: tuple[str, ...] = ()  #: names of the engine beside `default`


class RenderTask(Value, frozen=True, kw_only=True, tag="render"):
    """Render one try's container template."""

    facts: RenderFacts
    limits: Limits


class CheckTask(Value, frozen=True, kw_only=True, tag="check"):
    """Look whether a result, as JSON, fits a JSON schema."""

    schema: dict[str, Any]
    data: bytes
    limits: Limits


#: What a worker may be asked for.
Task = ParseTask | RenderTask | CheckTask


class Told(Value, frozen=True, kw_only=True, tag="told"):
    """The answer to an `Ask`: a result's JSON, or None where there is none; of what is stored, a `Shown`; `all`:
    the results of instances."""

    data: bytes | None = None
    all: tuple[bytes, ...] = ()


class Instances(Value, frozen=True, kw_only=True):
    """The results of a mapped task's instances, in order, without those that are null; or the one in this place."""

    run: RunKey
    task_id: str
    place: int | None = None


class Ask(Value, frozen=True, kw_only=True, tag="ask"):
    """A template asks for the result of this task instance, for those of a mapped task, or for what it may see of a
    variable or connection."""

    key: TaskKey | None = None
    instances: Instances | None = None
    stored: StoredKey | None = None


class Parsed(Value, frozen=True, kw_only=True, tag="parsed"):
    """What a parse gave."""

    parsed: ParsedFile


class Done(Value, frozen=True, kw_only=True, tag="done"):
    """The rendered template; of a task without a container, what it is to do."""

    container: ContainerTemplate = ContainerTemplate()
    control: Control | None = None


class Refused(Value, frozen=True, kw_only=True, tag="refused"):
    """Why it cannot be rendered."""

    reason: Reason


class Checked(Value, frozen=True, kw_only=True, tag="checked"):
    """What does not fit, None where all does."""

    misfit: str | None


#: What a worker may say last.
Answer = Parsed | Done | Refused | Checked


class Channel:
    """One end of a conversation. `remaining` tells how many more seconds a receive may wait (None: for ever)."""

    def __init__(self, end: socket.socket, remaining: Callable[[], float | None] = lambda: None) -> None:
        self._end = end
        self._remaining = remaining

    def send(self, message: Value) -> None:
        """ValueError where the message is larger than any sound one; OSError where nobody listens."""
        data = msgspec.msgpack.encode(message)
        if len(data) > _LARGEST:
            raise ValueError(f"an answer of {len(data)} B is larger than the {_LARGEST} B that fit")
        self._end.settimeout(None)
        self._end.sendall(_LENGTH.pack(len(data)) + data)

    def receive(self, kind: type[T] | Any) -> T | None:
        """The next message, None at the end. TimeoutError; ValueError where the bytes are no such message."""
        head = self._exactly(_LENGTH.size)
        if head is None:
            return None
        (length,) = _LENGTH.unpack(head)
        if length > _LARGEST:
            raise ValueError(f"a message of {length} B")
        data = self._exactly(length)
        return None if data is None else msgspec.msgpack.decode(data, type=kind)

    def close(self) -> None:
        self._end.close()

    def _exactly(self, length: int) -> bytes | None:
        data = bytearray()
        while len(data) < length:
            left = self._remaining()
            if left is not None and left <= 0:
                raise TimeoutError
            self._end.settimeout(left)
            chunk = self._end.recv(min(length - len(data), 1 << 20))
            if not chunk:
                return None
            data += chunk
        return bytes(data)
