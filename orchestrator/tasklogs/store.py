"""`ports.LogStore` over a folder of files."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from orchestrator.ids import TryKey
from orchestrator.ports import LogRecord, Stream
from orchestrator.tasklogs.files import TryFiles, faults, files_of
from orchestrator.tasklogs.reader import LogReader, last_line, tail
from orchestrator.tasklogs.writer import FileLogWriter


class FileLogStore:
    """Logs of tries under `folder`. Any process may read; one at a time writes a try's log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def writer(self, key: TryKey) -> FileLogWriter:
        return FileLogWriter(files_of(self._folder, key))

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

    def tail(self, key: TryKey, lines: int) -> tuple[str, ...]:
        with self._reader(key) as reader:
            return () if reader is None else tail(reader, lines)

    def remove(self, key: TryKey) -> None:
        files = files_of(self._folder, key)
        with faults(files.log):
            found = [path for path in files.all if path.exists()]
            for path in found:
                path.unlink(missing_ok=True)
            if found:
                self._remove_empty_folders(files)

    @contextlib.contextmanager
    def _reader(self, key: TryKey) -> Iterator[LogReader | None]:
        files = files_of(self._folder, key)
        with faults(files.log), contextlib.ExitStack() as stack:
            try:
                reader = LogReader(files, stack)
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
