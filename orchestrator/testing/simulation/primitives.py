"""What stands for `threading`, `queue`, `socket` and `selectors` in the modules of the scheduler while they are
simulated: the same words, said to the hub. The modules themselves are as they are shipped.
"""

import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any, Generic, TypeVar

from orchestrator.testing.simulation.hub import Hub, Strand

T = TypeVar("T")

#: When every history begins.
BEGINNING = datetime(2024, 2, 29, 12, tzinfo=UTC)
#: Modules whose threads are strands, but for those that talk to other processes.
_SERVICES = "orchestrator.scheduler."
_NOT_SIMULATED = frozenset({"orchestrator.scheduler.local_socket"})
#: What the engine tells comes by these.
_FAKES = {"orchestrator.testing.fake_events": ("queue",), "orchestrator.testing.fake_output": ("socket",)}


class SimulatedClock:
    """A `Clock` whose time is the hub's."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self._hub.now + self._hub.set_forward)

    def monotonic(self) -> float:
        return self._hub.now

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(seconds)


class Lock:
    """`threading.Lock`, and with `again` `threading.RLock`."""

    def __init__(self, hub: Hub, *, again: bool = False) -> None:
        self._hub = hub
        self._again = again
        self._owner: Strand | None = None
        self._times = 0
        self._waiting: list[Strand] = []

    def acquire(self) -> bool:
        hub = self._hub
        if self._again and self._owner is not None and self._owner is hub.current:
            self._times += 1
            return True
        hub.check()
        hub.point()
        while self._owner is not None:
            hub.park(self._waiting)
        self._owner, self._times = hub.current, 1
        return True

    def release(self) -> None:
        self._times -= 1
        if self._times > 0:
            return
        self._owner = None
        if self._waiting:
            self._hub.wake(self._hub.random.choice(self._waiting))

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *raised: object) -> None:
        self.release()


class Condition:
    """`threading.Condition` over a lock of its own."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lock = Lock(hub)
        self._waiting: list[Strand] = []

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *raised: object) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        self._lock.release()
        woken = self._hub.park(self._waiting, timeout)
        self._lock.acquire()
        return woken

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        until = None if timeout is None else self._hub.now + timeout
        while not (found := predicate()):
            left = None if until is None else until - self._hub.now
            if left is not None and left <= 0:
                break
            self.wait(left)
        return found

    def notify(self, n: int = 1) -> None:
        for strand in self._hub.random.sample(self._waiting, min(n, len(self._waiting))):
            self._waiting.remove(strand)
            self._hub.wake(strand)

    def notify_all(self) -> None:
        self.notify(len(self._waiting))


class Event:
    """`threading.Event`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._set = False
        self._waiting: list[Strand] = []

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        waiting, self._waiting = self._waiting, []
        for strand in waiting:
            self._hub.wake(strand)

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        self._hub.check()
        if self._set or (timeout is not None and timeout <= 0):
            return self._set
        return self._hub.park(self._waiting, timeout) or self._set


class Thread:
    """`threading.Thread`, of the process of who makes it."""

    def __init__(
        self, hub: Hub, *, target: Callable[[], object], name: str = "thread", daemon: bool = True
    ) -> None:
        del daemon  # nobody's process ends by itself here
        self._hub = hub
        self._target = target
        self.name = name
        self.ident: int | None = None
        self._strand: Strand | None = None
        self._ended = Event(hub)

    def start(self) -> None:
        creator = self._hub.current
        self.ident = id(self)
        process = None if creator is None else creator.process
        self._strand = self._hub.spawn(self.name, self._run, process)
        self._strand.thread = self

    def join(self, timeout: float | None = None) -> None:
        self._ended.wait(timeout)

    def is_alive(self) -> bool:
        return self._strand is not None and not self._ended.is_set()

    def _run(self) -> None:
        try:
            self._target()
        finally:
            self._ended.set()


class SimpleQueue(Generic[T]):
    """`queue.SimpleQueue`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._items: deque[T] = deque()
        self._waiting: list[Strand] = []

    def put(self, item: T) -> None:
        self._items.append(item)
        if self._waiting:
            self._hub.wake(self._waiting.pop(0))

    def get(self, timeout: float | None = None) -> T:
        self._hub.check()
        until = None if timeout is None else self._hub.now + timeout
        while not self._items:
            left = None if until is None else until - self._hub.now
            if left is not None and left <= 0:
                raise queue.Empty
            self._hub.park(self._waiting, left)
        return self._items.popleft()

    def get_nowait(self) -> T:
        self._hub.check()
        if not self._items:
            raise queue.Empty
        return self._items.popleft()


