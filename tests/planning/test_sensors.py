"""Sensors: look, let go of everything, look again; until it is there, or the time is over."""

from datetime import timedelta

import pytest
from planning_sim import NOW, Leader, container, dag, empty, played

from orchestrator.ids import RunKey
from orchestrator.planning.changes import Collect, Launch, Prepare, Stop
from orchestrator.planning.events import Collected
from orchestrator.planning.rows import Pool, Reason, TryOutcome
from orchestrator.planning.sensors import wait_after
from orchestrator.spec.dag import RetryPolicy, SensorSpec, TaskSpec
from orchestrator.states import ReasonCode, RunState, TaskState

MINUTE = timedelta(minutes=1)


def sensor(task_id: str = "look", retry: RetryPolicy | None = None, **arguments: object) -> TaskSpec:
    return container(task_id, sensor=SensorSpec(**arguments), skip_on_exit_code=(99,), retry=retry or RetryPolicy())


def staged(*tasks: TaskSpec) -> tuple[Leader, RunKey]:
    leader = Leader()
    leader.parse(dag(*tasks))
    return leader, leader.trigger()


def look(leader: Leader, code: int) -> Launch:
    """The next look, to its collected end."""
    (launch,) = leader.prepare_all()
    leader.exit(launch, code)
    collect(leader)
    return launch


def collect(leader: Leader) -> None:
    leader.turn(*(Collected(try_id=each.attempt.try_id, at=leader.now) for each in leader.take(Collect)))


def reason(leader: Leader, key: RunKey) -> Reason:
    found = leader.task(key, "look").reason
    assert found is not None
    return found


def test_it_looks_again_after_its_interval_until_it_is_there() -> None:
    leader, key = staged(sensor(poke_interval=5 * MINUTE), empty("then", "look"))
    first = look(leader, 75)
    task = leader.task(key, "look")
    assert (task.state, task.due_at) == (TaskState.UP_FOR_RESCHEDULE, NOW + 5 * MINUTE)
    assert reason(leader, key).text == "not yet (exit code 75, look 1 of try 1)"
    leader.wait(299)
    assert leader.take(Prepare) == []
    leader.wait(1)
    second = look(leader, 0)
    assert first.attempt.key == second.attempt.key
    assert first.attempt.try_id != second.attempt.try_id
    assert leader.task(key, "look").tries == 1
    assert leader.run(key).state is RunState.SUCCESS


def test_not_yet_spends_no_retry() -> None:
    leader, key = staged(sensor(retry=RetryPolicy(retries=1, delay=MINUTE)))
    for _ in range(50):
        look(leader, 75)
        leader.wait(60)
    look(leader, 1)
    assert leader.task(key, "look").state is TaskState.UP_FOR_RETRY
    leader.wait(60)
    assert look(leader, 75).attempt.key.number == 2
    leader.wait(60)
    look(leader, 1)
    assert leader.task(key, "look").state is TaskState.FAILED
    assert leader.task(key, "look").tries == 2


def test_between_two_looks_it_holds_nothing() -> None:
    leader = Leader(pools=[Pool(name="two", slots=2)])
    sensors = [container(f"s{number}", sensor=SensorSpec(), pool="two", priority_weight=9) for number in range(40)]
    leader.parse(dag(*sensors, container("work", pool="two"), max_active_tasks=2))
    key = leader.trigger()
    launches = leader.prepare_all()
    while launches:
        launch = launches.pop()
        leader.exit(launch, 0 if launch.attempt.key.task.task_id == "work" else 75)
        collect(leader)
        launches += leader.prepare_all()
    assert leader.task(key, "work").state is TaskState.SUCCESS
    waiting = [name for name, state in leader.states(key).items() if state is TaskState.UP_FOR_RESCHEDULE]
    assert len(waiting) == 40
    assert leader.world.open_tries() == ()


def test_a_restart_forgets_no_wait() -> None:
    leader, _ = staged(sensor())
    look(leader, 75)
    leader.restart()
    assert leader.world.next_due() == NOW + MINUTE
    leader.wait(60)
    assert look(leader, 0).attempt.key.number == 1


def test_the_next_look_waits_until_the_last_ones_log_is_whole() -> None:
    leader, key = staged(sensor())
    (launch,) = leader.prepare_all()
    leader.exit(launch, 75)
    leader.wait(60)
    assert leader.task(key, "look").state is TaskState.UP_FOR_RESCHEDULE
    collect(leader)
    assert leader.task(key, "look").state is TaskState.QUEUED


