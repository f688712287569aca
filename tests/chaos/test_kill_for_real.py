"""Kill means stopped, then gone (invariant I6), of real processes that do not want to: by the engine's own instants
they are gone within their grace and 2 s, beside what a kill just now takes that is heeded at once."""

import json
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from engine_proxy import PATIENCE, Step
from engine_record import CREATED, DIED, GONE, STARTED
from stage import Stage

from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address
from orchestrator.ids import ContainerId, RunKey
from orchestrator.planning.rows import Try
from orchestrator.planning.selection import Selection
from orchestrator.ports import Page, Stream
from orchestrator.spec.container import EngineEventKind
from orchestrator.states import ReasonCode, RunState, TaskState

pytestmark = pytest.mark.engine

#: Those that are killed by one request, and all others.
_KILLED = ("heeds", "deaf", "forks", "prints", "frozen")
_TASKS = (*_KILLED, "failed", "success", "cleared", "limited")
_GRACE = _PROMISED = _LIMIT = timedelta(seconds=2)


class Played(Stage):
    """What a test asks of a scheduler, as a face does, and what the engine tells of it."""

    @property
    def run(self) -> RunKey:
        with self.app.queries() as queries:
            (run,) = queries.runs(None, Page(limit=1))
            return run.key

    def ask(self, verb: str, *arguments: object) -> None:
        with self.app.actions() as actions:
            outcome = getattr(actions, verb)(*arguments)
        assert outcome.answer is not None, f"nobody answered {verb}"
        assert outcome.answer.ok, outcome.answer.error

    def selected(self, *tasks: str) -> Selection:
        run = self.run
        return Selection(dag_id=run.dag_id, run_ids=(run.run_id,), tasks="|".join(tasks))

    def cancel(self) -> None:
        run = self.run
        self.ask("cancel", run.dag_id, run.run_id)

    def first_try(self, task_id: str) -> Try:
        with self.app.queries() as queries:
            tries = queries.run(self.run).tries
        return next(each for each in tries if (each.key.task.task_id, each.key.number) == (task_id, 1))

    def when(self, kind: EngineEventKind, container: ContainerId, detail: str = "") -> datetime:
        """The instant, by the engine's clock, at which this happened to a container, waiting for it."""

        def told() -> list[datetime]:
            events = self.record.events_of(kind, container)
            return [each.at for each in events if each.at is not None and each.detail.startswith(detail)]

        self.record.wait_until(lambda: bool(told()), f"{kind} {detail} of {container}")
        return told()[0]

    def signals(self, task_id: str) -> list[str]:
        """What the first container of a task was sent, by number."""
        container = self.record.containers(STARTED, task_id)[0]
        return [each.detail for each in self.record.events_of(EngineEventKind.KILL, container)]

    def wait_written(self, told: Callable[[], bool], what: str) -> None:
        """Until the rows say so, which no event of the engine tells."""
        clock, never = SystemClock(), threading.Event()
        until = clock.monotonic() + PATIENCE
        while not told():
            assert clock.monotonic() < until, f"waited in vain for {what}"
            clock.wait(never, 0.05)

    def pause(self, container: ContainerId) -> None:
        """As `docker pause` does."""
        self._post(f"/containers/{container}/pause", {})

    def processes(self, container: ContainerId) -> list[int]:
        """A descriptor for each process in it that becomes readable when the process has ended; to be closed."""
        if sys.platform != "linux":
            return []
        told = json.loads(self._client.call("GET", f"/containers/{container}/top").body)
        place = told["Titles"].index("PID")
        return [os.pidfd_open(int(each[place])) for each in told["Processes"]]


def _ended(processes: list[int]) -> bool:
    poll = select.poll()
    for each in processes:
        poll.register(each, select.POLLIN)
    ended = len(poll.poll(0)) == len(processes)
    for each in processes:
        os.close(each)
    return ended


@pytest.fixture
def stubborn(tmp_path: Path, engine_address: Address, base_image: str) -> Iterator[Played]:
    settings = {"ORCHESTRATOR__ENGINE__LAUNCHERS": "8"}
    with Played(tmp_path, "stubborn", "stubborn.py", engine_address, base_image, settings=settings) as stage:
        yield stage


@pytest.fixture
def gated(tmp_path: Path, engine_address: Address, base_image: str) -> Iterator[Played]:
    """One container is started at a time."""
    settings = {"ORCHESTRATOR__ENGINE__LAUNCHERS": "1"}
    with Played(tmp_path, "chaos", "interrupted.py", engine_address, base_image, settings=settings) as stage:
        yield stage


def _killed(stage: Played) -> dict[str, timedelta]:
    """Have all end, in one way or another; how long each took from the request on."""
    stage.begin()
    containers = {task: stage.record.wait(STARTED, task) for task in _TASKS}
    for task in _TASKS:
        if task != "limited":  # it may be over by then
            stage.wait_gate(containers[task], 1)
    processes = {task: stage.processes(containers[task]) for task in _KILLED}
    assert len(processes["forks"]) >= 1 + 3 + 3 or sys.platform != "linux"
    stage.pause(containers["frozen"])
    stage.ask("kill", stage.selected(*_KILLED))
    stage.ask("mark", stage.selected("failed"), TaskState.FAILED)
    stage.ask("mark", stage.selected("success"), TaskState.SUCCESS)
    stage.ask("clear", stage.selected("cleared"))
    died = {task: stage.when(DIED, containers[task]) for task in _TASKS}
    for task in _KILLED:
        assert _ended(processes[task]), f"a process of {task} is still there"
    asked = {task: stage.first_try(task).stop_requested_at for task in _TASKS}
    asked["limited"] = stage.when(STARTED, containers["limited"]) + _LIMIT
    return {task: died[task] - at for task, at in asked.items() if at is not None}