class Sockets:
    """`socket.socketpair`, and `selectors.DefaultSelector` over what has a descriptor of one of its ends."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.open: dict[int, Socket] = {}
        self._made = 0

    def pair(self) -> "tuple[Socket, Socket]":
        one, other = self._make(), self._make()
        one.peer, other.peer = other, one
        return one, other

    def selector(self) -> "Selector":
        return Selector(self)

    def _make(self) -> "Socket":
        self._made += 1
        made = self.open[self._made] = Socket(self, self._made)
        return made


class Socket:
    """One end of a pair; counts bytes, for nobody looks at them."""

    def __init__(self, sockets: Sockets, number: int) -> None:
        self._sockets = sockets
        self._number = number
        self.peer: Socket | None = None
        self.waits = 0  #: bytes that can be read
        self.watchers: list[Selector] = []

    def fileno(self) -> int:
        return self._number

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - as the real one has it
        del flag  # nothing here blocks

    def send(self, data: bytes) -> int:
        peer = self.peer
        if peer is not None:
            peer.waits += len(data)
            for watcher in peer.watchers:
                watcher.stir()
        return len(data)

    def recv(self, limit: int) -> bytes:
        if not self.waits:
            raise BlockingIOError
        taken = min(self.waits, limit)
        self.waits -= taken
        return b"!" * taken

    def close(self) -> None:
        self._sockets.open.pop(self._number, None)
        self._number = -1


class Selector:
    """`selectors.DefaultSelector`, for reading."""

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets
        self._watched: dict[int, tuple[Socket, Any]] = {}
        self._waiting: list[Strand] = []

    def register(self, watched: Any, events: int, data: Any = None) -> None:
        del events
        if id(watched) in self._watched:
            raise KeyError(watched)
        if watched.fileno() < 0:
            raise ValueError("Invalid file descriptor: -1")
        end = self._sockets.open[watched.fileno()]
        end.watchers.append(self)
        self._watched[id(watched)] = (end, data)

    def unregister(self, watched: Any) -> None:
        end, _ = self._watched.pop(id(watched))
        end.watchers.remove(self)

    def select(self, timeout: float | None = None) -> list[tuple[SimpleNamespace, int]]:
        hub = self._sockets.hub
        hub.check()
        hub.point()
        while not (found := [data for end, data in self._watched.values() if end.waits]) and timeout != 0:
            hub.park(self._waiting, timeout)
        return [(SimpleNamespace(data=data), 1) for data in found]

    def stir(self) -> None:
        waiting, self._waiting = self._waiting, []
        for strand in waiting:
            self._sockets.hub.wake(strand)

    def close(self) -> None:
        for end, _ in self._watched.values():
            end.watchers.remove(self)
        self._watched.clear()


class OrderedSet(dict[Any, None]):
    """A set that is gone through in the order of adding, as the built-in one is not where hashes are addresses."""

    def add(self, item: Any) -> None:
        self[item] = None

    def remove(self, item: Any) -> None:
        del self[item]

    def discard(self, item: Any) -> None:
        self.pop(item, None)


def install(hub: Hub) -> None:
    """From now on the services of this process speak to this hub. For a process that does nothing else."""
    sockets = Sockets(hub)

    def current_thread() -> Any:
        return None if hub.current is None else hub.current.thread

    named = {
        "threading": SimpleNamespace(
            Lock=lambda: Lock(hub),
            RLock=lambda: Lock(hub, again=True),
            Condition=lambda: Condition(hub),
            Event=lambda: Event(hub),
            Thread=lambda **named: Thread(hub, **named),
            current_thread=current_thread,
            get_ident=lambda: id(hub.current),
            TIMEOUT_MAX=threading.TIMEOUT_MAX,
        ),
        "queue": SimpleNamespace(SimpleQueue=_Made(lambda: SimpleQueue(hub)), Empty=queue.Empty),
        "socket": SimpleNamespace(socketpair=sockets.pair),
        "selectors": SimpleNamespace(DefaultSelector=sockets.selector, EVENT_READ=1),
    }
    for module, names in _places():
        for name in names:
            if hasattr(module, name):
                setattr(module, name, named[name])
        _replace_default_events(module, lambda: Event(hub))
    vars(sys.modules["orchestrator.scheduler.intake"])["set"] = OrderedSet


class _Made:
    """A class that is only called, or named with its parameters."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __getitem__(self, parameters: Any) -> "_Made":
        return self

    def __call__(self) -> Any:
        return self._make()


def _places() -> Iterator[tuple[ModuleType, tuple[str, ...]]]:
    everything = ("threading", "queue", "socket", "selectors")
    for name, module in sorted(sys.modules.items()):
        if name.startswith(_SERVICES) and name not in _NOT_SIMULATED:
            yield module, everything
        elif name in _FAKES:
            yield module, _FAKES[name]


def _replace_default_events(module: ModuleType, make: Callable[[], Event]) -> None:
    """Dataclasses remember what makes a field's default: where that is an event, it is one of ours."""
    for each in vars(module).values():
        init = getattr(each, "__init__", None)
        if isinstance(each, type) and each.__module__ == module.__name__:
            for cell in getattr(init, "__closure__", None) or ():
                known = cell.cell_contents
                if known is threading.Event or getattr(known, "makes_events", False):
                    cell.cell_contents = _MakesEvents(make)


class _MakesEvents:
    makes_events = True

    def __init__(self, make: Callable[[], Event]) -> None:
        self._make = make

    def __call__(self) -> Event:
        return self._make()
