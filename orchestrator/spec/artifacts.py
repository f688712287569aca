"""What is kept of the files that a try wrote: its artifacts, what was left out and why, and what it wrote where
nothing keeps it."""

from datetime import datetime
from typing import IO

from orchestrator.errors import NoSuchFileError
from orchestrator.ids import TryId, TryKey
from orchestrator.spec.value import Value


class OutputRef(Value, frozen=True, kw_only=True):
    """What `output(task_id, path)` in a template means: a file that another task of the run kept, or a folder of
    them, by its absolute path in that task's container."""

    task_id: str
    path: str


class ArtifactId(Value, frozen=True, kw_only=True):
    """Names one kept file: the try that wrote it, and its absolute path in that try's container."""

    attempt: TryKey
    path: str


def none_stored(artifact: ArtifactId) -> IO[bytes]:
    """Opens kept files where there is no store of them: `NoSuchFileError`."""
    raise NoSuchFileError(f"{artifact.path} of try {artifact.attempt.number} is not at hand here")


class Artifact(Value, frozen=True, kw_only=True):
    """One kept file: its absolute path in the container, its size in bytes, its mode as `chmod` takes it, and the
    SHA-256 of its content in hex."""

    path: str
    size: int
    mode: int
    sha256: str


class LostFile(Value, frozen=True, kw_only=True):
    """A file that a try wrote into its container alone, with which it goes; `size` is in bytes."""

    path: str
    size: int


class Harvest(Value, frozen=True, kw_only=True):
    """What became of the files of one try. `notes` say what could not be kept and why; `lost` are files of a failed
    try that nothing kept, `more_lost` how many there are besides these."""

    try_id: TryId
    at: datetime
    artifacts: tuple[Artifact, ...] = ()
    notes: tuple[str, ...] = ()
    lost: tuple[LostFile, ...] = ()
    more_lost: int = 0

    @property
    def sentences(self) -> tuple[str, ...]:
        """What people should know: notes, and one line for each lost file."""
        lost = [f"wrote {each.path}, {each.size} B; no mount covers it" for each in self.lost]
        more = [f"wrote {self.more_lost} more files that no mount covers"] if self.more_lost else []
        return (*self.notes, *lost, *more)
