"""A task that is tried again: when, in the lines of a run as it goes."""

from datetime import timedelta

import pytest
from store_rows import NOW, run, task

from orchestrator.cli.live import RunDisplay
from orchestrator.planning.rows import Reason
from orchestrator.scheduler.notices import TaskChanged
from orchestrator.states import ReasonCode, TaskState
from orchestrator.testing.manual_clock import ManualClock


def test_a_task_that_is_tried_again_says_when(capsys: pytest.CaptureFixture[str]) -> None:
    failed = Reason(code=ReasonCode.EXIT_CODE, text="it exited with 1")
    again = task(run(), "a", TaskState.UP_FOR_RETRY, tries=1, reason=failed, due_at=NOW + timedelta(minutes=5))
    with RunDisplay(ManualClock(NOW)) as display:
        display.take(TaskChanged(task=again))
    assert capsys.readouterr().err == (
        "↻ a up_for_retry  exit_code: it exited with 1; next try in 5m 00s (at 12:05:00Z)\n"
    )
