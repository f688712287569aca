"""Processes that outlive the one that started them: seen by this process, which they become children of (Linux)."""

import ctypes
import os
import select
import sys
from pathlib import Path
from typing import Self

from engine_proxy import PATIENCE

_PR_SET_CHILD_SUBREAPER = 36


class Orphans:
    """A context manager: within it, whoever loses its parent among our descendants gets this process as one."""

    def __enter__(self) -> Self:
        self._before = _children()
        _adopt_orphans(1)
        return self

    def __exit__(self, *_: object) -> None:
        _adopt_orphans(0)

    def wait_gone(self) -> None:
        """See every orphan end by itself, and let go of it. Call where no other child was started meanwhile."""
        for pid in _children() - self._before:
            handle = os.pidfd_open(pid)
            try:
                poll = select.poll()
                poll.register(handle, select.POLLIN)
                words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
                assert poll.poll(PATIENCE * 1000), f"outlived the scheduler: {words!r}"
            finally:
                os.close(handle)
            os.waitpid(pid, 0)


def _children() -> set[int]:
    if sys.platform != "linux":
        return set()
    threads = Path("/proc/self/task").iterdir()
    return {int(child) for thread in threads for child in (thread / "children").read_text().split()}


def _adopt_orphans(on: int) -> None:
    if sys.platform == "linux":
        assert ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, on, 0, 0, 0) == 0
