"""Whether a failed try is followed by another, when, and at which budget's cost: a pure function of why it
failed, the task's retry policy and what was spent so far (spec scheduling 5).
"""

import hashlib
from datetime import timedelta

from orchestrator.ids import TaskKey
from orchestrator.planning.rows import Reason, TaskInstance
from orchestrator.spec.dag import RetryPolicy
from orchestrator.spec.value import Value
from orchestrator.states import INFRASTRUCTURE_REASONS, ReasonCode

#: The same would happen again: the DAG or the image has to change first. A pull has had its `pull_timeout`.
HOPELESS = frozenset(
    {
        ReasonCode.RENDER_ERROR,
        ReasonCode.POLICY,
        ReasonCode.IMAGE_MISSING,
        ReasonCode.IMAGE_PULL_FAILED,
        ReasonCode.IMAGE_BUILD_FAILED,
        ReasonCode.PLATFORM_MISMATCH,
        ReasonCode.COMMAND_MISSING,
        ReasonCode.POOL_MISSING,
        ReasonCode.ENGINE_TOO_SMALL,
        ReasonCode.KILLED_BY,
    }
)

#: The longest delay where growth is asked for without a limit, and the delays after a loss.
_LONGEST = timedelta(days=1)
_LOSS_DELAY = timedelta(seconds=5)
_LONGEST_LOSS_DELAY = timedelta(minutes=5)


class Failure(Value, frozen=True, kw_only=True):
    """How a try failed. `exit_code` is that of a process which ended by itself, else None; `ran`: the process
    had started."""

    reason: Reason
    exit_code: int | None = None
    ran: bool = True


class Again(Value, frozen=True, kw_only=True):
    """Another try follows after a delay; a loss spends the infrastructure budget, all else `retries`."""

    delay: timedelta
    infrastructure: bool


class Enough(Value, frozen=True, kw_only=True):
    """No other try follows; `note` says what a reader would not expect."""

    note: str = ""


def after_failure(task: TaskInstance, policy: RetryPolicy, failure: Failure, *, budget: int) -> Again | Enough:
    """What follows the failed try of this task instance, whose counts are those before the failure. `budget`: how
    many losses are made good where the task does not say."""
    if failure.reason.code in INFRASTRUCTURE_REASONS:
        own = policy.infrastructure_retries
        return _after_loss(task, policy, failure, budget=budget if own is None else own)
    if failure.reason.code in HOPELESS or task.failures >= policy.retries:
        return Enough()
    code = failure.exit_code
    if code is not None and code in policy.fail_exit_codes:
        return Enough(note=f"exit code {code} is one of fail_exit_codes, so it is not retried")
    if code is not None and policy.retry_exit_codes and code not in policy.retry_exit_codes:
        return Enough(note=f"exit code {code} is not one of retry_exit_codes, so it is not retried")
    return Again(delay=retry_delay(policy, task.failures, task.key), infrastructure=False)


def retry_delay(policy: RetryPolicy, failures: int, key: TaskKey) -> timedelta:
    """How long to wait after a task's `failures` + 1st failure. Jitter takes off up to half of it, the same for
    the same task and failure."""
    longest = policy.max_delay if policy.max_delay is not None else _LONGEST if policy.exponential else None
    delay = _doubled(policy.delay, failures, longest or timedelta.max) if policy.exponential else policy.delay
    if longest is not None:
        delay = min(delay, longest)
    return delay * (1 - _chance(key, failures) / 2) if policy.jitter else delay


def _after_loss(task: TaskInstance, policy: RetryPolicy, failure: Failure, *, budget: int) -> Again | Enough:
    may_rerun = policy.retries > 0 if policy.rerun_lost is None else policy.rerun_lost
    if failure.ran and not may_rerun:
        return Enough(note="it had started, so it is not run again; rerun_lost=True says that it may be")
    if task.losses >= budget:
        return Enough(note=f"infrastructure_retries={budget} are spent")
    return Again(delay=_doubled(_LOSS_DELAY, task.losses, _LONGEST_LOSS_DELAY), infrastructure=True)


def _doubled(delay: timedelta, times: int, longest: timedelta) -> timedelta:
    for _ in range(times):
        if delay >= longest / 2:
            return longest
        delay *= 2
    return min(delay, longest)


def _chance(key: TaskKey, failures: int) -> float:
    """A number in [0, 1) that depends on nothing but its arguments."""
    text = "\0".join((key.dag_id, key.run_id, key.task_id, str(key.map_index), str(failures)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / (1 << 48)
