"""Time-outs that are spared (invariant I16): held while nobody knows what has ended, and longer by what passed
without anybody being awake. Each kind that ends something, and none that does not."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from planning_sim import NOW, Leader, container, control, dag, started

from orchestrator.ids import RunKey
from orchestrator.planning.changes import Prepare
from orchestrator.planning.events import Lapsed
from orchestrator.planning.lapses import Lapse, Sparing
from orchestrator.spec.control import Approval, External
from orchestrator.spec.dag import RetryPolicy, SensorSpec, TaskSpec
from orchestrator.states import RunState, TaskState

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
HELD = Lapsed(sparing=Sparing(held=True))

Over = Callable[[Leader, RunKey], bool]


def _stopped(leader: Leader, key: RunKey) -> bool:
    del key
    return any(each.stop_requested_at for each in leader.rows["tries"].values())


def _failed(leader: Leader, key: RunKey) -> bool:
    return TaskState.FAILED in leader.states(key).values()


def _of(task: TaskSpec, *, runs: bool = False, **arguments: object) -> tuple[Leader, RunKey]:
    """A task that has begun, and runs if it is to."""
    leader = Leader()
    leader.parse(dag(task, **arguments))
    key = leader.trigger()
    for launch in leader.prepare_all():
        if runs:
            leader.turn(started(launch.attempt, NOW))
    return leader, key


def _beginnings() -> dict[str, tuple[Callable[[], tuple[Leader, RunKey]], Over]]:
    sensor = container("look", sensor=SensorSpec(timeout=10 * MINUTE), skip_on_exit_code=(99,))
    return {
        "execution": (lambda: _of(container("a", execution_timeout=10 * MINUTE), runs=True), _stopped),
        "start": (lambda: _of(container("a", start_timeout=10 * MINUTE)), _stopped),
        "sensor": (lambda: _of(sensor, runs=True), _stopped),
        "run": (lambda: _of(container("a"), runs=True, dagrun_timeout=10 * MINUTE), _stopped),
        "external": (lambda: _of(control("t", External(dag_id="other", timeout=10 * MINUTE))), _failed),
        "approval": (lambda: _of(control("t", Approval(timeout=10 * MINUTE))), _failed),
    }


@pytest.fixture(params=_beginnings())
def begun(request: pytest.FixtureRequest) -> tuple[Leader, RunKey, Over]:
    """Each kind of time-out, of ten minutes, that began just now; and whether it is over."""
    make, over = _beginnings()[request.param]
    leader, key = make()
    return leader, key, over


def test_each_ends_in_its_time_where_nothing_is_spared(begun: tuple[Leader, RunKey, Over]) -> None:
    leader, key, over = begun
    leader.wait(599)
    assert not over(leader, key)
    leader.wait(1)
    assert over(leader, key)


def test_none_ends_while_they_are_held_and_each_ends_then(begun: tuple[Leader, RunKey, Over]) -> None:
    leader, key, over = begun
    leader.turn(HELD)
    leader.wait(3600)
    assert not over(leader, key)
    leader.turn(Lapsed(sparing=Sparing()))
    assert over(leader, key)


def test_what_lapsed_does_not_count_for_any(begun: tuple[Leader, RunKey, Over]) -> None:
    leader, key, over = begun
    leader.wait(60)
    leader.now += HOUR
    lapse = Lapse(at=leader.now, length=HOUR, until=leader.now + MINUTE)
    leader.turn(Lapsed(sparing=Sparing(lapses=(lapse,))))
    leader.wait(539)
    assert not over(leader, key)
    leader.wait(1)
    assert over(leader, key)


def test_who_had_hardly_any_time_left_has_a_minute(begun: tuple[Leader, RunKey, Over]) -> None:
    leader, key, over = begun
    leader.wait(590)
    leader.now += HOUR
    lapse = Lapse(at=leader.now, length=HOUR, until=leader.now + MINUTE)
    leader.turn(Lapsed(sparing=Sparing(lapses=(lapse,))))
    leader.wait(59)
    assert not over(leader, key)
    leader.wait(1)
    assert over(leader, key)


def test_what_is_spared_is_spared_whatever_happens_to_the_try_then() -> None:
    leader, key = _of(container("a", execution_timeout=10 * MINUTE), runs=True)
    lapse = Lapse(at=NOW + HOUR, length=HOUR, until=NOW + HOUR)
    leader.now = NOW + HOUR
    (attempt,) = leader.rows["tries"].values()
    leader.turn(Lapsed(sparing=Sparing(lapses=(lapse,))))
    leader.turn(started(attempt, NOW, adopted=True))
    leader.wait(599)
    assert not _stopped(leader, key)
    leader.wait(1)
    assert _stopped(leader, key)


def test_an_outage_of_the_engine_counts_for_what_runs_and_not_for_what_could_not_start() -> None:
    lapse = Lapse(at=NOW + HOUR, length=HOUR, until=NOW + HOUR, unstarted=True)
    for runs, over_then in ((True, True), (False, False)):
        leader, key = _of(container("a", execution_timeout=10 * MINUTE, start_timeout=10 * MINUTE), runs=runs)
        leader.turn(HELD)
        leader.wait(3600)
        leader.turn(Lapsed(sparing=Sparing(lapses=(lapse,))))
        assert _stopped(leader, key) is over_then


def test_delays_and_deadlines_that_only_tell_are_not_held() -> None:
    leader, key = _of(container("a", retry=RetryPolicy(retries=1, delay=MINUTE), deadline=2 * MINUTE))
    (attempt,) = leader.rows["tries"].values()
    leader.exit(attempt, 1)
    leader.turn(HELD)
    leader.wait(60)
    assert leader.states(key) == {"a": TaskState.QUEUED}
    assert len(leader.take(Prepare)) == 1
    leader.wait(60)
    assert leader.task(key, "a").deadline_missed_at == NOW + 2 * MINUTE
    assert leader.run(key).state is RunState.RUNNING
