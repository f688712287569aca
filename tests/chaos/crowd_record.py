"""What holds of a crowd (`played_dags/crowd.py`), whatever its schedulers went through: each try ran once, in one
container, and ended as it ended; what it handed on and what it wrote are whole; nothing is left (invariants I1, I4,
I7, I14)."""

import hashlib
from collections.abc import Callable

from engine_record import CREATED, DIED, GONE, STARTED
from output_streams import wait_output
from stage import Stage

from orchestrator.planning.rows import Try, TryOutcome
from orchestrator.ports import Stream
from orchestrator.queries import RunView

_GIVEN = hashlib.sha256(b"copied in before the start\n" * 3000).hexdigest()


def end_long_ones(stage: Stage, number: int) -> None:
    """Have the long ones come to their ends."""
    for place in range(number):
        container = stage.record.wait(STARTED, f"long{place}")
        wait_output(stage.engine, container, b"line 1 ")
        stage.engine.signal(container, "USR1")


def check_crowd(stage: Stage, ended: RunView, number: int) -> None:
    """All that must hold of a run of so many tasks, but for what is left."""
    for attempt in ended.tries:
        _ran_once(stage, attempt)
        _is_whole(stage, ended, attempt)
    assert len(ended.tries) == number


def _ran_once(stage: Stage, attempt: Try) -> None:
    """One container, started once, adopted where it was, and its exit is the outcome."""
    task_id = attempt.key.task.task_id
    code = _exit_code(task_id)
    assert attempt.key.number == 1, (task_id, attempt)
    assert attempt.exit is not None
    assert (attempt.exit.exit_code, attempt.outcome) == (code, TryOutcome.FAILED if code else TryOutcome.SUCCESS)
    assert stage.record.containers(STARTED, task_id) == [attempt.container_id], task_id
    assert stage.record.containers(DIED, task_id) == [attempt.container_id], task_id
    assert stage.record.containers(CREATED, task_id)[-1] == attempt.container_id, task_id
    assert stage.record.try_ids(task_id) == {attempt.try_id}, task_id


def _is_whole(stage: Stage, ended: RunView, attempt: Try) -> None:
    """What it handed on, and its log byte by byte."""
    task_id, container = attempt.key.task.task_id, str(attempt.container_id)[:12]
    said = stage.log(attempt.key)
    assert attempt.log_complete, task_id
    if task_id.startswith("long"):
        sums = {"out": _sum(said[Stream.STDOUT]), "err": _sum(said[Stream.STDERR])}
        assert ended.results[task_id] == {"container": container, **sums}, task_id
        assert said[Stream.STDOUT].endswith(b"ends here")
    else:
        assert said == _output(task_id), task_id
        assert ended.results.get(task_id) == (None if _exit_code(task_id) else {"container": container}), task_id


def check_nothing_left(
    stage: Stage, ended: RunView, foreign: Callable[[str], bool] = lambda _container: False
) -> None:
    """Neither containers nor volumes, but for those that are `foreign`."""
    for attempt in ended.tries:
        for container in stage.record.containers(CREATED, attempt.key.task.task_id):
            stage.record.wait_for(GONE, container)
    left = [each for each in stage.leftovers.containers() if not foreign(each)]
    assert (left, stage.leftovers.volumes()) == ([], [])


def _exit_code(task_id: str) -> int:
    number = int(task_id.removeprefix("short")) if task_id.startswith("short") else 0
    return 1 + number % 100 if number % 10 == 3 else 0


def _output(task_id: str) -> dict[Stream, bytes]:
    """What a short one writes."""
    given = f"{_GIVEN}  -\n" if task_id.endswith("1") else ""
    out = [f"{task_id} {part} out {line} für dich\n" for part in ("first", "second") for line in range(1, 201)]
    err = [f"{part} err {line}\n" for part in ("first", "second") for line in range(1, 101)]
    return {Stream.STDOUT: (given + "".join(out)).encode(), Stream.STDERR: "".join(err).encode()}


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
