"""A machine that sleeps in mid-run, as far as one can have it: everything is stopped (the scheduler, the engine,
the containers), its clock is an hour ahead when it wakes up, and nothing times out or is called lost
(invariant I16)."""

import os
import signal
import threading
from pathlib import Path

import pytest
from engine_record import STARTED
from output_streams import wait_output
from own_engine import OwnEngine
from scheduler_process import SchedulerProcess
from stage import Stage

from orchestrator.clock import SystemClock
from orchestrator.planning.rows import TryOutcome
from orchestrator.states import RunState, TaskState

pytestmark = pytest.mark.engine

HOUR = 3600
_CLOCK, _NEVER = SystemClock(), threading.Event()
_TASKS = ("runs", "silent", "looks")


class JumpingProcess(SchedulerProcess):
    """One whose clock can be set."""

    program = ("jumping_scheduler", "scheduler")


@pytest.mark.parametrize("seconds", [1, pytest.param(120, marks=pytest.mark.long)])
def test_an_hour_of_sleep_is_held_against_no_task(
    tmp_path: Path, own_engine: OwnEngine, base_image: str, seconds: int
) -> None:
    ahead = tmp_path / "ahead"
    ahead.write_text("0")
    settings = {"CLOCK_FILE": str(ahead), "PYTHONPATH": str(Path(__file__).parent)}
    with Stage(
        tmp_path,
        "slept",
        "slept.py",
        own_engine.address,
        base_image,
        proxied=False,
        settings=settings,
        life=JumpingProcess,
    ) as stage:
        stage.begin()
        containers = [stage.record.wait(STARTED, name) for name in _TASKS]
        for container in containers:
            wait_output(stage.engine, container, b"waits")
        stage.wait_view(lambda view: {each.state for each in view.tasks} == {TaskState.RUNNING})
        everybody = [*own_engine.processes(), *_session(stage.scheduler.pid)]
        for pid in everybody:
            os.kill(pid, signal.SIGSTOP)
        ahead.write_text(str(HOUR))
        _CLOCK.wait(_NEVER, seconds)
        for pid in everybody:
            os.kill(pid, signal.SIGCONT)
        stage.scheduler.wait_said("scheduler.caught_up")
        with stage.app.actions() as actions:
            for slots in (1, 2):  # some turns later
                assert actions.set_pool("other", slots).answer is not None
        for container in containers:
            stage.engine.signal(container, "USR1")
        ended = stage.wait_end()
        assert ended.run.state is RunState.SUCCESS
        assert [(each.outcome, each.stop_requested_at) for each in ended.tries] == [(TryOutcome.SUCCESS, None)] * 3
        assert [(each.tries, each.failures, each.losses) for each in ended.tasks] == [(1, 0, 0)] * 3
        assert sorted(str(each.container_id) for each in ended.tries) == sorted(containers)
        assert stage.leftovers.containers() == []


def _session(leader: int) -> list[int]:
    """A process and all others of its session: the scheduler and its authoring server."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getsid(int(entry.name)) == leader:
                    found.append(int(entry.name))
            except ProcessLookupError:
                continue
    return found
