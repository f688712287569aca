"""The registry of open tries: who acts on one claims it first, and events of strangers are not heard."""

from datetime import UTC, datetime

import pytest

from orchestrator.ids import ContainerId, Epoch, TaskKey, TryId, TryKey
from orchestrator.planning.rows import Try
from orchestrator.scheduler.attempts import OpenAttempts
from orchestrator.spec.container import ContainerSpec, EngineEvent, EngineEventKind
from orchestrator.spec.dag import TaskSpec

_NOW = datetime(2024, 1, 1, tzinfo=UTC)
_TASK = TaskSpec(task_id="t")
_OURS, _OTHER = ContainerId("1" * 64), ContainerId("2" * 64)


def attempt(number: int = 1, stop_signal: str | None = None) -> Try:
    spec = ContainerSpec(name="c", image="i", image_name="i", stop_signal=stop_signal)
    key = TryKey(TaskKey("d", "r", "t"), number)
    return Try(key=key, try_id=TryId(f"try{number}"), epoch=Epoch(1), spec=spec, intended_at=_NOW)


def event(kind: EngineEventKind, container: ContainerId = _OURS, detail: str = "") -> EngineEvent:
    labels = {"orchestrator.try_id": "try1"}
    return EngineEvent(kind=kind, container_id=container, labels=labels, at=_NOW, detail=detail)


@pytest.fixture
def attempts() -> OpenAttempts:
    made = OpenAttempts()
    made.hear()
    return made


def test_one_launches_a_try(attempts: OpenAttempts) -> None:
    entry = attempts.open_to_launch(attempt(), _TASK)
    assert entry is not None
    assert not attempts.claim_launch(entry)
    assert attempts.open_to_launch(attempt(), _TASK) is None
    attempts.release_launch(entry)
    assert attempts.claim_launch(entry)


def test_a_try_whose_end_is_told_is_not_launched(attempts: OpenAttempts) -> None:
    entry = attempts.open(attempt(), _TASK)
    assert attempts.claim_end(entry)
    assert not attempts.claim_launch(entry)


def test_one_tells_of_an_end(attempts: OpenAttempts) -> None:
    entry = attempts.open(attempt(), _TASK)
    assert attempts.claim_end(entry)
    assert not attempts.claim_end(entry)


def test_an_end_that_could_not_be_recorded_may_be_told_again_later(attempts: OpenAttempts) -> None:
    entry = attempts.open(attempt(), _TASK)
    attempts.claim_end(entry)
    attempts.forgive_ends()
    assert not attempts.claim_end(entry)
    attempts.refuse_end(entry.try_id)
    assert not attempts.claim_end(entry)
    attempts.forgive_ends()
    assert attempts.claim_end(entry)


def test_a_closed_try_is_nobodys(attempts: OpenAttempts) -> None:
    entry = attempts.open(attempt(), _TASK)
    attempts.close(entry.try_id)
    assert not attempts.claim_end(entry)
    assert not attempts.claim_launch(entry)
    assert not attempts.is_open(entry)


def test_after_the_world_was_rebuilt_who_has_a_try_in_hand_keeps_it(attempts: OpenAttempts) -> None:
    launching = attempts.open_to_launch(attempt(), _TASK)
    ending = attempts.open(attempt(2), _TASK)
    attempts.claim_end(ending)
    gone = attempts.open(attempt(3), _TASK)
    attempts.keep_only([(attempt(), _TASK), (attempt(2), _TASK), (attempt(4), _TASK)])
    assert launching is not None
    assert not attempts.claim_launch(launching)
    assert not attempts.claim_end(ending)
    assert not attempts.is_open(gone)
    assert {entry.attempt.key.number for entry in attempts.all()} == {1, 2, 4}


def test_what_happens_to_another_container_with_the_same_labels_is_not_noted(attempts: OpenAttempts) -> None:
    entry = attempts.open(attempt(), _TASK)
    entry.container_id = _OURS
    for kind in (EngineEventKind.START, EngineEventKind.OOM):
        attempts.note(event(kind, _OTHER))
    attempts.note(event(EngineEventKind.KILL, _OTHER, "9"))
    assert (entry.started, entry.oom, entry.killed_by_others) == (False, False, False)
    for kind in (EngineEventKind.START, EngineEventKind.OOM):
        attempts.note(event(kind))
    attempts.note(event(EngineEventKind.KILL, detail="9"))
    assert (entry.started, entry.oom, entry.killed_by_others) == (True, True, True)


@pytest.mark.parametrize(
    ("stop_signal", "signal", "ends"),
    [
        (None, "15", True), (None, "SIGTERM", True), (None, "term", True), (None, "9", True), (None, "1", True),
        (None, "10", False), (None, "SIGUSR1", False), (None, "28", False), (None, "", False), (None, "471", False),
        ("SIGUSR1", "10", True), ("USR1", "USR1", True), ("10", "SIGUSR1", True), ("SIGUSR1", "12", False),
    ],
)  # fmt: skip
def test_which_signals_end_a_process(
    attempts: OpenAttempts, stop_signal: str | None, signal: str, *, ends: bool
) -> None:
    entry = attempts.open(attempt(stop_signal=stop_signal), _TASK)
    attempts.note(event(EngineEventKind.KILL, detail=signal))
    assert entry.killed_by_others is ends


def test_a_signal_of_our_own_is_not_others_doing(attempts: OpenAttempts) -> None:
    entry = attempts.open(attempt(), _TASK)
    attempts.request_stop(attempt())
    attempts.note(event(EngineEventKind.KILL, detail="15"))
    assert not entry.killed_by_others


def test_the_fate_of_a_container_is_known_by_its_destroy_event(attempts: OpenAttempts) -> None:
    fate = attempts.watch(_OURS)
    attempts.note(event(EngineEventKind.DESTROY, _OTHER))
    assert not fate.known.is_set()
    attempts.note(event(EngineEventKind.START))
    attempts.note(event(EngineEventKind.DESTROY))
    assert (fate.known.is_set(), fate.started, fate.missed) == (True, True, False)


def test_where_the_stream_broke_nobody_knows_a_fate(attempts: OpenAttempts) -> None:
    fate = attempts.watch(_OURS)
    attempts.deafen()
    attempts.hear()
    assert (fate.known.is_set(), fate.missed) == (True, True)


def test_a_fate_that_is_watched_while_no_events_come_is_never_known(attempts: OpenAttempts) -> None:
    attempts.deafen()
    fate = attempts.watch(_OURS)
    assert (fate.known.is_set(), fate.missed) == (True, True)
