"""A real engine that is stopped in order and killed in mid-run, with live-restore and without: no outcome is taken
from what it does to containers, no retry is spent; with live-restore, or where a lost try may be run again, tasks
finish, and the others fail saying that it was the engine (invariant I5)."""

import os
import select
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from engine_proxy import PATIENCE
from engine_record import CREATED, STARTED
from output_streams import wait_output
from own_engine import OwnEngine
from stage import Stage

from orchestrator.clock import SystemClock
from orchestrator.engines.docker.client import Client
from orchestrator.planning.rows import Try, TryOutcome
from orchestrator.ports import LogFlag, Stream
from orchestrator.queries import RunView
from orchestrator.states import ReasonCode, TaskState

pytestmark = pytest.mark.engine

TASKS = ("once", "again", "lost", "well", "badly")
_CLOCK, _NEVER = SystemClock(), threading.Event()
#: Seconds that an engine is away.
_SHORT, _LONG = 2, 60


@pytest.fixture
def played(tmp_path: Path, own_engine: OwnEngine, base_image: str) -> Iterator[Stage]:
    stage = Stage(tmp_path, "restarted", "restarted.py", own_engine.address, base_image, proxied=False, breaks=True)
    with stage:
        yield stage


@pytest.mark.parametrize("seconds", [_SHORT, pytest.param(_LONG, marks=pytest.mark.long)])
def test_stopped_in_order_it_costs_no_retry(played: Stage, own_engine: OwnEngine, seconds: int) -> None:
    _begin(played, own_engine, live_restore=False)
    own_engine.stop()
    _away(seconds)
    own_engine.start()
    _tell_second_tries(played)
    ended = played.wait_end()
    for name in ("once", "well", "badly"):
        _failed_of(ended, name, ReasonCode.STOPPED_EXTERNALLY)
    for name in ("again", "lost"):
        _ran_again(played, ended, name)
    _check(played, ended, tries=7)


@pytest.mark.parametrize("seconds", [_SHORT, pytest.param(_LONG, marks=pytest.mark.long)])
def test_killed_it_costs_no_retry(played: Stage, own_engine: OwnEngine, seconds: int) -> None:
    """The new engine stops what the old one left running. Who wrote its result before has succeeded."""
    processes = _begin(played, own_engine, live_restore=False)
    own_engine.kill()
    _tell_meanwhile(processes)
    _away(seconds)
    own_engine.start()
    _tell_second_tries(played)
    ended = played.wait_end()
    for name in ("once", "badly"):
        _failed_of(ended, name, ReasonCode.ENGINE_LOST)
    for name in ("again", "lost"):
        _ran_again(played, ended, name)
    _counted(played, _only(ended, "well"), ended)
    _check(played, ended, tries=7)


@pytest.mark.parametrize("seconds", [_SHORT, pytest.param(_LONG, marks=pytest.mark.long)])
def test_with_live_restore_everything_goes_on(played: Stage, own_engine: OwnEngine, seconds: int) -> None:
    """Killed, then stopped in order: containers run on, and those that end meanwhile have ended as they did."""
    processes = _begin(played, own_engine, live_restore=True)
    own_engine.kill()
    _tell_meanwhile(processes)
    _away(seconds)
    own_engine.start(live_restore=True)
    played.wait_view(lambda view: _states(view, "well", "badly") == {TaskState.SUCCESS, TaskState.FAILED})
    own_engine.stop()
    _away(seconds)
    own_engine.start(live_restore=True)
    for name in ("once", "again", "lost"):
        played.engine.signal(played.record.wait(STARTED, name), "USR1")
    ended = played.wait_end()
    badly = _only(ended, "badly")
    assert badly.exit is not None
    assert (badly.exit.exit_code, badly.outcome) == (3, TryOutcome.FAILED)
    for name in ("once", "again", "lost", "well"):
        _counted(played, _only(ended, name), ended)
    _check(played, ended, tries=5)
    for name in ("once", "again", "lost"):
        assert _is_marked(played, _only(ended, name)), name


# --- playing --------------------------------------------------------------------------------------------------


