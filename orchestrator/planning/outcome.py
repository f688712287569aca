"""What the exit of a try's container means: pure, from the engine's facts and the task's rules."""

import signal

import msgspec

from orchestrator.planning.events import Exited
from orchestrator.planning.rows import Reason, Try, TryOutcome
from orchestrator.spec.container import ContainerSpec, ExitFacts
from orchestrator.spec.dag import TaskSpec
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode

_SIGNALLED = 128
_SIGNALS = {number.value: number.name for number in signal.Signals}
_MIB = 1024 * 1024
#: What shells mean by these exit codes.
_SHELLS = {
    126: ", a shell's code for a command that cannot be executed",
    127: ", a shell's code for a command that it does not find",
}
#: Stops of ours that are the task's own fault: what it wrote last says where it stood.
_OVERDUE = frozenset({ReasonCode.TIMEOUT, ReasonCode.IDLE_TIMEOUT})


class Ending(Value, frozen=True, kw_only=True):
    """How a try ended and, but for a success, why. `own_exit`: by its own process and nobody else's doing."""

    outcome: TryOutcome
    reason: Reason | None = None
    own_exit: bool = True


def ending_of(event: Exited, attempt: Try, task: TaskSpec) -> Ending:
    """An exit after we asked for the end is that end's; one that others brought about is a loss, whatever its
    code; only then the code counts."""
    if event.promoted:
        return Ending(outcome=TryOutcome.SUCCESS)
    if attempt.stop_reason is not None and not _was_over(event.exit, attempt):
        reason = attempt.stop_reason
        told = _with_last_line(reason, event.last_line) if reason.code in _OVERDUE else reason
        return Ending(outcome=TryOutcome.FAILED, reason=told, own_exit=False)
    if event.stopped_externally:
        text = "something other than the orchestrator stopped its container"
        reason = Reason(code=ReasonCode.STOPPED_EXTERNALLY, text=text)
        return Ending(outcome=TryOutcome.LOST, reason=reason, own_exit=False)
    code = event.exit.exit_code
    if task.sensor is not None and code in task.sensor.not_ready_exit_codes:
        reason = Reason(code=ReasonCode.NOT_READY, text=f"it exited with {code}, which means not yet")
        return Ending(outcome=TryOutcome.NOT_READY, reason=reason)
    if code in task.skip_on_exit_code:
        reason = Reason(code=ReasonCode.SKIP_EXIT_CODE, text=f"it exited with {code}, which means skip")
        return Ending(outcome=TryOutcome.SKIPPED, reason=reason)
    if code == 0:
        outcome = TryOutcome.FAILED if event.result_problem else TryOutcome.SUCCESS
        return Ending(outcome=outcome, reason=event.result_problem)
    reason = _failure(event.exit, attempt.spec)
    return Ending(outcome=TryOutcome.FAILED, reason=_with_last_line(reason, event.last_line))


def remarks_on(attempt: Try) -> tuple[str, ...]:
    """What a reader should know of a try beside its outcome and reason: what was noted of it, a success in which
    memory ran out all the same, a log that was not read to its end."""
    found = [attempt.note] if attempt.note else []
    facts = attempt.exit
    if facts is not None and facts.exit_code == 0 and facts.oom_killed:
        text = "a process of it was ended because memory ran out, and it exited with 0 all the same"
        found.append(f"oom_killed: {text}; {_memory(facts, attempt.spec)}")
    if attempt.removed_at is not None and not attempt.log_complete:
        found.append("log_truncated: its container went before its log was read to the end")
    return tuple(found)


def _was_over(facts: ExitFacts, attempt: Try) -> bool:
    """It had ended by itself before we asked for it."""
    asked = attempt.stop_requested_at
    return asked is not None and facts.finished_at is not None and facts.finished_at < asked


def _failure(facts: ExitFacts, spec: ContainerSpec) -> Reason:
    code = facts.exit_code
    words = f" ({facts.error})" if facts.error else ""
    if facts.oom_killed:
        return Reason(code=ReasonCode.OOM_KILLED, text=f"it ran out of memory; {_memory(facts, spec)}{words}")
    name = _SIGNALS.get(code - _SIGNALLED)
    if name is None:
        text = f"it exited with {code}{_SHELLS.get(code, '')}{words}"
        return Reason(code=ReasonCode.EXIT_CODE, text=text)
    memory = f"; possibly memory, the engine was not watching: {_memory(facts, spec)}" if name == "SIGKILL" else ""
    return Reason(code=ReasonCode.SIGNAL, text=f"it was ended by {name} (exit code {code}){memory}{words}")


def _memory(facts: ExitFacts, spec: ContainerSpec) -> str:
    """The limit, and the most that it was seen to hold: between two samples it may have held more."""
    limit = f"its mem_limit is {spec.memory / _MIB:g} MiB" if spec.memory else "it has no mem_limit"
    if facts.highest_memory is None:
        return f"{limit}, and it ended before a sample of its memory was taken" if spec.memory else limit
    return f"{limit}, the highest sample of its memory {facts.highest_memory / _MIB:.1f} MiB"


def _with_last_line(reason: Reason, line: str) -> Reason:
    return msgspec.structs.replace(reason, text=f"{reason.text}; last line: {line}") if line else reason
