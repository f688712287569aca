"""People who ask for anything at any time, of an engine where anything may happen."""

from collections.abc import Iterable
from datetime import timedelta
from random import Random
from typing import Any

import msgspec
from history_dags import Author
from planning_engine import FatefulEngine
from planning_sim import Leader, exited, prepared, started, told_of

from orchestrator.ids import RunKey
from orchestrator.planning import past
from orchestrator.planning.changes import Change, Launch, Prepare, Stop
from orchestrator.planning.decide import decide
from orchestrator.planning.events import (
    Event,
    Exited,
    FileGone,
    FileParsed,
    LaunchFailed,
    Lost,
    PrepareFailed,
    Requested,
    Seen,
    Started,
    Tick,
)
from orchestrator.planning.rows import Reason, Request, RequestKind, Try
from orchestrator.spec.container import ExitFacts
from orchestrator.spec.dag import BranchChoice, DagSpec, ParsedFile
from orchestrator.states import ReasonCode, Reprocess, RunType

#: What the engine tells, and would tell another process too.
_ENGINES = (Started, Exited, Lost, LaunchFailed)
#: How long a turn takes, so that what ended before is told from what was asked after.
_MOMENT = timedelta(milliseconds=1)
_LOST = Reason(code=ReasonCode.CONTAINER_LOST, text="gone")


