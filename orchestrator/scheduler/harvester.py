"""After a try's end and before its container goes: its outputs are kept, and of a failed one it is noted what
nothing keeps (invariant I2)."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import IO

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import (
    ArtifactsUnavailableError,
    EngineError,
    EngineTimeoutError,
    EngineUnavailableError,
    NoSuchFileError,
)
from orchestrator.ids import ContainerId, TryId, TryKey
from orchestrator.planning.rows import Try, TryOutcome
from orchestrator.ports import ArtifactDraft, ArtifactStore, Engine, FoundFile, FoundKind
from orchestrator.scheduler.lost_output import LostFiles, lost_files
from orchestrator.spec.artifacts import Harvest
from orchestrator.spec.outputs import covers, roots_of

_log = structlog.get_logger()

#: How often an archive that breaks off halfway is asked for.
_ATTEMPTS = 5
#: Bytes that are read through in search of outputs, for each byte that may be kept.
_SEARCHED = 4
#: Notes of files that could not be kept.
_NOTES = 20


class Harvester:
    """Harvests each try once, however often it is asked to; any thread. Others wait here for harvests."""

    def __init__(self, engine: Engine, artifacts: ArtifactStore, *, most: int, largest: int, clock: Clock) -> None:
        """At most `most` files of `largest` bytes together are kept of a try."""
        self._engine = engine
        self._artifacts = artifacts
        self._most = most
        self._largest = largest
        self._clock = clock
        self._lock = threading.Lock()
        self._broken: Counter[TryId] = Counter()
        self._waiting: dict[TryKey, list[Callable[[], None]]] = {}

    def harvest(self, attempt: Try) -> None:
        """Keep what a try that is over left. `EngineUnavailableError`, `ArtifactsUnavailableError`: try again."""
        if not self._is_in(attempt):
            self._bring_in(attempt)
        self._broken.pop(attempt.try_id, None)
        with self._lock:
            waiting = self._waiting.pop(attempt.key, [])
        for go_on in waiting:
            go_on()

    def await_harvest(self, attempt: Try, go_on: Callable[[], None]) -> bool:
        """Have `go_on` called once the outputs of a try are in; False, and no call, where they are in already.
        `ArtifactsUnavailableError`."""
        key = attempt.key
        with self._lock:
            self._waiting.setdefault(key, []).append(go_on)
        try:
            is_in = self._is_in(attempt)
        except ArtifactsUnavailableError:
            self._withdraw(key, go_on)
            raise
        return not (is_in and self._withdraw(key, go_on))

    def _withdraw(self, key: TryKey, go_on: Callable[[], None]) -> bool:
        """Have it not called any more; False where who brought the outputs in has taken the call along."""
        with self._lock:
            waiting = self._waiting.get(key, [])
            waits = go_on in waiting
            if waits:
                waiting.remove(go_on)
            if not waiting:
                self._waiting.pop(key, None)
            return waits

    def _is_in(self, attempt: Try) -> bool:
        known = self._artifacts.harvest(attempt.key)
        return known is not None and known.try_id == attempt.try_id

    def _bring_in(self, attempt: Try) -> None:
        failed = attempt.outcome is TryOutcome.FAILED and attempt.exit is not None
        lost = self._lost(attempt) if failed else LostFiles()
        if not attempt.spec.outputs and not lost.files:
            return
        draft = self._artifacts.draft(attempt.key)
        try:
            notes = tuple(self._outputs(attempt, draft))
            at, (files, more) = self._clock.now(), lost
            draft.commit(Harvest(try_id=attempt.try_id, at=at, notes=notes, lost=files, more_lost=more))
        finally:
            draft.discard()

    def _outputs(self, attempt: Try, draft: ArtifactDraft) -> list[str]:
        """Keep outputs; why some are not."""
        patterns = attempt.spec.outputs
        if not patterns:
            return []
        if attempt.container_id is None:
            return ["it had no container, so there is no output"]
        secrets = frozenset(file.path for file in attempt.spec.secret_files)
        basket = _Basket(draft, patterns, secrets, most=self._most, largest=self._largest)
        for root in roots_of(patterns):
            basket.problem(self._search(attempt, attempt.container_id, root, basket))
        return basket.notes()

    def _search(self, attempt: Try, container: ContainerId, root: str, basket: "_Basket") -> str | None:
        """Look through one place; what went wrong there."""
        basket.begin(root)
        try:
            self._engine.copy_out(container, root, basket.take)
        except NoSuchFileError:
            return None  # told as patterns that mean nothing
        except EngineTimeoutError as broken:
            self._broken[attempt.try_id] += 1
            if self._broken[attempt.try_id] < _ATTEMPTS:
                raise
            return f"{root} could not be read to its end: {broken.message}"
        except EngineUnavailableError:
            raise
        except EngineError as error:
            _log.warning("harvest.refused", try_id=attempt.try_id, path=root, error=error.message)
            return f"{root} could not be read: {error.message}"
        return None

    def _lost(self, attempt: Try) -> LostFiles:
        if attempt.container_id is None:
            return LostFiles()
        try:
            return lost_files(self._engine, attempt.container_id, attempt.spec)
        except EngineUnavailableError:
            raise
        except EngineError as error:  # it is a notice only: the container may be gone, or have changed too much
            _log.info("harvest.no_notice", try_id=attempt.try_id, error=error.message)
            return LostFiles()


class _Basket:
    """Takes what the engine hands out, as far as patterns mean it and limits allow."""

    def __init__(
        self,
        draft: ArtifactDraft,
        patterns: tuple[str, ...],
        secrets: frozenset[str],
        *,
        most: int,
        largest: int,
    ) -> None:
        """`secrets` are files that are never kept."""
        self._draft = draft
        self._patterns = patterns
        self._secrets = secrets
        self._most, self._largest = most, largest
        self._files = self._bytes = self._searched = 0
        self._root = ""
        self._met: set[str] = set()
        self._notes: list[str] = []
        self._untold = 0

    def begin(self, root: str) -> None:
        self._root = root

    def take(self, found: FoundFile, content: IO[bytes] | None) -> bool:
        """Keep one file, or pass it over; whether to go on."""
        self._searched += found.size
        meant = [pattern for pattern in self._patterns if covers(pattern, found.path)]
        self._met.update(meant)
        if meant and found.path in self._secrets:
            self._note(f"{found.path} was not kept: it holds a secret")
        elif meant:
            self._keep(found, content)
        if self._searched <= _SEARCHED * self._largest:
            return True
        self._note(f"{self._root} was not looked through, there is too much in it; name files more closely")
        return False

    def problem(self, text: str | None) -> None:
        if text is not None:
            self._note(text)

    def notes(self) -> list[str]:
        """What could not be kept, and why."""
        missing = [f"nothing was found at {each}" for each in self._patterns if each not in self._met]
        more = [f"{self._untold} more files were not kept"] if self._untold else []
        return [*missing, *self._notes, *more]

    def _keep(self, found: FoundFile, content: IO[bytes] | None) -> None:
        if found.kind is FoundKind.HARD_LINK:
            if self._files >= self._most or not self._draft.repeat(found.path, found.target):
                self._note(f"{found.path} was not kept: it is a second name of {found.target}, which was not")
            else:
                self._files += 1
        elif content is None:
            self._note(f"{found.path} was not kept: it is a link or no file")
        elif self._files >= self._most:
            self._note(f"{found.path} was not kept: {self._most} files were (setting tasks.output_files)")
        elif self._bytes + found.size > self._largest:
            self._note(
                f"{found.path} was not kept: with its {found.size} B it would be more than the {self._largest} B"
                " of setting tasks.output_limit; large data belongs in mounts"
            )
        else:
            self._files += 1
            self._bytes += self._draft.add(found.path, content, mode=found.mode)

    def _note(self, text: str) -> None:
        if len(self._notes) < _NOTES:
            self._notes.append(text)
        else:
            self._untold += 1
