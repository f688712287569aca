"""Whose logs are: the fence around files that the leader before may still have open (invariants I3, I7).

A leader that is stopped for a minute and wakes up finishes the write it was in, before anybody can tell it that it
leads no more. So who goes on with a log first puts copies in place of its files: what the one before has open is
then nobody's log, and whatever it writes there reaches none. Everything else that changes files by their names is
done under a lock of their folder, in which it is asked once more who leads; whoever is stopped in there keeps the
next one waiting.
"""

import contextlib
import fcntl
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

from orchestrator.errors import LogUnavailableError
from orchestrator.tasklogs.files import TryFiles, copy_range, draft_of

#: Logs of which is remembered that their files are ours. One that is forgotten is copied once more, no harm done.
_REMEMBERED = 4096
#: Locks that this process's own threads share out among folders.
_LOCKS = 64


class Ownership:
    """Logs of one process among several that share a folder. `leads` tells whether this one writes them now."""

    def __init__(self, leads: Callable[[], bool]) -> None:
        self._leads = leads
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))
        self._lock = threading.Lock()
        self._ours: OrderedDict[TryFiles, int] = OrderedDict()

    @contextlib.contextmanager
    def changing(self, files: TryFiles) -> Iterator[None]:
        """Change files of a log by name within. `LogUnavailableError` where this process leads no more, or another
        one is in the middle of such a change; OSError where there is no such folder."""
        with self._locks[hash(files.folder) % _LOCKS], _locked(files.folder):
            if not self._leads():
                raise LogUnavailableError(
                    f"the log {files.log} is not this scheduler's: another one leads, or may do so",
                    fix="nothing is to be done: who leads goes on with it",
                )
            yield

    def take(self, files: TryFiles) -> None:
        """Put copies in place of a log's files, unless these are ours already; within `changing`."""
        found = _inode(files.index)
        with self._lock:
            ours = found is None or self._ours.get(files) == found
        if not ours:
            replace_by_copies(files)

    def keep(self, files: TryFiles) -> None:
        """The files as they are now are ours; within `changing`."""
        found = _inode(files.index)
        with self._lock:
            self._ours.pop(files, None)
            if found is not None:
                self._ours[files] = found
            while len(self._ours) > _REMEMBERED:
                self._ours.popitem(last=False)


def replace_by_copies(files: TryFiles) -> None:
    """The same bytes in files of their own. While a draft of the index is there, some may be replaced already."""
    paths = [path for path in (files.log, files.system, files.index) if path.exists()]
    _copy(files.index, draft_of(files.index))  # first: it tells of the rest
    for path in paths:
        if path != files.index:
            _copy(path, draft_of(path))
    for path in paths:
        draft_of(path).rename(path)


def being_replaced(files: TryFiles) -> bool:
    """Whether the files of a log may not belong together just now, or for good where a process died in there."""
    return draft_of(files.index).exists()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LogUnavailableError(
                f"another scheduler is at the logs in {folder} and does not go on",
                fix="it is tried again by itself; a scheduler that stands still can be ended",
            ) from None
        yield
    finally:
        os.close(descriptor)


def _copy(path: Path, target: Path) -> None:
    source = os.open(path, os.O_RDONLY)
    try:
        made = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            copy_range(source, 0, os.fstat(source).st_size, made, 0)
            os.fsync(made)
        finally:
            os.close(made)
    finally:
        os.close(source)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
