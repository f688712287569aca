"""What services may expect of the place where files of tries are kept after their containers have gone."""

from typing import IO, Protocol

from orchestrator.ids import TryKey
from orchestrator.spec.artifacts import ArtifactId, Harvest


class ArtifactDraft(Protocol):
    """A harvest that is being brought in. One thread. Every call raises `ArtifactsUnavailableError`."""

    def add(self, path: str, content: IO[bytes], *, mode: int) -> int:
        """Keep a file; returns its bytes. The same path again replaces it."""

    def repeat(self, path: str, target: str) -> bool:
        """Keep a second name of a file that was added; False where there is none."""

    def commit(self, harvest: Harvest) -> None:
        """Make it the harvest of its try: `harvest` with the artifacts that were added, in order of their paths.
        From here on it survives a power failure; before, nothing of it can be seen."""

    def discard(self) -> None:
        """Forget what was not committed; idempotent."""


class ArtifactStore(Protocol):
    """Keeps, for each try, what was harvested of it. Safe to read from any process while one writes. Every call
    raises `ArtifactsUnavailableError` where the files cannot be used now."""

    def draft(self, key: TryKey) -> ArtifactDraft:
        """Begin a harvest; what an earlier one left unfinished is forgotten."""

    def harvest(self, key: TryKey) -> Harvest | None:
        """What is kept of a try; None where it was not harvested."""

    def open(self, artifact: ArtifactId) -> IO[bytes]:
        """The bytes of a kept file, which can be sought in. `NoSuchFileError`."""

    def remove(self, key: TryKey) -> None:
        """Forget a try's harvest; nothing happens where there is none."""
