"""The thread that turns changes in `dags/` into events: each changed file is parsed outside this process."""

import threading
from collections.abc import Callable

import structlog

from orchestrator.clock import Clock
from orchestrator.planning.events import FileGone, FileParsed
from orchestrator.ports import Batch, Folder, Parser
from orchestrator.scheduler.inbox import Message
from orchestrator.scheduler.patience import Patience
from orchestrator.scheduler.workers import Workers

_log = structlog.get_logger()

#: Files parsed at one time.
_PARSERS = 2


class DagWatch:
    """Parses what the folder reports and posts what came of it: for each file in the order of its changes."""

    def __init__(self, folder: Folder, parser: Parser, post: Callable[[Message], None], clock: Clock) -> None:
        self._folder = folder
        self._parser = parser
        self._post = post
        self._clock = clock
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._busy: set[str] = set()  #: files that are being parsed, or wait for it
        self._changed: set[str] = set()  #: busy ones that changed meanwhile
        self._gone: set[str] = set()  #: busy ones that were removed meanwhile
        self._workers = Workers(_PARSERS, "parse")
        self._thread = threading.Thread(target=self._run, name="dag-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._workers.close()

    def join(self, seconds: float) -> bool:
        until = self._clock.monotonic() + seconds
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return self._workers.join(max(until - self._clock.monotonic(), 0.0)) and not self._thread.is_alive()

    def _run(self) -> None:
        patience = Patience(self._clock, self._stop)
        while not self._stop.is_set():
            try:
                for batch in self._folder.batches(self._stop):
                    self._take(batch)
            except Exception:  # noqa: BLE001 - a loop's shell: logged, and everything is looked at anew
                _log.exception("dags.watch_broke")
            patience.wait()

    def _take(self, batch: Batch) -> None:
        for file in batch.gone:
            self._remove(file)
        for file in batch.changed:
            self._change(file)

    def _change(self, file: str) -> None:
        with self._lock:
            self._gone.discard(file)
            if file in self._busy:
                self._changed.add(file)
                return
            self._busy.add(file)
        self._workers.submit(lambda: self._parse(file))

    def _remove(self, file: str) -> None:
        with self._lock:
            self._changed.discard(file)
            if file in self._busy:
                self._gone.add(file)
                return
        self._post(FileGone(file=file))

    def _parse(self, file: str) -> None:
        patience = Patience(self._clock, self._stop)
        while not self._stop.is_set():
            try:
                parsed = self._parser.parse(file)
                self._folder.parsed(parsed)
            except Exception:  # noqa: BLE001 - the shell of a loop: logged, and tried again
                _log.exception("parse.broke", file=file)
                patience.wait()
            else:
                self._post(FileParsed(parsed=parsed))
                break
        self._done(file)

    def _done(self, file: str) -> None:
        """Go on with what became of the file meanwhile."""
        with self._lock:
            self._busy.discard(file)
            if file in self._changed:
                self._changed.discard(file)
                self._busy.add(file)
                self._workers.submit(lambda: self._parse(file))
            elif file in self._gone:
                self._gone.discard(file)
                self._post(FileGone(file=file))
