"""Tries: prepared, intended, started, stopped, lost, retried, collected; and what is told late or twice."""

from datetime import timedelta

import pytest
from planning_sim import NOW, Leader, container, dag, exited, prepared, started, told_of

from orchestrator.ids import ContainerId, RunKey, TryId
from orchestrator.planning.changes import Collect, Launch, PinImages, Prepare, Stop
from orchestrator.planning.events import (
    Collected,
    ImagesPinned,
    LaunchFailed,
    Lost,
    PrepareDelayed,
    PrepareFailed,
    Requested,
)
from orchestrator.planning.explain import explain_task
from orchestrator.planning.rows import Reason, Request, RequestKind, TryOutcome
from orchestrator.spec.container import ExitFacts
from orchestrator.spec.dag import RetryPolicy, TaskSpec
from orchestrator.states import ReasonCode, RunState, TaskState

GONE = Reason(code=ReasonCode.CONTAINER_LOST, text="its container is gone")


def launched(task: TaskSpec) -> tuple[Leader, RunKey, Launch]:
    leader = Leader()
    leader.parse(dag(task))
    key = leader.trigger()
    (launch,) = leader.prepare_all()
    return leader, key, launch


def retrying(number: int = 1, **policy: object) -> TaskSpec:
    return container("a", retry=RetryPolicy(retries=number, **policy))


