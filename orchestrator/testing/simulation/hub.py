"""Who goes on, and what time it is: threads of simulated processes are strands, of which one runs at a time. Where
it waits, the hub draws who is next; when all wait, time jumps to the first who waits for it. The same seed draws
the same.
"""

import heapq
import itertools
from collections.abc import Callable
from typing import Any

from greenlet import getcurrent, greenlet

from orchestrator.testing.simulation.dice import Dice


class ProcessOver(BaseException):
    """Raised in every strand of a process that is over, at whatever it does next."""


class NobodyGoesOnError(Exception):
    """Every strand waits, and none for time; or they go on without an end."""


class Process:
    """One process: what dies together. `frozen`: stopped by a signal, to be woken later."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.epoch = 0  #: the one it was given when it took the lead
        self.over = False
        self.frozen = False
        self.strands: list[Strand] = []
        self.held: list[Strand] = []  #: those that would go on if it were not frozen
        self.crash_in: int | None = None  #: how many more of its steps it lives


class Strand:
    """One thread. Outside of processes are people, containers, and the engine's connections."""

    __slots__ = ("error", "flow", "name", "parked", "process", "thread", "ticket", "woken")

    def __init__(self, name: str, process: Process | None) -> None:
        self.name = name
        self.process = process
        self.flow: greenlet | None = None
        self.thread: Any = None  #: what stands for it in the program
        self.parked = False
        self.woken = False
        self.ticket = 0
        self.error: BaseException | None = None

    @property
    def over(self) -> bool:
        return self.process is not None and self.process.over

    @property
    def ended(self) -> bool:
        return self.flow is not None and self.flow.dead


class Hub:
    """See the module. `restless` is how often a strand that could go on lets another one by."""

    def __init__(self, random: Dice, *, restless: float = 0.1, most_steps: int = 2_000_000) -> None:
        self.random = random
        self.now = 0.0  #: seconds since the history began
        self.set_forward = 0.0  #: seconds by which the machine's clock was set
        self.steps = 0
        self.current: Strand | None = None
        self.deaths = 0  #: of processes
        self.died: list[Strand] = []  #: those that ended with an error
        self._main = getcurrent()
        self._restless = restless
        self._most_steps = most_steps
        self._ready: list[Strand] = []
        self._timers: list[tuple[float, int, Strand, int]] = []
        self._order = itertools.count()
        self._dying: list[Process] = []
        self._finished = False

    # --- strands ----------------------------------------------------------------------------------------

    def spawn(self, name: str, act: Callable[[], object], process: Process | None = None) -> Strand:
        """A new strand that does `act`."""
        strand = Strand(name, process)
        strand.flow = greenlet(lambda: self._live(strand, act), parent=self._main)
        if process is not None:
            process.strands.append(strand)
        self._let_go_on(strand)
        return strand

    def run(self) -> None:
        """Until `finish`. Raises `NobodyGoesOnError`."""
        while not self._finished:
            while self._dying:
                self._bury(self._dying.pop())
            strand = self._next()
            self.steps += 1
            if self.steps > self._most_steps:
                raise NobodyGoesOnError(f"it does not come to rest in {self.steps} steps")
            self._resume(strand)

    def finish(self) -> None:
        """Have `run` return once the strand that calls this waits, or ends."""
        self._finished = True

    def kill(self, process: Process) -> None:
        """As `kill -9` does. A strand of its own that calls this goes no further."""
        process.over = True
        self.deaths += 1
        self._ready = [strand for strand in self._ready if strand.process is not process]
        process.held.clear()
        self._dying.append(process)
        self.check()

    def bury_all(self) -> None:
        """After `run`: have those unwind that were killed since."""
        self.current = None
        while self._dying:
            self._bury(self._dying.pop())

    def freeze(self, process: Process) -> None:
        """As SIGSTOP does; from outside of that process."""
        process.frozen = True
        process.held += [strand for strand in self._ready if strand.process is process]
        self._ready = [strand for strand in self._ready if strand.process is not process]

    def thaw(self, process: Process) -> None:
        process.frozen = False
        self._ready += process.held
        process.held.clear()

    # --- waiting ----------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raises `ProcessOver` in a strand whose process is over."""
        if self.current is not None and self.current.over:
            raise ProcessOver

    def point(self) -> None:
        """A place where another strand may come first."""
        if self._restless and self.random.happens(self._restless):
            self.give_way()

    def give_way(self) -> None:
        strand = self._running()
        self._let_go_on(strand)
        self._switch(strand)

    def sleep(self, seconds: float) -> None:
        self.park(None, seconds)

    def park(self, waiting: list[Strand] | None, seconds: float | None = None) -> bool:
        """Wait to be woken by who takes this strand out of `waiting`, for so many seconds at most; whether it
        was woken."""
        strand = self._running()
        strand.parked, strand.woken = True, False
        if waiting is not None:
            waiting.append(strand)
        if seconds is not None:
            heapq.heappush(self._timers, (self.now + seconds, next(self._order), strand, strand.ticket))
        try:
            self._switch(strand)
        finally:
            if waiting is not None and strand in waiting:
                waiting.remove(strand)
        return strand.woken

    def wake(self, strand: Strand) -> None:
        """Have a strand that is parked go on."""
        if strand.parked:
            strand.woken = True
            self._let_go_on(strand)

    # --- inside -----------------------------------------------------------------------------------------

    def _running(self) -> Strand:
        if self.current is None:
            raise RuntimeError("only strands wait")
        self.check()
        return self.current

    def _switch(self, strand: Strand) -> None:
        self._main.switch()
        if strand.over:
            raise ProcessOver

    def _let_go_on(self, strand: Strand) -> None:
        strand.parked = False
        strand.ticket += 1
        if strand.over:
            return
        if strand.process is not None and strand.process.frozen:
            strand.process.held.append(strand)
        else:
            self._ready.append(strand)

    def _next(self) -> Strand:
        while not self._ready:
            if not self._timers:
                raise NobodyGoesOnError("everybody waits for somebody else")
            self._pass_time()
        ready = self._ready
        place = int(self.random.random() * len(ready))
        ready[place], ready[-1] = ready[-1], ready[place]
        return ready.pop()

    def _pass_time(self) -> None:
        due, _, strand, ticket = heapq.heappop(self._timers)
        if strand.parked and strand.ticket == ticket and not strand.over:
            self.now = max(self.now, due)
            self._let_go_on(strand)

    def _resume(self, strand: Strand) -> None:
        flow = strand.flow
        if flow is None or flow.dead:
            return
        self.current = strand
        flow.switch()
        self.current = None

    def _bury(self, process: Process) -> None:
        """Have its strands unwind. Whatever they try meanwhile raises again, and reaches nobody."""
        for strand in process.strands:
            flow = strand.flow
            if flow:  # it has begun, and not ended
                self.current = strand
                flow.throw(ProcessOver)
                self.current = None
        process.strands.clear()

    def _live(self, strand: Strand, act: Callable[[], object]) -> None:
        try:
            act()
        except ProcessOver:
            pass
        except BaseException as error:  # noqa: BLE001 - a thread's shell: looked at by who checks the history
            strand.error = error
            self.died.append(strand)
