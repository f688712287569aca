"""What happens to a history over time: outages, kills, elections, clocks that are set, and people."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from orchestrator.errors import StoreError
from orchestrator.ids import ContainerId
from orchestrator.planning.rows import RequestKind
from orchestrator.testing.fake_engine import Outage
from orchestrator.testing.simulation.chances import Trouble

if TYPE_CHECKING:
    from orchestrator.testing.simulation.history import History


class Weather:
    """Draws what happens when, from the history's seed."""

    def __init__(self, history: "History") -> None:
        self._history = history
        self._random = history.random
        self._hub = history.hub

    # --- machines ---------------------------------------------------------------------------------------

    def pass_by(self) -> None:
        """Trouble comes and goes; then it is calm for ever."""
        history, random = self._history, self._random
        until = random.choice((3.0, 15.0, 40.0)) * (0.3 + random.random())
        acts = [act for kind, act in self._acts().items() if kind in history.kinds]
        while self._hub.now < until:
            self._hub.sleep(random.random() * random.choice((0.5, 3.0, 8.0)))
            if acts:
                random.choice(acts)()
        history.tell("calm: nothing goes wrong any more")
        history.chances.on = False

    def check(self) -> None:
        """What always holds is all there is to say."""

    def _acts(self) -> dict[Trouble, Callable[[], None]]:
        random = self._random
        return {
            Trouble.CRASHES: self._crash,
            Trouble.ENGINE_AWAY: self._engine_goes_alone,
            Trouble.ENGINE_STOPS: lambda: self._engine_goes(Outage.STOPPED),
            Trouble.ENGINE_CRASHES: lambda: self._engine_goes(random.choice((Outage.CRASHED, Outage.POWER))),
            Trouble.DATABASE: self._database_goes,
            Trouble.CLOCK: self._clock_is_set,
            Trouble.LEADERSHIP: self._another_leads,
            Trouble.FOREIGNERS: self._others_stop_one,
            Trouble.REGISTRY: self._registry_goes,
        }

    def _crash(self) -> None:
        for process in self._history.leaders[:1]:
            self._history.kill(process, "as it comes")

    def _engine_goes_alone(self) -> None:
        """Containers run on: only the connection is gone, or, with an engine that never ends them, live-restore is
        on."""
        history = self._history
        history.engine.live_restore = not history.kinds & {Trouble.ENGINE_STOPS, Trouble.ENGINE_CRASHES}
        outages = (
            (Outage.CONNECTION, Outage.STOPPED, Outage.CRASHED)
            if history.engine.live_restore
            else (Outage.CONNECTION,)
        )
        self._engine_goes(self._random.choice(outages))

    def _engine_goes(self, outage: Outage) -> None:
        history = self._history
        history.tell(f"the engine is away: {outage}{' with live-restore' if history.engine.live_restore else ''}")
        history.watcher.outages += outage is not Outage.CONNECTION
        history.engine.leave(outage)
        self._hub.sleep(self._random.random() * self._random.choice((0.5, 5.0, 20.0)))
        history.engine.come_back()
        history.tell("the engine is back")

    def _database_goes(self) -> None:
        self._history.tell("the database is away")
        self._history.chances.database_away = True
        self._hub.sleep(self._random.random() * self._random.choice((0.5, 5.0, 20.0)))
        self._history.chances.database_away = False
        self._history.tell("the database is back")

    def _registry_goes(self) -> None:
        self._history.tell("the registry is away")
        self._history.registry_goes()
        self._hub.sleep(self._random.random() * self._random.choice((0.5, 5.0, 20.0)))
        self._history.images.errors.clear()

    def _clock_is_set(self) -> None:
        restarts = self._history.kinds & {Trouble.ENGINE_STOPS, Trouble.ENGINE_CRASHES, Trouble.ENGINE_AWAY}
        back = () if restarts else (-60.0,)  # an engine tells by its clock what ran before its start
        seconds = self._random.choice((*back, 30.0, 600.0, 3600.0))
        self._history.tell(f"the clock is set by {seconds:g} s")
        self._hub.set_forward += seconds

    def _another_leads(self) -> None:
        """The one at work lives on, or is frozen and wakes later."""
        history = self._history
        before = history.leaders
        frozen = before[0] if before and self._random.happens(0.5) else None
        if frozen is not None:
            history.tell(f"{frozen.name} is frozen")
            self._hub.freeze(frozen)
        if len(before) <= 1:
            history.begin_process()
        self._hub.sleep(self._random.random() * self._random.choice((0.5, 5.0, 20.0)))
        if frozen is not None:
            history.tell(f"{frozen.name} wakes")
            self._hub.thaw(frozen)

    def _others_stop_one(self) -> None:
        running = [each for each in self._history.engine.containers if each.runs]
        if running:
            self._history.engine.stop_by_others(ContainerId(self._random.choice(running).id))

    # --- people -----------------------------------------------------------------------------------------

    def people(self) -> None:
        """They ask for runs, and some for more than that."""
        history, random = self._history, self._random
        for _ in range(random.choice((1, 1, 2, 3))):
            self._hub.sleep(random.random() * 2)
            self._ask(RequestKind.TRIGGER, dag_id=random.choice(history.workload.dags).dag_id)
        while Trouble.PEOPLE in history.kinds and history.chances.on:
            self._hub.sleep(random.random() * 6)
            self._meddle()

    def _meddle(self) -> None:
        runs = sorted(self._history.watcher.rows.runs)
        if not runs:
            return
        dag_id, run_id = self._random.choice(runs)
        selection = {"dag_id": dag_id, "run_ids": [run_id]}
        match self._random.choice(("kill", "kill", "cancel", "clear")):
            case "kill":
                tasks = f"t{self._random.randrange(4)}"
                self._ask(RequestKind.KILL, selection={**selection, "tasks": tasks})
            case "cancel":
                self._ask(RequestKind.CANCEL, dag_id=dag_id, run_id=run_id)
            case _:
                self._history.watcher.may_rerun = True
                self._ask(RequestKind.CLEAR, selection=selection)

    def _ask(self, kind: RequestKind, **payload: object) -> None:
        """Until the database takes it."""
        while True:
            try:
                self._history.faces.ask(kind, payload, "people", self._history.clock.now())
            except StoreError:
                self._hub.sleep(1.0)
                continue
            self._history.tell(f"people ask: {kind} {payload}")
            self._history.wake()
            return
