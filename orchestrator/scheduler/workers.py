"""Threads for work that the loop must not wait for. They are daemons: whoever hangs in a call to an engine or a
registry never keeps the process from ending (a `ThreadPoolExecutor` is joined when the interpreter exits).
"""

import threading
from collections import deque
from collections.abc import Callable

import structlog

_log = structlog.get_logger()


class Workers:
    """Up to `count` threads, started as they are needed, that do what is submitted in order. Work that raises is
    logged and harms no other."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._changed = threading.Condition()
        self._waiting: deque[Callable[[], None]] = deque()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False

    def submit(self, work: Callable[[], None]) -> None:
        """Have `work` done; nothing happens after `close`."""
        with self._changed:
            if self._closed:
                return
            self._waiting.append(work)
            if len(self._waiting) <= self._idle:
                self._changed.notify()
            elif len(self._threads) < self._count:
                name = f"{self._name}-{len(self._threads)}"
                self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
                self._threads[-1].start()

    def close(self) -> None:
        """Begin nothing more; what waits is dropped, what is under way goes on."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def join(self, seconds: float) -> bool:
        """After `close`: wait up to `seconds` for what is under way; whether it has ended."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._threads, seconds)

    def _run(self) -> None:
        try:
            while (work := self._next()) is not None:
                self._do(work)
        finally:
            with self._changed:
                self._threads.remove(threading.current_thread())
                self._changed.notify_all()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._waiting or self._closed)
            self._idle -= 1
            return None if self._closed else self._waiting.popleft()

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # noqa: BLE001 - a loop's shell: logged, and the work fails alone
            _log.exception("work.broke", workers=self._name)
