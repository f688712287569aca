"""The thread that turns changes in `dags/` into events: each changed file is parsed outside this process."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from orchestrator.planning.events import FileGone, FileParsed
from orchestrator.ports import Folder, Parser
from orchestrator.scheduler.inbox import Message

_log = structlog.get_logger()

#: Files parsed at one time.
_PARSERS = 2


class DagWatch:
    """Parses what the folder reports and posts what came of it."""

    def __init__(self, folder: Folder, parser: Parser, post: Callable[[Message], None]) -> None:
        self._folder = folder
        self._parser = parser
        self._post = post
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(_PARSERS, thread_name_prefix="parse")
        self._thread = threading.Thread(target=self._run, name="dag-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._thread.is_alive():
            self._thread.join(2)

    def _run(self) -> None:
        for batch in self._folder.batches(self._stop):
            for file in batch.gone:
                self._post(FileGone(file=file))
            for file in batch.changed:
                if not self._stop.is_set():
                    self._pool.submit(self._parse, file)

    def _parse(self, file: str) -> None:
        try:
            parsed = self._parser.parse(file)
        except Exception:  # noqa: BLE001 - the shell of a loop: logged, and the work fails alone
            _log.exception("parse.broke", file=file)
            return
        self._folder.parsed(parsed)
        if not self._stop.is_set():
            self._post(FileParsed(parsed=parsed))