class Wilderness(FatefulEngine):
    """Lives and acts drawn as they come. What is asked in the name of people is told again until it is answered;
    a turn may be refused by the database, and a process may end, after any turn."""

    def __init__(self, leader: Leader, random: Random) -> None:
        super().__init__(leader, {}, random)
        self.limits = (random.randint(1, 3), random.randint(1, 4))
        self.asked_for: dict[int, Request] = {}
        self.touched: set[RunKey] = set()
        self.spec = self.write()

    def write(self) -> DagSpec:
        """Another version of the DAG."""
        self.spec = Author(self.random, self.limits).dag()
        self.told.append(FileParsed(parsed=ParsedFile(file="d.py", dags=(self.spec,))))
        return self.spec

    def live(self, turns: int) -> None:
        """So many turns with people about."""
        for _ in range(turns):
            for _ in range(self.random.choice([0, 0, 0, 1, 1, 2])):
                self._act()
            self._answer_effects()
            if not self.told or self.random.random() < 0.1:
                self._time_passes()
            self._turn()

    def calm(self) -> None:
        """Nobody asks for anything any more, and nothing is on hold."""
        self.run_to_end()
        self.told.append(FileParsed(parsed=ParsedFile(file="d.py", dags=(self.spec,))))
        self._ask(RequestKind.UNPAUSE, dag_id="d")
        for number, backfill in self.leader.rows["backfills"].items():
            if backfill.ended_at is None:
                self._ask(RequestKind.CHANGE_BACKFILL, id=number, to="running")
        self.run_to_end()
        while hindered := self._hindered():
            for key in hindered:
                self._ask(RequestKind.CANCEL, dag_id="d", run_id=key.run_id, teardowns=False)
            self.run_to_end()

    def _hindered(self) -> list[RunKey]:
        """The runs that wait for what an earlier one came to, which nobody can help but people."""
        found = []
        for key, run in self.leader.world.runs.items():
            waiting = past.waiting_ones(self.leader.world, key)
            reasons = [past.hindrance(self.leader.world, each) for each in waiting]
            if run.run_type is not RunType.MANUAL and any(each and " which is " in each.text for each in reasons):
                found.append(key)
        return found

    # --- turns --------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        self.leader.now += _MOMENT
        self.random.shuffle(self.told)
        number = self.random.randint(1, max(1, len(self.told)))
        now, self.told = self.told[:number], self.told[number:]
        again = self.random.sample(self.past, min(len(self.past), self.random.randint(0, 2)))
        self.past += [event for event in now if isinstance(event, _ENGINES)]
        events = [event for event in (*now, *again) if not self._is_answered(event)]
        if self.random.random() < 0.04:
            self._refuse(events)
        self.leader.turn(*events, Tick())
        if self.random.random() < 0.04:
            self._crash()

    def _is_answered(self, event: Event) -> bool:
        return isinstance(event, Requested) and event.request.id in self.leader.answers

    def _refuse(self, events: Iterable[Event]) -> None:
        """The database takes a turn for a conflict: all of it is forgotten, and decided again."""
        decide(self.leader.world, (*events, Tick()), self.leader.now, self.leader._ids, self.leader.settings)
        self._begin_anew()

    def _crash(self) -> None:
        """What the engine told is told again by a look at it; what threads were about to say is lost."""
        self.told = [event for event in self.told if isinstance(event, (*_ENGINES, FileParsed, FileGone))]
        self._begin_anew()

    def _begin_anew(self) -> None:
        launches = self.leader.take(Launch)
        self.told = [event for event in self.told if not isinstance(event, Seen)]
        self.leader.restart()
        self.leader.effects += launches
        waiting = [request for number, request in self.asked_for.items() if number not in self.leader.answers]
        self.told += [Requested(request=request) for request in waiting]

    # --- what becomes of tries ----------------------------------------------------------------------------

    def _answer(self, effect: Change) -> Iterable[Event]:
        if isinstance(effect, Stop) and self.leader.world.tries.get(effect.attempt.try_id) is not None:
            facts = ExitFacts(exit_code=137, finished_at=self.leader.now)
            return [exited(effect.attempt, exit=facts)]
        return super()._answer(effect)

    def _preparation(self, effect: Prepare) -> Event:
        if self.random.random() < 0.03:
            reason = Reason(code=ReasonCode.RENDER_ERROR, text="no such name")
            return PrepareFailed(**told_of(effect), reason=reason)
        return prepared(effect)

    def _life(self, attempt: Try) -> list[Event]:
        begun = started(attempt, self.leader.now)
        match self.random.choices(["exit", "lost", "never", "refused", "hangs"], [30, 1, 1, 1, 3])[0]:
            case "hangs" if self._ends_it(attempt):
                return [begun]
            case "lost":
                return [begun, Lost(try_id=attempt.try_id, reason=_LOST, ran=True)]
            case "never":
                return [Lost(try_id=attempt.try_id, reason=_LOST, ran=False)]
            case "refused":
                reason = Reason(code=ReasonCode.CREATE_REFUSED, text="no")
                return [LaunchFailed(try_id=attempt.try_id, reason=reason)]
            case _:
                return [begun, self._exit(attempt)]

    def _ends_it(self, attempt: Try) -> bool:
        """Whether a try that hangs is ended by its time-out."""
        known = attempt.key.task.run in self.leader.world.runs
        return known and self.leader.world.task_spec(attempt.key.task).execution_timeout is not None

    def _exit(self, attempt: Try) -> Exited:
        run = self.leader.world.runs.get(attempt.key.task.run)
        spec = self.leader.world.task_spec(attempt.key.task) if run is not None else None
        codes = [0] * 8 + [1, 99] + ([75] * 6 if spec is not None and spec.sensor is not None else [])
        facts = ExitFacts(exit_code=self.random.choice(codes), finished_at=self.leader.now)
        result: Any = self.random.choice([None, 7, [], [1], [1, 2], [1, 2, 3]])
        if spec is not None and isinstance(spec.choice, BranchChoice):
            children = self.leader.world.blueprint(attempt.key.task.run).children[spec.task_id]
            result = self.random.choice([None, 7, self.random.sample(children, min(1, len(children)))])
        return exited(attempt, exit=facts, result=msgspec.json.encode(result))

    # --- people -------------------------------------------------------------------------------------------

    def _act(self) -> None:
        acts = {
            self._trigger: 6,
            self._clear: 5,
            self._mark: 4,
            self._kill: 3,
            self._cancel: 2,
            self._pause: 1,
            self._backfill: 1,
            self._change_backfill: 1,
            self._edit: 1,
        }
        self.random.choices(list(acts), list(acts.values()))[0]()

    def _ask(self, kind: RequestKind, **payload: Any) -> None:
        request = self.leader.request(kind, payload)
        asked = request.created_at + request.id * timedelta(microseconds=1)  # no two ask at one instant
        request = msgspec.structs.replace(request, created_at=asked)
        self.asked_for[request.id] = request
        self.told.append(Requested(request=request))

    def _trigger(self) -> None:
        self._ask(RequestKind.TRIGGER, dag_id="d")

    def _clear(self) -> None:
        self._ask(RequestKind.CLEAR, selection=self._selection(), as_run=self.random.random() < 0.5)

    def _mark(self) -> None:
        state = self.random.choice(["success", "failed", "skipped"])
        self._ask(RequestKind.MARK, selection=self._selection(), state=state)

    def _kill(self) -> None:
        self._ask(RequestKind.KILL, selection=self._selection())

    def _cancel(self) -> None:
        if (key := self._some_run()) is not None:
            teardowns = self.random.random() < 0.7
            if not teardowns:
                self.touched.add(key)
            self._ask(RequestKind.CANCEL, dag_id="d", run_id=key.run_id, teardowns=teardowns)

    def _pause(self) -> None:
        if self.random.random() < 0.5:
            self._ask(RequestKind.PAUSE, dag_id="d", hold=self.random.random() < 0.5)
        else:
            self._ask(RequestKind.UNPAUSE, dag_id="d")

    def _backfill(self) -> None:
        first = self.random.randint(1, 8)
        self._ask(
            RequestKind.BACKFILL,
            dag_id="d",
            start=f"2026-11-{first:02}",
            end=f"2026-11-{first + self.random.randint(0, 4):02}",
            reprocess=self.random.choice(list(Reprocess)).value,
            backwards=self.random.random() < 0.3,
            max_active_runs=self.random.randint(1, 2),
        )

    def _change_backfill(self) -> None:
        if self.leader.rows["backfills"]:
            number = self.random.choice(list(self.leader.rows["backfills"]))
            to = self.random.choice(["paused", "running", "running", "cancelled"])
            self._ask(RequestKind.CHANGE_BACKFILL, id=number, to=to)

    def _edit(self) -> None:
        if self.random.random() < 0.2:
            self.told.append(FileGone(file="d.py"))
        else:
            self.write()

    def _some_run(self) -> RunKey | None:
        """Rather a new one than an old one."""
        keys = list(self.leader.rows["runs"])[-4:]
        return self.random.choice(keys) if keys else None

    def _selection(self) -> dict[str, Any]:
        runs = [key for key in (self._some_run(), self._some_run()) if key is not None]
        self.touched |= set(runs)
        named = self.random.choice([None, "t[02468]", *(f"t{number}" for number in range(8))])
        return {
            "dag_id": "d",
            "run_ids": sorted({key.run_id for key in runs}),
            "tasks": named,
            "map_indexes": self.random.choice([[], [], [0], [1]]),
            "upstream": self.random.random() < 0.2,
            "downstream": self.random.random() < 0.3,
            "only_failed": self.random.random() < 0.2,
        }