def test_of_the_looks_of_a_try_the_last_one_is_kept() -> None:
    leader, key = staged(sensor())
    look(leader, 75)
    (kept,) = leader.rows["tries"].values()
    assert (kept.outcome, kept.exit.exit_code) == (TryOutcome.NOT_READY, 75)
    leader.wait(60)
    look(leader, 0)
    (kept,) = leader.rows["tries"].values()
    assert kept.outcome is TryOutcome.SUCCESS
    assert leader.run(key).state is RunState.SUCCESS


class TestTimeout:
    def test_when_the_time_is_over_it_fails_whatever_its_retries(self) -> None:
        leader, key = staged(sensor(timeout=5 * MINUTE, retry=RetryPolicy(retries=9)), empty("then", "look"))
        for _ in range(5):
            look(leader, 75)
            leader.wait(60)
        assert leader.states(key) == {"look": TaskState.FAILED, "then": TaskState.UPSTREAM_FAILED}
        assert reason(leader, key).code is ReasonCode.SENSOR_TIMEOUT
        assert reason(leader, key).text == "it did not find what it waits for within its timeout of 0:05:00"

    def test_a_soft_one_is_skipped(self) -> None:
        leader, key = staged(sensor(timeout=MINUTE, soft_fail=True), empty("then", "look"))
        look(leader, 75)
        leader.wait(60)
        assert leader.states(key) == {"look": TaskState.SKIPPED, "then": TaskState.SKIPPED}
        assert leader.run(key).state is RunState.SUCCESS

    @pytest.mark.parametrize(("soft", "state"), [(False, TaskState.FAILED), (True, TaskState.SKIPPED)])
    def test_a_look_that_is_under_way_is_stopped(self, *, soft: bool, state: TaskState) -> None:
        leader, key = staged(sensor(timeout=MINUTE, soft_fail=soft, retry=RetryPolicy(retries=3)))
        (launch,) = leader.prepare_all()
        leader.wait(60)
        assert [stop.attempt.try_id for stop in leader.take(Stop)] == [launch.attempt.try_id]
        leader.wait(1)
        assert leader.take(Stop) == []
        leader.exit(launch, 143)
        assert leader.task(key, "look").state is state

    def test_it_counts_from_the_first_look_of_all(self) -> None:
        retry = RetryPolicy(retries=3, delay=MINUTE)
        leader, key = staged(sensor(timeout=5 * MINUTE, retry=retry))
        look(leader, 75)
        leader.wait(60)
        look(leader, 1)
        leader.wait(60)
        look(leader, 75)
        leader.wait(60)
        look(leader, 75)
        assert leader.task(key, "look").since == NOW
        leader.wait(120)
        assert leader.task(key, "look").state is TaskState.FAILED

    def test_one_that_was_never_prepared_has_not_begun_to_look(self) -> None:
        leader, key = staged(sensor(timeout=MINUTE))
        leader.wait(3600)
        assert leader.task(key, "look").state is TaskState.QUEUED


def test_a_sensor_may_skip_and_may_fail() -> None:
    for code, state in ((99, TaskState.SKIPPED), (1, TaskState.FAILED)):
        leader, key = staged(sensor())
        look(leader, code)
        assert leader.task(key, "look").state is state


def test_a_cancelled_run_ends_a_sensor_that_waits() -> None:
    leader, key = staged(sensor())
    look(leader, 75)
    leader.ask_cancel(key)
    assert leader.run(key).state is RunState.FAILED
    leader.wait(60)
    played(leader, {}, {})
    assert leader.task(key, "look").tries == 1


@pytest.mark.parametrize(
    ("sensor", "waits"),
    [
        (SensorSpec(poke_interval=MINUTE), [1, 1, 1, 1]),
        (SensorSpec(poke_interval=MINUTE, exponential_backoff=True), [1, 2, 4, 8]),
        (SensorSpec(poke_interval=MINUTE, exponential_backoff=True, max_wait=3 * MINUTE), [1, 2, 3, 3]),
        (SensorSpec(poke_interval=5 * MINUTE, max_wait=3 * MINUTE), [3, 3, 3, 3]),
    ],
)
def test_looks_may_grow_rarer(sensor: SensorSpec, waits: list[int]) -> None:
    assert [wait_after(sensor, pokes) for pokes in range(4)] == [minutes * MINUTE for minutes in waits]


def test_the_longest_growth_is_a_day() -> None:
    assert wait_after(SensorSpec(exponential_backoff=True), 100) == timedelta(days=1)
