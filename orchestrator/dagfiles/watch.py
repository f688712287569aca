"""Watching `dags/`: what is new, changed or gone, by comparing what is there with what was there.

The file system's own notices only say when to look; a look also follows every second without one. So renames,
links that are switched, editors that write in steps and file systems that tell nothing all come out the same.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import structlog
import watchfiles

from orchestrator.clock import Clock
from orchestrator.dagfiles.discover import dag_files
from orchestrator.ports import Batch
from orchestrator.settings import Project
from orchestrator.spec.dag import ParsedFile, Severity

_log = structlog.get_logger()

#: Milliseconds: changes closer together than `_STEP` are one, for `_DEBOUNCE` at most; a look after `_LOOK`.
_STEP, _DEBOUNCE, _LOOK = 50, 300, 1000

#: What tells one content of a file from another without reading it; None where there is no file.
_Mark = tuple[int, int, int, int] | None
_Look = dict[str, dict[Path, _Mark]]


class DagFolder:
    """A `Folder`. `parsed` may be called from any thread while `batches` runs in its own."""

    def __init__(self, project: Project, clock: Clock) -> None:
        self._root = project.root
        self._dags = project.dags_folder
        self._every = project.settings.dags.reparse_every
        self._clock = clock
        self._lock = threading.Lock()
        self._dependencies: dict[str, dict[Path, _Mark]] = {}
        self._broken: set[str] = set()

    def scan(self) -> tuple[str, ...]:
        """The DAG files there are now, relative to `dags/`."""
        return dag_files(self._dags)

    def parsed(self, parsed: ParsedFile) -> None:
        """Learn from a file's newest parse what it depends on, and whether anything might mend it."""
        broken = any(problem.severity is Severity.ERROR for problem in parsed.problems)
        paths = [self._root / each for each in parsed.dependencies]
        marks = {path: _mark(path) for path in paths}
        with self._lock:
            self._dependencies[parsed.file] = marks
            (self._broken.add if broken else self._broken.discard)(parsed.file)

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """The first batch is everything. Ends when `stop` is set."""
        seen = self._look()
        yield Batch(changed=tuple(seen))
        parsed_at = self._clock.monotonic()
        for _ in self._notices(stop):
            now = self._look()
            again = self._clock.monotonic() - parsed_at >= self._every
            if again:
                parsed_at = self._clock.monotonic()
            batch = Batch(
                changed=tuple(now) if again else self._changed(seen, now),
                gone=tuple(file for file in seen if file not in now),
            )
            self._forget(batch.gone)
            seen = now
            if batch.changed or batch.gone:
                yield batch

    def _notices(self, stop: threading.Event) -> Iterator[object]:
        """Something may have changed. Where the system cannot watch, a look each second is all there is."""
        try:
            yield from watchfiles.watch(
                self._dags,
                watch_filter=None,
                step=_STEP,
                debounce=_DEBOUNCE,
                rust_timeout=_LOOK,
                yield_on_timeout=True,
                stop_event=stop,
                raise_interrupt=False,
                ignore_permission_denied=True,
            )
        except (OSError, RuntimeError) as error:
            _log.warning("dags.unwatched", folder=str(self._dags), error=str(error))
        while not self._clock.wait(stop, _LOOK / 1000):
            yield None

    def _look(self) -> _Look:
        """Each DAG file, with the marks of itself and of what it depends on."""
        with self._lock:
            dependencies = dict(self._dependencies)
        marks: dict[Path, _Mark] = {}
        found: _Look = {}
        for file in self.scan():
            paths = [self._dags / file, *dependencies.get(file, ())]
            marks.update((path, _mark(path)) for path in paths if path not in marks)
            found[file] = {path: marks[path] for path in paths}
        return found

    def _changed(self, before: _Look, now: _Look) -> tuple[str, ...]:
        """Files that are new, or of which anything has another mark than before, or than when it was learnt;
        and, when anything at all changed, those that are broken: what they missed may be there now."""
        with self._lock:
            learnt, broken = dict(self._dependencies), frozenset(self._broken)
        changed = {
            file
            for file, marks in now.items()
            if file not in before
            or any(mark != marks.get(path, mark) for path, mark in {**learnt.get(file, {}), **before[file]}.items())
        }
        if changed or before.keys() - now.keys():
            changed |= broken & now.keys()
        return tuple(sorted(changed))

    def _forget(self, gone: tuple[str, ...]) -> None:
        with self._lock:
            for file in gone:
                self._dependencies.pop(file, None)
                self._broken.discard(file)


def _mark(path: Path) -> _Mark:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino
