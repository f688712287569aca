"""What an exit means, and whether another try follows."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_sim import NOW, container

from orchestrator.errors import IllegalMoveError
from orchestrator.ids import ContainerId, Epoch, RunKey, TaskKey, TryId, TryKey
from orchestrator.planning import transitions
from orchestrator.planning.events import Exited
from orchestrator.planning.outcome import Ending, ending_of
from orchestrator.planning.retry import HOPELESS, Again, Enough, Failure, after_failure, retry_delay
from orchestrator.planning.rows import Reason, Run, TaskInstance, Try, TryOutcome
from orchestrator.spec.container import ContainerSpec, ExitFacts
from orchestrator.spec.dag import RetryPolicy
from orchestrator.spec.interval import Interval
from orchestrator.states import (
    INFRASTRUCTURE_REASONS,
    RUN_MOVES,
    TASK_MOVES,
    ReasonCode,
    RunState,
    RunType,
    TaskState,
)

KEY = TaskKey("d", "r", "a")
EXIT_CODE = Reason(code=ReasonCode.EXIT_CODE, text="it exited with 1")
LOSS = Reason(code=ReasonCode.ENGINE_LOST, text="the engine restarted")


def ending(code: int, *, memory: int | None = None, stop: Reason | None = None, **told: object) -> Ending:
    facts = told.pop("exit", None) or ExitFacts(exit_code=code, oom_killed=bool(told.pop("oom", False)))
    attempt = Try(
        key=TryKey(KEY, 1),
        try_id=TryId("1"),
        epoch=Epoch(1),
        spec=ContainerSpec(name="n", image="i", image_name="i", memory=memory),
        intended_at=NOW,
        stop_requested_at=NOW if stop else None,
        stop_reason=stop,
    )
    event = Exited(try_id=attempt.try_id, container_id=ContainerId("c"), exit=facts, **told)
    return ending_of(event, attempt, container("a", skip_on_exit_code=(99,)))


class TestExit:
    def test_zero_is_success_even_with_the_memory_flag(self) -> None:
        assert ending(0).outcome is TryOutcome.SUCCESS
        assert ending(0, oom=True).outcome is TryOutcome.SUCCESS

    def test_a_result_that_cannot_be_used_fails_a_zero_and_nothing_else(self) -> None:
        problem = Reason(code=ReasonCode.RESULT_INVALID, text="no JSON")
        assert ending(0, result_problem=problem).reason == problem
        assert ending(3, result_problem=problem).reason.code is ReasonCode.EXIT_CODE
        assert ending(99, result_problem=problem).outcome is TryOutcome.SKIPPED

    def test_an_oom_kill_names_the_limit(self) -> None:
        found = ending(137, oom=True, memory=512 * 1024 * 1024)
        text = "it ran out of memory; its mem_limit is 512 MiB"
        assert found.reason.code is ReasonCode.OOM_KILLED
        assert found.reason.text == f"{text}, and it ended before a sample of its memory was taken"
        sampled = ExitFacts(exit_code=137, oom_killed=True, highest_memory=500 * 1024 * 1024 + 600_000)
        text = "it ran out of memory; its mem_limit is 512 MiB, the highest sample of its memory 500.6 MiB"
        assert ending(137, exit=sampled, memory=512 * 1024 * 1024).reason.text == text
        assert ending(1, oom=True).reason.text == "it ran out of memory; it has no mem_limit"

    def test_137_unwatched_is_a_signal_that_may_have_been_memory(self) -> None:
        found = ending(137)
        assert found.reason.code is ReasonCode.SIGNAL
        assert "possibly memory, the engine was not watching: it has no mem_limit" in found.reason.text
        assert "SIGTERM" in ending(143).reason.text
        assert "memory" not in ending(143).reason.text

    def test_what_it_wrote_last_is_told_of_failures_that_are_its_own(self) -> None:
        line = "KeyError: 'x'"
        assert ending(1, last_line=line).reason.text == "it exited with 1; last line: KeyError: 'x'"
        assert ending(137, oom=True, last_line=line).reason.text.endswith("; last line: KeyError: 'x'")
        late, killed = (Reason(code=code, text="so") for code in (ReasonCode.TIMEOUT, ReasonCode.KILLED_BY))
        assert ending(143, stop=late, last_line=line).reason.text == "so; last line: KeyError: 'x'"
        assert ending(143, stop=killed, last_line=line).reason.text == "so"

    def test_codes_that_shells_give_are_named_as_such(self) -> None:
        assert "a command that it does not find" in ending(127).reason.text
        assert "a command that cannot be executed" in ending(126).reason.text

    @pytest.mark.parametrize("code", [1, 2, 128, 255])
    def test_other_codes_are_exit_codes(self, code: int) -> None:
        assert ending(code).reason == Reason(code=ReasonCode.EXIT_CODE, text=f"it exited with {code}")

    @pytest.mark.parametrize("code", [0, 1, 99, 137, 143])
    def test_what_others_stopped_is_lost_whatever_its_code(self, code: int) -> None:
        found = ending(code, stopped_externally=True)
        assert (found.outcome, found.reason.code) == (TryOutcome.LOST, ReasonCode.STOPPED_EXTERNALLY)

    @pytest.mark.parametrize("code", [0, 99, 137])
    def test_what_we_stopped_ends_for_our_reason(self, code: int) -> None:
        reason = Reason(code=ReasonCode.TIMEOUT, text="too long")
        found = ending(code, stop=reason, stopped_externally=True)
        assert found == Ending(outcome=TryOutcome.FAILED, reason=reason, own_exit=False)


class TestRetry:
    def decide(self, policy: RetryPolicy, failure: Failure, **counts: int) -> Again | Enough:
        return after_failure(TaskInstance(key=KEY, **counts), policy, failure, budget=3)

    def test_failures_spend_retries(self) -> None:
        policy = RetryPolicy(retries=2, delay=timedelta(seconds=7))
        failure = Failure(reason=EXIT_CODE, exit_code=1)
        assert self.decide(policy, failure) == Again(delay=timedelta(seconds=7), infrastructure=False)
        assert self.decide(policy, failure, failures=1, losses=9) == Again(
            delay=timedelta(seconds=7), infrastructure=False
        )
        assert self.decide(policy, failure, failures=2) == Enough()

    @pytest.mark.parametrize("code", sorted(HOPELESS))
    def test_what_would_happen_again_is_not_tried_again(self, code: ReasonCode) -> None:
        assert self.decide(RetryPolicy(retries=9), Failure(reason=Reason(code=code), ran=False)) == Enough()

    def test_exit_codes_may_forbid_or_reserve_retries(self) -> None:
        only, never = RetryPolicy(retries=9, retry_exit_codes=(4,)), RetryPolicy(retries=9, fail_exit_codes=(4,))
        four, five = (Failure(reason=EXIT_CODE, exit_code=code) for code in (4, 5))
        assert isinstance(self.decide(only, four), Again)
        assert "retry_exit_codes" in self.decide(only, five).note
        assert "fail_exit_codes" in self.decide(never, four).note
        assert isinstance(self.decide(never, five), Again)
        timeout = Failure(reason=Reason(code=ReasonCode.TIMEOUT))
        assert isinstance(self.decide(only, timeout), Again)

    @pytest.mark.parametrize("code", sorted(INFRASTRUCTURE_REASONS))
    def test_losses_spend_their_own_budget(self, code: ReasonCode) -> None:
        failure = Failure(reason=Reason(code=code), ran=False)
        policy = RetryPolicy(infrastructure_retries=2)
        assert self.decide(policy, failure, losses=1) == Again(delay=timedelta(seconds=10), infrastructure=True)
        assert "infrastructure_retries=2" in self.decide(policy, failure, losses=2).note
        unsaid = RetryPolicy()
        assert isinstance(self.decide(unsaid, failure, losses=2), Again)
        assert "infrastructure_retries=3" in self.decide(unsaid, failure, losses=3).note

    @pytest.mark.parametrize(
        ("retries", "rerun_lost", "again"),
        [(0, None, False), (1, None, True), (0, True, True), (1, False, False)],
    )
    def test_after_the_start_a_loss_is_rerun_only_where_it_may_be(
        self, retries: int, *, rerun_lost: bool | None, again: bool
    ) -> None:
        policy = RetryPolicy(retries=retries, rerun_lost=rerun_lost)
        assert isinstance(self.decide(policy, Failure(reason=LOSS, ran=True)), Again) is again
        assert isinstance(self.decide(policy, Failure(reason=LOSS, ran=False)), Again)

    def test_delays_double_up_to_their_limit(self) -> None:
        policy = RetryPolicy(delay=timedelta(seconds=10), exponential=True, max_delay=timedelta(seconds=35))
        assert [retry_delay(policy, n, KEY).seconds for n in range(4)] == [10, 20, 35, 35]
        endless = RetryPolicy(delay=timedelta(seconds=10), exponential=True)
        assert retry_delay(endless, 10**6, KEY) == timedelta(days=1)
        assert retry_delay(RetryPolicy(delay=timedelta(days=3)), 5, KEY) == timedelta(days=3)

    @given(failures=st.integers(0, 50), task=st.text(max_size=5))
    def test_jitter_is_the_same_each_time_and_takes_off_half_at_most(self, failures: int, task: str) -> None:
        policy = RetryPolicy(delay=timedelta(minutes=1), jitter=True)
        key = TaskKey("d", "r", task)
        delay = retry_delay(policy, failures, key)
        assert delay == retry_delay(policy, failures, key)
        assert timedelta(seconds=30) <= delay <= timedelta(minutes=1)

    def test_jitter_differs_between_tasks(self) -> None:
        policy = RetryPolicy(delay=timedelta(minutes=1), jitter=True)
        assert len({retry_delay(policy, 0, TaskKey("d", "r", f"t{n}")) for n in range(20)}) == 20


class TestMoves:
    @pytest.mark.parametrize("state", TaskState)
    def test_no_transition_leaves_the_table_of_moves(self, state: TaskState) -> None:
        task = TaskInstance(key=KEY, state=state)
        tried = {
            TaskState.QUEUED: lambda: transitions.queued(task, NOW),
            TaskState.STARTING: lambda: transitions.starting(task, NOW),
            TaskState.RUNNING: lambda: transitions.running(task, NOW),
            TaskState.SUCCESS: lambda: transitions.succeeded(task, NOW, NOW),
            TaskState.FAILED: lambda: transitions.failed(task, NOW, EXIT_CODE),
            TaskState.SKIPPED: lambda: transitions.skipped(task, NOW, EXIT_CODE),
            TaskState.UPSTREAM_FAILED: lambda: transitions.upstream_failed(task, NOW, EXIT_CODE),
            TaskState.UP_FOR_RETRY: lambda: transitions.retried(
                task, NOW, EXIT_CODE, due_at=NOW, infrastructure=False
            ),
            TaskState.UP_FOR_RESCHEDULE: lambda: transitions.rescheduled(task, NOW, EXIT_CODE, due_at=NOW),
            TaskState.REMOVED: lambda: transitions.removed(task, NOW),
            TaskState.WAITING: lambda: transitions.cleared(task),
        }
        for target, move in tried.items():
            if target in TASK_MOVES[state]:
                assert move().state is target
            else:
                with pytest.raises(IllegalMoveError, match=f"from {state} to {target}"):
                    move()

    @pytest.mark.parametrize("state", RunState)
    def test_no_run_leaves_its_table_either(self, state: RunState) -> None:
        run = Run(
            key=RunKey("d", "r"),
            run_type=RunType.MANUAL,
            state=state,
            version="v",
            interval=Interval(start=NOW, end=NOW),
            created_at=NOW,
        )
        tried = {
            RunState.RUNNING: lambda: transitions.run_started(run, NOW),
            RunState.SUCCESS: lambda: transitions.run_succeeded(run, NOW),
            RunState.FAILED: lambda: transitions.run_failed(run, NOW, EXIT_CODE),
        }
        for target, move in tried.items():
            if target in RUN_MOVES[state]:
                assert move().state is target
            else:
                with pytest.raises(IllegalMoveError):
                    move()
