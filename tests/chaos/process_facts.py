"""What the kernel tells of another process; elsewhere than on Linux nothing, that is 0."""

import sys
from pathlib import Path


class ProcessFacts:
    """Of one process, as of now; memory is in bytes."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")

    @property
    def memory(self) -> int:
        return self._status("VmRSS")

    @property
    def peak(self) -> int:
        """The most memory since it began, or since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        if sys.platform == "linux":
            (self._folder / "clear_refs").write_text("5")

    @property
    def threads(self) -> int:
        return len(list((self._folder / "task").iterdir())) if sys.platform == "linux" else 0

    @property
    def handles(self) -> int:
        return len(list((self._folder / "fd").iterdir())) if sys.platform == "linux" else 0

    def _status(self, name: str) -> int:
        if sys.platform != "linux":
            return 0
        told = (line.split() for line in (self._folder / "status").read_text().splitlines())
        return next(int(words[1]) * 1024 for words in told if words[0] == f"{name}:")