class TestIntent:
    def test_it_is_written_with_name_labels_and_number_before_anything_is_created(self) -> None:
        leader, key, launch = launched(container("a"))
        attempt = leader.attempt(launch)
        assert attempt == launch.attempt
        assert attempt.spec.name.startswith("orc-0123abcd-d-a-")
        assert attempt.spec.labels["orchestrator.try_id"] == attempt.try_id
        assert attempt.spec.labels["orchestrator.epoch"] == "7"
        assert attempt.key.number == leader.task(key, "a").tries == 1
        assert leader.states(key) == {"a": TaskState.STARTING}

    def test_a_preparation_told_twice_is_intended_once(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a")))
        key = leader.trigger()
        leader.turn(ImagesPinned(run=key, pins={"tools": "tools:1"}))
        (prepare,) = leader.take(Prepare)
        leader.turn(prepared(prepare), prepared(prepare))
        leader.turn(prepared(prepare))
        assert len(leader.take(Launch)) == 1

    def test_images_met_while_rendering_are_pinned_for_the_whole_run(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a"), container("b")))
        key = leader.trigger()
        leader.turn(ImagesPinned(run=key, pins={"tools": "tools:1"}))
        one, other = leader.take(Prepare)
        leader.turn(prepared(one, pins={"new": "new:1"}))
        assert leader.run(key).images == {"tools": "tools:1", "new": "new:1"}
        leader.turn(prepared(other, pins={"new": "new:2"}))
        assert leader.run(key).images == {"tools": "tools:1", "new": "new:1"}
        (again,) = leader.take(Prepare)
        assert (again.task.key, again.run.images) == (other.task.key, leader.run(key).images)

    def test_a_restart_prepares_again_what_was_prepared_in_memory_only(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a"), container("b"), max_active_tasks=1))
        leader.trigger()
        assert len(leader.prepare_all()) == 1
        leader.restart()
        (prepare,) = leader.take(Prepare)
        leader.turn(prepared(prepare), prepared(prepare))
        assert not leader.take(Launch)

    def test_a_restart_asks_again_for_what_was_not_answered(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a")))
        leader.trigger()
        leader.restart()
        assert [type(effect) for effect in leader.effects] == [PinImages]
        (launch,) = leader.prepare_all()
        leader.exit(launch)
        leader.restart()
        assert [type(effect) for effect in leader.effects] == [Collect]


class TestOutcome:
    def test_success_keeps_the_result_and_collects_after_it(self) -> None:
        leader, key, launch = launched(container("a"))
        changes = leader.exit(launch, 0, result=b'{"n":1}')
        assert leader.rows["results"] == {launch.attempt.key.task: b'{"n":1}'}
        assert leader.attempt(launch).outcome is TryOutcome.SUCCESS
        assert isinstance(changes[-2], Collect) or isinstance(changes[-1], Collect)
        leader.turn(Collected(try_id=launch.attempt.try_id, at=leader.now, log_truncated=True))
        assert leader.attempt(launch).removed_at == leader.now
        assert not leader.attempt(launch).log_complete
        assert leader.run(key).state is RunState.SUCCESS

    def test_times_are_the_engines_own(self) -> None:
        leader, key, launch = launched(container("a"))
        facts = ExitFacts(
            exit_code=0, started_at=NOW + timedelta(seconds=1), finished_at=NOW + timedelta(seconds=3)
        )
        leader.wait(10)
        leader.exit(launch, exit=facts)
        attempt, task = leader.attempt(launch), leader.task(key, "a")
        assert (attempt.started_at, attempt.ended_at) == (facts.started_at, facts.finished_at)
        assert (task.started_at, task.ended_at) == (facts.started_at, facts.finished_at)

    def test_an_exit_told_before_its_start_counts_and_the_late_start_does_not(self) -> None:
        leader, key, launch = launched(container("a"))
        leader.exit(launch)
        assert not leader.turn(started(launch.attempt), exited(launch.attempt, 1))
        assert leader.states(key) == {"a": TaskState.SUCCESS}

    def test_an_exit_of_a_container_it_had_before_is_not_its_exit(self) -> None:
        leader, key, launch = launched(container("a"))
        leader.turn(started(launch.attempt))
        other = exited(launch.attempt, 1)
        assert not leader.turn(type(other)(**{**_fields(other), "container_id": ContainerId("older")}))
        assert leader.states(key) == {"a": TaskState.RUNNING}

    def test_unknown_tries_are_nobodys(self) -> None:
        leader, _, _ = launched(container("a"))
        nobody = TryId("f" * 16)
        assert not leader.turn(
            Lost(try_id=nobody, reason=GONE, ran=True),
            LaunchFailed(try_id=nobody, reason=GONE),
            Collected(try_id=nobody, at=NOW),
        )

    def test_an_adopted_try_is_counted_as_such_each_time(self) -> None:
        leader, key, launch = launched(container("a"))
        leader.turn(started(launch.attempt, adopted=True))
        leader.turn(started(launch.attempt, NOW + timedelta(hours=1), adopted=True))
        assert leader.attempt(launch).adopted == 2
        assert leader.attempt(launch).started_at == NOW
        assert leader.states(key) == {"a": TaskState.RUNNING}


def _fields(value: object) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__struct_fields__}  # type: ignore[attr-defined]  # a Struct


class TestRetry:
    def test_a_failure_waits_its_delay_and_tries_again_under_the_next_number(self) -> None:
        leader, key, launch = launched(retrying(delay=timedelta(minutes=5)))
        leader.exit(launch, 1)
        task = leader.task(key, "a")
        assert (task.state, task.failures, task.due_at) == (
            TaskState.UP_FOR_RETRY,
            1,
            leader.now + timedelta(minutes=5),
        )
        assert explain_task(leader.world, task.key, leader.present).code is ReasonCode.RETRY_DELAY
        leader.wait(299)
        assert not leader.take(Prepare)
        leader.wait(1)
        (second,) = leader.prepare_all()
        assert second.attempt.key.number == 2
        leader.exit(second, 1)
        assert leader.run(key).state is RunState.FAILED

    def test_a_loss_before_the_start_spends_no_retry_of_the_task(self) -> None:
        leader, key, launch = launched(container("a"))
        leader.turn(Lost(try_id=launch.attempt.try_id, reason=GONE, ran=False))
        task = leader.task(key, "a")
        assert (task.state, task.failures, task.losses) == (TaskState.UP_FOR_RETRY, 0, 1)
        assert leader.attempt(launch).outcome is TryOutcome.LOST

    def test_what_had_started_is_not_run_again_unless_it_may(self) -> None:
        leader, key, launch = launched(container("a"))
        leader.turn(started(launch.attempt))
        leader.exit(launch, 0, stopped_externally=True)
        task = leader.task(key, "a")
        assert task.state is TaskState.FAILED
        assert task.reason.code is ReasonCode.STOPPED_EXTERNALLY
        assert "rerun_lost=True" in task.reason.text

    def test_a_preparation_that_fails_for_good_fails_the_task(self) -> None:
        leader = Leader()
        leader.parse(dag(retrying(5)))
        key = leader.trigger()
        leader.turn(ImagesPinned(run=key, pins={}))
        (prepare,) = leader.take(Prepare)
        reason = Reason(code=ReasonCode.IMAGE_MISSING, text="no such image")
        leader.turn(PrepareFailed(**told_of(prepare), reason=reason))
        assert leader.task(key, "a").reason == reason
        assert leader.run(key).state is RunState.FAILED
        assert not leader.rows["tries"]


class TestStop:
    def cancel(self, leader: Leader, key: RunKey) -> None:
        assert leader.ask(RequestKind.CANCEL, dag_id="d", run_id=key.run_id).ok

    def test_a_running_try_is_stopped_and_its_exit_is_the_cancellations(self) -> None:
        leader, key, launch = launched(retrying(3))
        leader.turn(started(launch.attempt))
        self.cancel(leader, key)
        (stop,) = leader.take(Stop)
        assert stop.attempt == leader.attempt(launch)
        assert leader.run(key).state is RunState.RUNNING
        leader.exit(launch, 0)
        assert leader.run(key).state is RunState.FAILED
        assert leader.run(key).reason.code is ReasonCode.KILLED_BY
        assert leader.attempt(launch).reason.text == "cancelled by ann"

    def test_what_had_ended_before_it_was_asked_to_keeps_its_own_outcome(self) -> None:
        leader, key, launch = launched(container("a"))
        leader.turn(started(launch.attempt))
        leader.wait(5)
        self.cancel(leader, key)
        leader.exit(launch, exit=ExitFacts(exit_code=0, finished_at=NOW + timedelta(seconds=4)))
        assert leader.states(key) == {"a": TaskState.SUCCESS}
        assert leader.run(key).state is RunState.FAILED

    @pytest.mark.parametrize("told", ["launch_failed", "lost"])
    def test_a_stop_before_there_was_a_container_ends_the_try(self, told: str) -> None:
        leader, key, launch = launched(retrying(3))
        self.cancel(leader, key)
        try_id = launch.attempt.try_id
        leader.turn(
            LaunchFailed(try_id=try_id, reason=GONE)
            if told == "launch_failed"
            else Lost(try_id=try_id, reason=GONE, ran=False)
        )
        assert leader.attempt(launch).outcome is TryOutcome.FAILED
        assert leader.attempt(launch).reason.code is ReasonCode.KILLED_BY
        assert leader.run(key).state is RunState.FAILED

    def test_a_container_that_starts_in_spite_of_a_stop_is_told_again(self) -> None:
        leader, key, launch = launched(container("a"))
        self.cancel(leader, key)
        leader.take(Stop)
        leader.turn(started(launch.attempt))
        (stop,) = leader.take(Stop)
        assert stop.attempt.container_id == "c"

    def test_a_restart_sends_a_stop_again(self) -> None:
        leader, key, launch = launched(container("a"))
        leader.turn(started(launch.attempt))
        self.cancel(leader, key)
        leader.restart()
        assert [effect.attempt for effect in leader.take(Stop)] == [leader.attempt(launch)]

    def test_a_task_over_its_execution_timeout_is_stopped_and_spends_a_retry(self) -> None:
        task = container(
            "a", execution_timeout=timedelta(minutes=1), retry=RetryPolicy(retries=1, retry_exit_codes=(4,))
        )
        leader, key, launch = launched(task)
        leader.wait(30)
        leader.turn(started(launch.attempt, leader.now))
        assert leader.world.next_due() == leader.now + timedelta(minutes=1)
        leader.wait(60)
        assert len(leader.take(Stop)) == 1
        assert leader.world.next_due() is None
        leader.exit(launch, 143)
        assert leader.attempt(launch).reason.code is ReasonCode.TIMEOUT
        assert leader.task(key, "a").state is TaskState.UP_FOR_RETRY

    def test_the_first_reason_to_stop_stays(self) -> None:
        leader, key, launch = launched(container("a", execution_timeout=timedelta(minutes=1)))
        leader.turn(started(launch.attempt))
        leader.wait(60)
        self.cancel(leader, key)
        assert len(leader.take(Stop)) == 1
        leader.exit(launch, 143)
        assert leader.attempt(launch).reason.code is ReasonCode.TIMEOUT

    def test_an_exit_told_in_the_turn_of_the_timeout_is_an_exit(self) -> None:
        leader, key, launch = launched(container("a", execution_timeout=timedelta(minutes=1)))
        leader.turn(started(launch.attempt))
        leader.now += timedelta(minutes=2)
        leader.exit(launch, 0)
        assert leader.states(key) == {"a": TaskState.SUCCESS}
        assert not leader.take(Stop)


class TestExplained:
    def test_each_wait_is_explained_by_what_it_is_for(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a"), container("b", "a")))
        key = leader.trigger()
        a, b = (leader.task(key, name).key for name in "ab")

        def why(task: object) -> Reason | None:
            return explain_task(leader.world, task, leader.present)  # type: ignore[arg-type]  # a TaskKey

        assert why(b).text == "its rule all_success waits for a"
        assert "looked up" in why(a).text
        leader.turn(ImagesPinned(run=key, pins={}))
        assert why(a).code is ReasonCode.PREPARING
        building = Reason(code=ReasonCode.IMAGE_BUILDING, text="tools is being built")
        leader.turn(PrepareDelayed(task=a, reason=building))
        assert not leader.turn(PrepareDelayed(task=a, reason=building))
        assert why(a) == building
        (launch,) = leader.prepare_all()
        assert why(a) is None
        leader.ask(RequestKind.CANCEL, dag_id="d", run_id=key.run_id)
        assert why(a).code is ReasonCode.KILLED_BY
        assert why(b).code is ReasonCode.KILLED_BY
        assert not leader.turn(PrepareDelayed(task=a, reason=building))
        leader.exit(launch, 143)

    def test_what_delayed_one_try_does_not_explain_the_next(self) -> None:
        leader = Leader()
        leader.parse(dag(retrying(delay=timedelta(0))))
        key = leader.trigger()
        leader.turn(ImagesPinned(run=key, pins={}))
        a = leader.task(key, "a").key
        leader.turn(PrepareDelayed(task=a, reason=Reason(code=ReasonCode.IMAGE_BUILDING, text="being built")))
        leader.exit(*leader.prepare_all(), 1)
        leader.wait(0)
        assert leader.states(key) == {"a": TaskState.QUEUED}
        assert explain_task(leader.world, a, leader.present).code is ReasonCode.PREPARING


def test_a_request_told_twice_is_answered_once() -> None:
    leader = Leader()
    leader.parse(dag(container("a")))
    leader.trigger()
    again = Request(id=1, kind=RequestKind.TRIGGER, payload={"dag_id": "d"}, actor="ann", created_at=NOW)
    assert not leader.turn(Requested(request=again))
