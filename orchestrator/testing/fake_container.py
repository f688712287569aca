"""One container of the fake engine: its life, its files, its output."""

import signal as signals
from datetime import datetime

from orchestrator.errors import FileTooLargeError, LaunchRefusedError, NoSuchFileError
from orchestrator.ids import ContainerId
from orchestrator.ports import Stream
from orchestrator.spec.container import (
    ContainerFacts,
    ContainerSpec,
    ContainerState,
    ExitFacts,
    InputFile,
)
from orchestrator.spec.mounting import inside
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode
from orchestrator.testing.fake_output import FakeStream, KeptLog, frame
from orchestrator.testing.programs import Program


class LogHabits(Value, frozen=True, kw_only=True):
    """How an engine hands out logs: bytes that one `recv` gives at most, and whether a follower misses the
    last entry, as it may with real engines."""

    piece: int = 65536
    follow_loses_tail: bool = False


class FakeContainer:
    """State of one container. Not safe for threads: the engine's lock guards it."""

    def __init__(self, container_id: ContainerId, spec: ContainerSpec, program: Program, log: "LogHabits") -> None:
        self.id = container_id
        self.spec = spec
        self.program = program
        self.state = ContainerState.CREATED
        self.starts = 0
        self.files: dict[str, InputFile] = {}
        self.kept = KeptLog()
        self._log = log
        self._started_at: datetime | None = None
        self._exit: ExitFacts | None = None
        self._attached: list[FakeStream] = []
        self._followers: dict[FakeStream, int] = {}  #: how many kept entries each was given

    @property
    def runs(self) -> bool:
        return self.state is ContainerState.RUNNING

    @property
    def memory(self) -> int | None:
        return self.program.memory if self.runs else None

    @property
    def facts(self) -> ContainerFacts:
        return ContainerFacts(
            id=self.id,
            name=self.spec.name,
            state=self.state,
            labels=self.spec.labels,
            started_at=self._started_at,
            exit=self._exit,
        )

    def start(self, at: datetime) -> None:
        """Run; a container that ended runs once more, as on a real engine."""
        self.state, self._started_at, self._exit = ContainerState.RUNNING, at, None
        self.starts += 1
        for path, data in self.program.files.items():
            self.files[path] = InputFile(path=path, data=data)
        for output in self.program.output:
            self.write(output.stream, output.data)

    def write(self, stream: Stream, data: bytes) -> None:
        stream = Stream.STDOUT if self.spec.tty else stream
        for live in self._attached:
            live.write(stream, data)
        self.kept.write(stream, data)
        self._follow()

    def end(self, exit_code: int, at: datetime, *, oom_killed: bool = False) -> None:
        self.state = ContainerState.EXITED
        self._exit = ExitFacts(
            exit_code=exit_code, oom_killed=oom_killed, started_at=self._started_at, finished_at=at
        )
        self.kept.end()
        if not self._log.follow_loses_tail:
            self._follow()
        self.end_streams()

    def end_streams(self) -> None:
        for stream in (*self._attached, *self._followers):
            stream.end()
        self._attached.clear()
        self._followers.clear()

    def attach(self) -> FakeStream:
        stream = FakeStream(tty=self.spec.tty, piece=self._log.piece)
        self._attached.append(stream)
        if self.state is ContainerState.EXITED:
            self.end_streams()
        return stream

    def follow(self) -> FakeStream:
        stream = FakeStream(tty=self.spec.tty, piece=self._log.piece)
        self._followers[stream] = 0
        self._follow()
        if not self.runs:
            self.end_streams()
        return stream

    def log(self) -> list[bytes]:
        tty = self.spec.tty
        return [data if tty else frame(stream, data) for stream, data in self.kept.entries]

    def put(self, file: InputFile) -> None:
        volumes = {*self.spec.volumes, *(mount.target for mount in self.spec.mounts)}
        if self.spec.read_only and file.volume not in volumes:
            raise LaunchRefusedError(ReasonCode.CREATE_REFUSED, "container rootfs is marked read-only")
        self.files[file.path] = file

    def read(self, path: str, limit: int) -> bytes:
        file = self.files.get(path)
        if file is None or file.data is None:
            raise NoSuchFileError(f"container {self.id} has no file {path}")
        if len(file.data) > limit:
            raise FileTooLargeError(path, len(file.data), limit)
        return file.data

    def size(self, path: str) -> int | None:
        file = self.files.get(path)
        return None if file is None or file.data is None else len(file.data)

    def changed(self) -> tuple[str, ...]:
        """Files that no mount holds."""
        mounts = (*self.spec.volumes, *self.spec.tmpfs, *(mount.target for mount in self.spec.mounts))
        return tuple(sorted(path for path in self.files if not any(inside(path, place) for place in mounts)))

    def below(self, path: str) -> list[tuple[str, bytes]]:
        """Files at or below a path, with their bytes."""
        found = [(name, file.data) for name, file in sorted(self.files.items()) if inside(name, path)]
        if not found:
            raise NoSuchFileError(f"container {self.id} has nothing at {path}")
        return [(name, data) for name, data in found if data is not None]

    def staged(self) -> dict[str, bytes]:
        """What its program wrote through atomic mounts, by place in the roots."""
        return {
            f"{mount.source}{path[len(mount.target) :]}": data
            for mount in self.spec.mounts
            for path, data in self.program.files.items()
            if mount.stage and inside(path, mount.target)
        }

    def heeds(self, signal: str) -> bool:
        return signal == "KILL" or signal not in self.program.deaf_to

    def exit_code_on(self, signal: str) -> int:
        """With which code a signal that it heeds ends it."""
        own = self.program.exit_on_term if signal == "TERM" else None
        return exit_code_of(signal) if own is None else own

    def _follow(self) -> None:
        entries = self.kept.entries
        ready = len(entries) - (self.runs and self._log.follow_loses_tail)
        for follower, given in self._followers.items():
            for entry in entries[given:ready]:
                follower.write(*entry)
            self._followers[follower] = max(given, ready)


def exit_code_of(signal: str) -> int:
    """The exit code of a process that a signal ended, as shells and engines tell it."""
    return 128 + signals.Signals[f"SIG{signal}"]
