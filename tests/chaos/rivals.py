"""Schedulers that share a database of PostgreSQL and a home: one leads, the others stand by."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

from engine_proxy import PATIENCE
from scheduler_process import SchedulerProcess
from sqlalchemy import select
from stage import Stage

from orchestrator.clock import SystemClock
from orchestrator.errors import StoreUnavailableError
from orchestrator.ids import Epoch
from orchestrator.store import SqlStore
from orchestrator.store.tables import METADATA

_LOOK = 0.1
#: When the time is up, when the database answers that it is, and when it answers who leads.
_WAKES = 3
#: What changes though nobody writes run state.
_NO_RUN_STATE = {"standbys", "requests"}


class Rivals:
    """The processes of one stage, told apart by what the database says of them."""

    def __init__(self, stage: Stage, store: SqlStore) -> None:
        self._stage = stage
        self._store = store
        self._alive: list[SchedulerProcess] = []
        self._frozen: set[int] = set()

    @classmethod
    @contextmanager
    def over(cls, stage: Stage) -> "Iterator[Rivals]":
        """Of a stage that is entered; whoever is frozen is woken at the end."""
        store = SqlStore.open(stage.app.database)
        rivals = cls(stage, store)
        try:
            yield rivals
        finally:
            for process in rivals._alive:
                rivals.wake(process)
            store.close()

    def add(self) -> SchedulerProcess:
        """One more; returns at once."""
        self._alive.append(self._stage.spawn())
        return self._alive[-1]

    @property
    def epoch(self) -> Epoch:
        return self._store.epoch()

    def settled(self) -> tuple[SchedulerProcess, list[SchedulerProcess]]:
        """The one that leads and those that stand by, once all say so that can."""
        awake = [process for process in self._alive if process.pid not in self._frozen]
        self.until(lambda: len(self._standing(awake)) == len(awake) - 1 and len(self._leading(awake)) == 1)
        (leader,) = self._leading(awake)
        leader.wait_running()
        return leader, self._standing(awake)

    def kill(self, process: SchedulerProcess) -> None:
        self._alive.remove(process)
        process.kill(early=True)

    def end(self, process: SchedulerProcess) -> None:
        """In order."""
        self._alive.remove(process)
        assert process.stop() == 0

    def free_the_lead(self) -> None:
        """Whoever leads is not told: for a moment it believes that it leads, and so does another one, or itself."""
        self._store.take_lead("a test", SystemClock().now())

    def freeze(self, process: SchedulerProcess) -> None:
        """It stands still, whatever it is doing."""
        self._frozen.add(process.pid)
        os.kill(process.pid, signal.SIGSTOP)

    def wake(self, process: SchedulerProcess) -> None:
        if process.pid in self._frozen:
            self._frozen.discard(process.pid)
            os.kill(process.pid, signal.SIGCONT)

    def takes_over(self, act: Callable[[], None]) -> float:
        """Seconds from the end of `act`, which ends the lead, until another one leads, less what this machine was
        late with by itself, as often as a standby has to be woken for it."""
        before = self.epoch
        with Lateness() as machine:
            act()
            began = SystemClock().monotonic()
            self.until(lambda: self.epoch > before)
            took = SystemClock().monotonic() - began
        sys.stdout.write(
            f"--- epoch {self.epoch} began {took:.1f} s later, the machine late by {machine.late:.1f} s\n"
        )
        return took - _WAKES * machine.late

    def until(self, there: Callable[[], bool]) -> None:
        """Until this holds; while the database is away it does not."""
        clock = SystemClock()
        end = clock.monotonic() + PATIENCE
        while not self._known(there):
            assert clock.monotonic() < end, f"it does not come about: {self._store.leading()}"
            clock.wait(threading.Event(), _LOOK)

    @staticmethod
    def _known(there: Callable[[], bool]) -> bool:
        try:
            return there()
        except StoreUnavailableError:
            return False

    def let_pass(self, seconds: float) -> None:
        """For how long somebody stands still is all that this is about."""
        SystemClock().wait(threading.Event(), seconds)

    def written(self) -> dict[str, list[tuple[object, ...]]]:
        """All run state, and who leads, row by row."""
        found: dict[str, list[tuple[object, ...]]] = {}
        with self._store._reading() as connection:
            for table in METADATA.sorted_tables:
                if table.name in _NO_RUN_STATE:
                    continue
                columns = [column for column in table.columns if column.name != "expires_at"]
                rows = connection.execute(select(*columns).order_by(*table.primary_key.columns))
                found[table.name] = [tuple(row) for row in rows]
        return found

    def logs(self) -> dict[int, bytes]:
        """Every file of a log, by its inode: a log that another one takes over gets files of its own."""
        found: dict[int, bytes] = {}
        for path in self._stage.app.project.logs_folder.rglob("*.*"):
            with suppress(FileNotFoundError), path.open("rb") as file:
                found[os.fstat(file.fileno()).st_ino] = file.read()
        return found

    def _leading(self, among: list[SchedulerProcess]) -> list[SchedulerProcess]:
        led = self._store.led()
        return [process for process in among if led is not None and _is_of(process, led.owner)]

    def _standing(self, among: list[SchedulerProcess]) -> list[SchedulerProcess]:
        standbys = self._store.leading().standbys
        return [process for process in among if any(_is_of(process, each.owner) for each in standbys)]


class Lateness:
    """How late this machine wakes who wants to be woken, at worst: a context manager."""

    def __init__(self) -> None:
        self.late = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        clock = SystemClock()
        while not self._done.is_set():
            began = clock.monotonic()
            clock.wait(self._done, _LOOK)
            self.late = max(self.late, clock.monotonic() - began - _LOOK)


def _is_of(process: SchedulerProcess, owner: str) -> bool:
    return owner.endswith(f"(process {process.pid})")
