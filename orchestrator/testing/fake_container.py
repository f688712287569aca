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
from orchestrator.states import ReasonCode
from orchestrator.testing.fake_output import FakeStream, KeptLog, frame
from orchestrator.testing.programs import Program


class FakeContainer:
    """State of one container. Not safe for threads: the engine's lock guards it."""

    def __init__(self, container_id: ContainerId, spec: ContainerSpec, program: Program, piece: int) -> None:
        self.id = container_id
        self.spec = spec
        self.program = program
        self.state = ContainerState.CREATED
        self.starts = 0
        self.files: dict[str, InputFile] = {}
        self.kept = KeptLog()
        self._piece = piece
        self._started_at: datetime | None = None
        self._exit: ExitFacts | None = None
        self._attached: list[FakeStream] = []
        self._followers: list[FakeStream] = []

    @property
    def runs(self) -> bool:
        return self.state is ContainerState.RUNNING

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
        self._follow(self.kept.write(stream, data))

    def end(self, exit_code: int, at: datetime, *, oom_killed: bool = False) -> None:
        self.state = ContainerState.EXITED
        self._exit = ExitFacts(
            exit_code=exit_code, oom_killed=oom_killed, started_at=self._started_at, finished_at=at
        )
        self._follow(self.kept.end())
        self.end_streams()

    def end_streams(self) -> None:
        for stream in (*self._attached, *self._followers):
            stream.end()
        self._attached.clear()
        self._followers.clear()

    def attach(self) -> FakeStream:
        stream = FakeStream(tty=self.spec.tty, piece=self._piece)
        self._attached.append(stream)
        if self.state is ContainerState.EXITED:
            self.end_streams()
        return stream

    def follow(self) -> FakeStream:
        stream = FakeStream(tty=self.spec.tty, piece=self._piece)
        for entry in self.kept.entries:
            stream.write(*entry)
        self._followers.append(stream)
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

    def heeds(self, signal: str) -> bool:
        return signal == "KILL" or signal not in self.program.deaf_to

    def _follow(self, entries: list[tuple[Stream, bytes]]) -> None:
        for follower in self._followers:
            for entry in entries:
                follower.write(*entry)


def exit_code_of(signal: str) -> int:
    """The exit code of a process that a signal ended, as shells and engines tell it."""
    return 128 + signals.Signals[f"SIG{signal}"]