def _begin(stage: Stage, engine: OwnEngine, *, live_restore: bool) -> dict[str, int]:
    """Until all tasks count; their processes on this machine."""
    if engine.live_restore is not live_restore:
        engine.stop()
        engine.start(live_restore=live_restore)
    stage.begin()
    client = Client(lambda: engine.address, PATIENCE)
    processes = {}
    for name in TASKS:
        container = stage.record.wait(STARTED, name)
        wait_output(stage.engine, container, b"count 3.")
        told = msgspec.json.decode(client.call("GET", f"/containers/{container}/json").body)
        processes[name] = told["State"]["Pid"]
    client.close()
    stage.wait_view(lambda view: _states(view, *TASKS) == {TaskState.RUNNING})
    return processes


def _tell_meanwhile(processes: dict[str, int]) -> None:
    """Have two of them end while no engine is there."""
    for name, number in (("well", signal.SIGUSR1), ("badly", signal.SIGUSR2)):
        descriptor = os.pidfd_open(processes[name])
        signal.pidfd_send_signal(descriptor, number)
        assert _readable(descriptor), f"{name} goes on"
        os.close(descriptor)


def _readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(PATIENCE * 1000))


def _away(seconds: int) -> None:
    """Let real time pass: that is what an outage is."""
    _CLOCK.wait(_NEVER, seconds)


def _tell_second_tries(stage: Stage) -> None:
    for name in ("again", "lost"):
        container = stage.record.wait_number(STARTED, name, 2)
        wait_output(stage.engine, container, b"count 3.")
        stage.engine.signal(container, "USR1")


# --- looking --------------------------------------------------------------------------------------------------


def _states(view: RunView, *names: str) -> set[TaskState]:
    return {each.state for each in view.tasks if each.key.task_id in names}


def _tries(view: RunView, name: str) -> list[Try]:
    return [each for each in view.tries if each.key.task.task_id == name]


def _only(view: RunView, name: str) -> Try:
    (attempt,) = _tries(view, name)
    return attempt


def _failed_of(view: RunView, name: str, code: ReasonCode) -> None:
    attempt = _only(view, name)
    assert attempt.reason is not None
    assert (attempt.outcome, attempt.reason.code) == (TryOutcome.LOST, code), name
    (task,) = [each for each in view.tasks if each.key.task_id == name]
    assert (task.state, task.failures, task.losses) == (TaskState.FAILED, 0, 0), name


def _ran_again(stage: Stage, view: RunView, name: str) -> None:
    first, second = _tries(view, name)
    assert (first.outcome, second.outcome) == (TryOutcome.LOST, TryOutcome.SUCCESS), name
    (task,) = [each for each in view.tasks if each.key.task_id == name]
    assert (task.state, task.failures, task.losses) == (TaskState.SUCCESS, 0, 1), name
    _counted(stage, second, view)


def _counted(stage: Stage, attempt: Try, view: RunView) -> None:
    """It succeeded in its one container, and its log goes on to its end: no line twice, none after a later one.
    An engine that is killed may lose lines that it had read and not written."""
    assert attempt.outcome is TryOutcome.SUCCESS, attempt
    lines = stage.log(attempt.key)[Stream.STDOUT].decode().splitlines()
    numbers = [int(line.removeprefix("count ").removesuffix(".")) for line in lines]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1
    assert numbers[-1] >= view.results[attempt.key.task.task_id] - 1
    assert len(numbers) > numbers[-1] * 0.9


def _is_marked(stage: Stage, attempt: Try) -> bool:
    """What was missed is marked as read back."""
    return any(LogFlag.READ_BACK in record.flags for record in stage.app.logs().records(attempt.key))


def _check(stage: Stage, view: RunView, *, tries: int) -> None:
    """One container a try, started once; nothing is left."""
    assert len(view.tries) == tries
    for name in TASKS:
        mine = [each.container_id for each in _tries(view, name)]
        assert stage.record.containers(STARTED, name) == mine
        assert stage.record.containers(CREATED, name) == mine
    assert stage.leftovers.containers() == []
    assert stage.leftovers.volumes() == []