def _came_to_what_was_asked(stage: Played) -> None:
    view = stage.wait_end()
    assert view.run.state is RunState.FAILED
    states = {each.key.task_id: each.state for each in view.tasks}
    well = {"success": TaskState.SUCCESS, "cleared": TaskState.SUCCESS}
    assert states == {task: well.get(task, TaskState.FAILED) for task in _TASKS}
    reasons = {each.key.task_id: each.reason.code for each in view.tasks if each.reason is not None}
    assert {reasons[task] for task in _KILLED} == {ReasonCode.KILLED_BY}
    assert (reasons["failed"], reasons["limited"]) == (ReasonCode.MARKED_BY, ReasonCode.TIMEOUT)
    for task in _TASKS:
        tries = 2 if task == "cleared" else 1
        assert len(stage.record.containers(CREATED, task)) == len(stage.record.containers(STARTED, task)) == tries
        for container in stage.record.containers(CREATED, task):
            stage.record.wait_for(GONE, container)
    assert all(each.log_complete for each in view.tries)
    printed = stage.log(stage.first_try("prints").key)[Stream.STDOUT].decode().splitlines()[1:-1]
    assert [int(line.partition(" ")[0]) for line in printed] == list(range(len(printed)))
    assert stage.leftovers.containers() == stage.leftovers.volumes() == []


def test_whoever_is_deaf_forks_prints_or_is_frozen_is_gone_after_its_grace(stubborn: Played) -> None:
    took = _killed(stubborn)
    heeded = took.pop("heeds")
    assert stubborn.signals("heeds") == ["15"]
    assert {task: each for task, each in took.items() if not _GRACE <= each < _GRACE + _PROMISED + 3 * heeded} == {}
    _came_to_what_was_asked(stubborn)


@pytest.mark.long
def test_they_are_gone_within_their_grace_and_two_seconds(stubborn: Played) -> None:
    took = _killed(stubborn)
    told = ", ".join(f"{task} {each.total_seconds():.2f} s" for task, each in took.items())
    sys.stdout.write(f"from the request to the end, with a grace of 2 s: {told}\n")
    assert max(took.values()) < _GRACE + _PROMISED
    _came_to_what_was_asked(stubborn)


def test_a_kill_goes_past_a_create_that_is_blocked_and_what_is_created_then_never_starts(gated: Played) -> None:
    create = gated.proxy.at_call(Step.ASKED, "POST", "/containers/create", "-victim-")
    gated.begin()
    steady = gated.record.wait(STARTED, "steady")
    create.wait()  # the gate is full
    gated.cancel()
    gated.record.wait_for(DIED, steady)
    assert gated.record.containers(CREATED, "victim") == []
    create.let_go()
    assert gated.wait_end().run.state is RunState.FAILED
    for container in gated.record.containers(CREATED, "victim"):
        gated.record.wait_for(GONE, container)
    assert gated.record.containers(STARTED, "victim") == []
    assert gated.leftovers.containers() == gated.leftovers.volumes() == []


def test_one_whose_start_is_not_answered_yet_is_stopped_at_once(gated: Played) -> None:
    start = gated.proxy.at_call(Step.ANSWERED, "POST", "/start", "-victim-")
    gated.begin()
    victim = gated.record.wait(STARTED, "victim")
    start.wait()
    gated.cancel()
    start.let_go()
    gated.record.wait_for(DIED, victim)
    view = gated.wait_end()
    assert {each.state for each in view.tasks if each.key.task_id != "after"} == {TaskState.FAILED}
    assert gated.record.containers(STARTED, "victim") == [victim]
    assert gated.leftovers.containers() == gated.leftovers.volumes() == []


def test_a_grace_that_began_before_a_crash_ends_when_it_was_to(stubborn: Played) -> None:
    stubborn.begin()
    deaf, heeds = (stubborn.record.wait(STARTED, task) for task in ("deaf", "heeds"))
    for container in (deaf, heeds):
        stubborn.wait_gate(container, 1)
    stubborn.ask("kill", stubborn.selected("deaf", "heeds"))
    told, heeded = stubborn.when(EngineEventKind.KILL, deaf, "15"), stubborn.when(DIED, heeds)
    stubborn.wait_written(lambda: stubborn.first_try("deaf").kill_at is not None, "the begin of its grace")
    stubborn.scheduler.kill()
    stubborn.begin()
    again = stubborn.app.clock.now()
    asked = stubborn.first_try("deaf").stop_requested_at
    assert asked is not None
    gone = stubborn.when(DIED, deaf)
    assert told + _GRACE <= gone < max(told + _GRACE, again) + _PROMISED + 3 * (heeded - asked)
    stubborn.cancel()
    assert stubborn.wait_end().run.state is RunState.FAILED
    assert stubborn.record.containers(STARTED, "deaf") == [deaf]
