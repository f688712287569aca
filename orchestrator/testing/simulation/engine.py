"""The engine of a history: the fake one, with containers that take their time, events that come as they like, and
one connection for each process, whose calls are under way for a while and reach the engine though their caller is
dead.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

from orchestrator.errors import EngineTimeoutError, EngineUnavailableError
from orchestrator.ids import ContainerId, DeploymentId
from orchestrator.spec.container import EngineEvent, EngineEventKind
from orchestrator.testing.fake_container import FakeContainer
from orchestrator.testing.fake_engine import FakeEngine, Outage
from orchestrator.testing.fake_events import Subscription
from orchestrator.testing.simulation.chances import Chances
from orchestrator.testing.simulation.hub import Hub, Process, Strand
from orchestrator.testing.simulation.invariants import Cause, Watcher
from orchestrator.testing.simulation.primitives import SimulatedClock
from orchestrator.testing.simulation.workload import Work, Workload

T = TypeVar("T")

#: Calls shorter than this are made at once, by the strand that makes them.
_INSTANT = 0.005
#: How long it has been up: longer than any clock is set back.
_UP_FOR = timedelta(hours=1)
#: The exit code of what ended with its engine.
_UNKNOWN = 255
#: What a scheduler that may not lead does not send.
_CHANGES = frozenset({"create", "start", "remove", "put_files", "promote", "discard", "remove_volume"})


class SimulatedEngine(FakeEngine):
    """See the module. `watcher` sees each thing that happens to a container, at the moment it does."""

    def __init__(self, hub: Hub, workload: Workload, chances: Chances, watcher: Watcher) -> None:
        super().__init__(SimulatedClock(hub), workload.program)
        self._salt = "simulated"
        self._since = self._clock.now() - _UP_FOR
        self.hub = hub
        self.chances = chances
        self.watcher = watcher
        self.away = False
        self._workload = workload
        self._outages = 0
        self._ender: Cause | None = None  #: who ends containers now; None: they themselves

    def connection(self, process: Process | None, holds: Callable[[], bool] | None = None) -> "Connection":
        """The engine as one process sees it; with `holds` it sends nothing that changes anything without the
        lead."""
        return Connection(self, process, holds)

    def leave(self, outage: Outage) -> None:
        """Be away from now on, until `come_back`."""
        self.away = True
        self._outages += 1
        for container in self.containers if outage is Outage.POWER else ():
            if container.runs:
                self.watcher.ends(container, _UNKNOWN, Cause.ENGINE)
        self._by(Cause.ENGINE, lambda: self.go_down(outage))

    def come_back(self) -> None:
        self.away = False
        self._outages += 1
        self._by(Cause.ENGINE, self.come_up)

    def stop_by_others(self, container: ContainerId) -> None:
        """Somebody says `docker kill`."""
        self._by(Cause.OTHERS, lambda: super(SimulatedEngine, self)._signal(container, "KILL"))

    # --- what containers do -----------------------------------------------------------------------------

    def _start(self, container: FakeContainer) -> None:
        ran = container.runs
        super()._start(container)
        if container.runs and not ran:
            work = self._workload.of(container.spec)
            life = container.starts
            self.hub.spawn(f"container {container.spec.name}", lambda: self._live(container, life, work))

    def _live(self, container: FakeContainer, life: int, work: Work) -> None:
        for pause, stream, data in work.output:
            self.hub.sleep(pause)
            if not self._lives(container, life):
                return
            container.write(stream, data)
        self.hub.sleep(work.rest)
        if self._lives(container, life):
            self._end(container, work.exit_code)

    def _lives(self, container: FakeContainer, life: int) -> bool:
        return container.runs and container.starts == life

    def _signal(self, container: ContainerId, signal: str) -> bool:
        return self._by(Cause.US, lambda: super(SimulatedEngine, self)._signal(container, signal))

    def _remove(self, container: ContainerId, *, force: bool) -> bool:
        return self._by(Cause.US, lambda: super(SimulatedEngine, self)._remove(container, force=force))

    def _by(self, ender: Cause, act: Callable[[], T]) -> T:
        before, self._ender = self._ender, self._ender or ender
        try:
            return act()
        finally:
            self._ender = before

    # --- what is told -----------------------------------------------------------------------------------

    def _end(self, container: FakeContainer, exit_code: int) -> None:
        self.watcher.ends(container, exit_code, self._ender or Cause.ITSELF)
        super()._end(container, exit_code)

    def _tell(
        self, kind: EngineEventKind, container: FakeContainer, *, exit_code: int | None = None, detail: str = ""
    ) -> None:
        self.watcher.happened(kind, container, exit_code)
        event = EngineEvent(
            kind=kind,
            container_id=container.id,
            labels=container.spec.labels,
            at=self._clock.now(),
            exit_code=exit_code,
            detail=detail,
        )
        for seconds in self.chances.event(kind, container.id, self.hub.now):
            if seconds < _INSTANT and not self.chances.kinds:
                self.board.publish(event)
            else:
                self._tell_later(event, seconds)

    def _tell_later(self, event: EngineEvent, seconds: float) -> None:
        outages = self._outages

        def tell() -> None:
            self.hub.sleep(seconds)
            if self._outages == outages:  # a connection that broke takes along what was under way
                self.board.publish(event)

        self.hub.spawn(f"event {event.kind}", tell)


class Connection:
    """A `ports.Engine` for one process: any verb of the engine, in time and with its fate."""

    def __init__(self, engine: SimulatedEngine, process: Process | None, holds: Callable[[], bool] | None) -> None:
        self._engine = engine
        self._holds = holds
        self._process = process
        self._subscriptions: list[Subscription] = []

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        method = getattr(self._engine, verb)
        return lambda *given, **named: self._call(verb, lambda: method(*given, **named), given)

    def events(self, deployment: DeploymentId) -> Iterator[EngineEvent]:
        self._engine.hub.check()
        subscription = self._engine.board.subscribe(deployment)
        self._subscriptions.append(subscription)
        return iter(subscription)

    def close(self) -> None:
        for subscription in self._subscriptions:
            subscription.close()

    def _call(self, verb: str, act: Callable[[], Any], given: tuple[Any, ...]) -> Any:
        hub, engine = self._engine.hub, self._engine
        step(hub, self._process)

        def effect() -> Any:
            engine.watcher.acting = self._process
            return act()

        if self._holds is not None and verb in _CHANGES and not self._holds():
            raise EngineUnavailableError(f"{verb} was not sent: this scheduler cannot tell that it leads")
        engine.watcher.called(verb, given, self._process)
        fate = engine.chances.call()
        if not (fate.lost_there or fate.lost_back) and fate.there + fate.back < _INSTANT:
            hub.point()
            answer = effect()
        else:
            answer = self._send(verb, effect, fate.there, fate.back, lost=(fate.lost_there, fate.lost_back))
        step(hub, self._process)
        engine.watcher.answered(verb, given)
        return answer

    def _send(
        self, verb: str, act: Callable[[], Any], there: float, back: float, *, lost: tuple[bool, bool]
    ) -> Any:
        hub = self._engine.hub
        waiting: list[Strand] = []
        heard: list[tuple[Any, Exception | None]] = []

        def deliver() -> None:
            hub.sleep(there)
            if lost[0]:
                heard.append((None, EngineUnavailableError(f"{verb}: the connection was refused, as planned")))
            else:
                heard.append(_outcome(act))
                hub.sleep(back)
                if lost[1]:
                    heard[0] = None, EngineTimeoutError(f"{verb}: no answer, as planned")
            for strand in waiting:
                hub.wake(strand)

        hub.spawn(f"call {verb}", deliver)
        while not heard:
            hub.park(waiting)
        answer, error = heard[0]
        if error is not None:
            raise error
        return answer


def step(hub: Hub, process: Process | None) -> None:
    """A process comes to where it may be killed."""
    hub.check()
    if process is not None and process.crash_in is not None:
        process.crash_in -= 1
        if process.crash_in <= 0:
            hub.kill(process)


def _outcome(act: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return act(), None
    except Exception as error:  # noqa: BLE001 - carried to who called
        return None, error
