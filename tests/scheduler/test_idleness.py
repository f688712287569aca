"""What the loop is told of tries that say nothing."""

from datetime import timedelta

from orchestrator.ids import Epoch, TaskKey, TryId, TryKey
from orchestrator.planning.events import Silent
from orchestrator.planning.rows import Try
from orchestrator.scheduler.attempts import OpenAttempts
from orchestrator.scheduler.idleness import Idleness
from orchestrator.scheduler.inbox import Message
from orchestrator.scheduler.vigil import Vigil
from orchestrator.spec.container import ContainerSpec
from orchestrator.spec.dag import TaskSpec
from orchestrator.testing.manual_clock import ManualClock

_TRY = TryId("0" * 16)


def test_a_loop_that_cannot_go_on_is_told_once_a_minute_of_a_silent_try() -> None:
    clock = ManualClock()
    vigil, attempts = Vigil(clock), OpenAttempts()
    vigil.engine_listed(clock.monotonic())
    spec = ContainerSpec(name="c", image="i", image_name="i")
    key = TryKey(TaskKey("d", "r", "t"), 1)
    attempt = Try(key=key, try_id=_TRY, epoch=Epoch(1), spec=spec, intended_at=clock.now())
    attempts.open(attempt, TaskSpec(task_id="t", idle_timeout=timedelta(seconds=5))).started = True
    told: list[Message] = []
    idleness = Idleness(attempts, vigil, post=told.append, clock=clock)
    for _ in range(185):  # it is told of after 5 s, and at each full minute after that
        idleness.look()
        clock.advance(1.0)
    assert told == [Silent(try_id=_TRY)] * 3
