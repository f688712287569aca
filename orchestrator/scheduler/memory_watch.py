"""How much memory tries with a `mem_limit` hold, sampled now and then, so that one that runs out of it can be told
how far it had come. Only they are looked at, by few threads, and a look costs the engine a counter it keeps anyway.
"""

import threading

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import EngineError
from orchestrator.ids import ContainerId, TryId
from orchestrator.ports import Engine
from orchestrator.scheduler.attempts import OpenAttempt, OpenAttempts
from orchestrator.scheduler.workers import Workers

_log = structlog.get_logger()

#: Seconds between two looks.
_PERIOD = 1.0
#: Threads that ask the engine, which takes up to a second for each answer.
_SAMPLERS = 4


class MemoryWatch:
    """Looks at the open tries now and then. One that is still being asked about is not asked about again."""

    def __init__(self, engine: Engine, attempts: OpenAttempts, clock: Clock) -> None:
        self._engine = engine
        self._attempts = attempts
        self._clock = clock
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._asked: set[TryId] = set()
        self._workers = Workers(_SAMPLERS, "memory")
        self._thread = threading.Thread(target=self._run, name="memory-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def look(self) -> None:
        """Have every running try with a limit sampled."""
        for entry in self._attempts.all():
            limited = entry.attempt.spec.memory is not None and entry.started and not entry.ending.is_set()
            if limited and entry.container_id is not None and self._claim(entry):
                self._submit(entry, entry.container_id)

    def close(self) -> None:
        self._stop.set()
        self._workers.close()

    def join(self, seconds: float) -> bool:
        until = self._clock.monotonic() + seconds
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return self._workers.join(max(until - self._clock.monotonic(), 0.0)) and not self._thread.is_alive()

    def _run(self) -> None:
        while not self._clock.wait(self._stop, _PERIOD):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - the shell of a loop: logged; the next look comes
                _log.exception("memory.broke")

    def _claim(self, entry: OpenAttempt) -> bool:
        with self._lock:
            new = entry.try_id not in self._asked
            self._asked.add(entry.try_id)
            return new

    def _submit(self, entry: OpenAttempt, container: ContainerId) -> None:
        self._workers.submit(lambda: self._sample(entry, container))

    def _sample(self, entry: OpenAttempt, container: ContainerId) -> None:
        try:
            held = self._engine.memory(container)
            if held is not None:
                entry.highest_memory = max(held, entry.highest_memory or 0)
        except EngineError:
            pass  # a sample more or less: where the engine is away, others tell of it
        finally:
            with self._lock:
                self._asked.discard(entry.try_id)
