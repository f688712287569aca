"""`ports.LogStore` over a folder of files."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from orchestrator.ids import TryKey
from orchestrator.ports import LogRecord, Stream
from orchestrator.tasklogs.files import TryFiles, faults, files_of
from orchestrator.tasklogs.ownership import Ownership
from orchestrator.tasklogs.reader import LogReader, last_line, opened_together, tail
from orchestrator.tasklogs.writer import FileLogWriter


class FileLogStore:
    """Logs of tries under `folder`. Any process may read; one at a time writes a try's log. Where several processes
    write one after the other, and one before may wake up again, `leads` tells whether this is the one."""

    def __init__(self, folder: Path, leads: Callable[[], bool] | None = None) -> None:
        self._folder = folder
        self._ownership = None if leads is None else Ownership(leads)

    def writer(self, key: TryKey) -> FileLogWriter:
        return FileLogWriter(files_of(self._folder, key), self._ownership)

    def records(self, key: TryKey, start: int = 0) -> Iterator[LogRecord]:
        with self._reader(key) as reader:
            if reader is not None:
                yield from reader.records(start)

    def ended(self, key: TryKey, part: int = 1) -> bool:
        with self._reader(key) as reader:
            return reader is not None and reader.ended(part)

    def last_line(self, key: TryKey, stream: Stream, limit: int) -> bytes | None:
        with self._reader(key) as reader:
            return None if reader is None else last_line(reader, stream, limit)

    def ends(self, key: TryKey, limit: int) -> dict[Stream, bytes]:
        with self._reader(key) as reader:
            return dict.fromkeys(Stream, b"") if reader is None else reader.ends(limit)

    def tail(self, key: TryKey, lines: int) -> tuple[str, ...]:
        with self._reader(key) as reader:
            return () if reader is None else tail(reader, lines)

    def remove(self, key: TryKey) -> None:
        files = files_of(self._folder, key)
        with faults(files.log):
            found = [path for path in files.all if path.exists()]
            if found:
                with contextlib.nullcontext() if self._ownership is None else self._ownership.changing(files):
                    for path in found:
                        path.unlink(missing_ok=True)
                self._remove_empty_folders(files)

    @contextlib.contextmanager
    def _reader(self, key: TryKey) -> Iterator[LogReader | None]:
        files = files_of(self._folder, key)
        with faults(files.log), contextlib.ExitStack() as stack:
            try:
                reader = opened_together(files, stack)
            except FileNotFoundError:
                yield None
            else:
                yield reader

    def _remove_empty_folders(self, files: TryFiles) -> None:
        with contextlib.suppress(OSError):  # the first one that is not empty
            for folder in (files.folder, *files.folder.parents):
                if folder == self._folder:
                    break
                folder.rmdir()
