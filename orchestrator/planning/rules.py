"""Trigger rules: what becomes of a waiting task, judged on the states of its direct parents only (spec
scheduling 2). A verdict falls at the first moment when no further outcome can change it, so it never depends on
the order in which parents end.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum

from orchestrator.planning.rows import Reason
from orchestrator.spec.value import Value
from orchestrator.states import TaskState, TriggerRule


class ParentCounts(Value, frozen=True, kw_only=True):
    """How many parents a waiting task has, and how many of them ended how. `removed` ones do not count."""

    total: int = 0
    success: int = 0
    failed: int = 0
    upstream_failed: int = 0
    skipped: int = 0

    @property
    def bad(self) -> int:
        return self.failed + self.upstream_failed

    @property
    def finished(self) -> int:
        return self.success + self.bad + self.skipped

    @property
    def all_finished(self) -> bool:
        return self.finished == self.total

    def having(self, state: TaskState) -> "ParentCounts":
        """These counts after one of the unfinished parents came to `state`."""
        return self.moved(TaskState.WAITING, state)

    def changed_by(self, newest: TaskState) -> bool:
        """Whether the newest end among these parents, which came to that state, can change what a rule says: rules
        ask which states there are, and whether all have ended."""
        return self.all_finished or not newest.final or getattr(self, newest.value, 1) == 1

    def plus(self, others: "ParentCounts") -> "ParentCounts":
        """The counts of these parents and others together."""
        fields = {name: getattr(self, name) + getattr(others, name) for name in self.__struct_fields__}
        return ParentCounts(**fields)

    def moved(self, before: TaskState | None, after: TaskState | None) -> "ParentCounts":
        """These counts after one parent moved from one state to another; None: it is not there."""
        fields = {name: getattr(self, name) - (name in _counted(before)) for name in self.__struct_fields__}
        return ParentCounts(**{name: number + (name in _counted(after)) for name, number in fields.items()})


def _counted(state: TaskState | None) -> tuple[str, ...]:
    """The counts that a parent in this state is part of."""
    if state is None or state is TaskState.REMOVED:
        return ()
    return ("total", state.value) if state.final else ("total",)


class Verdict(StrEnum):
    """What a rule says: the third and the fourth are what a task becomes whose rule can no longer hold. `failed` is
    said by no rule, but of a mapped task that cannot be expanded."""

    WAITING = "waiting"
    READY = "ready"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"
    FAILED = "failed"


class Judgement(Value, frozen=True, kw_only=True):
    """A verdict and, of what will not run, why."""

    verdict: Verdict
    reason: Reason | None = None


WAITING = Judgement(verdict=Verdict.WAITING)
READY = Judgement(verdict=Verdict.READY)


def judge(rule: TriggerRule, parents: ParentCounts) -> Verdict:
    """What becomes of a waiting task with this rule and these parents. Without parents it is ready."""
    return _RULES[rule](parents) if parents.total else Verdict.READY


def _all_success(parents: ParentCounts) -> Verdict:
    if parents.bad:
        return Verdict.UPSTREAM_FAILED
    if not parents.all_finished:
        return Verdict.WAITING
    return Verdict.SKIPPED if parents.skipped else Verdict.READY


def _all_failed(parents: ParentCounts) -> Verdict:
    if parents.success or parents.skipped:
        return Verdict.SKIPPED
    return Verdict.READY if parents.all_finished else Verdict.WAITING


def _all_done(parents: ParentCounts) -> Verdict:
    return Verdict.READY if parents.all_finished else Verdict.WAITING


def _all_skipped(parents: ParentCounts) -> Verdict:
    if parents.success or parents.bad:
        return Verdict.SKIPPED
    return Verdict.READY if parents.all_finished else Verdict.WAITING


def _one_success(parents: ParentCounts) -> Verdict:
    return Verdict.READY if parents.success else _min_one_success(parents)


def _one_failed(parents: ParentCounts) -> Verdict:
    if parents.bad:
        return Verdict.READY
    return Verdict.SKIPPED if parents.all_finished else Verdict.WAITING


def _one_done(parents: ParentCounts) -> Verdict:
    if parents.success or parents.failed:
        return Verdict.READY
    return Verdict.SKIPPED if parents.all_finished else Verdict.WAITING


def _none_failed(parents: ParentCounts) -> Verdict:
    return Verdict.UPSTREAM_FAILED if parents.bad else _all_done(parents)


def _none_failed_min_one_success(parents: ParentCounts) -> Verdict:
    return Verdict.UPSTREAM_FAILED if parents.bad else _min_one_success(parents)


def _none_skipped(parents: ParentCounts) -> Verdict:
    return Verdict.SKIPPED if parents.skipped else _all_done(parents)


def _min_one_success(parents: ParentCounts) -> Verdict:
    if not parents.all_finished:
        return Verdict.WAITING
    if parents.success:
        return Verdict.READY
    return Verdict.SKIPPED if parents.skipped == parents.total else Verdict.UPSTREAM_FAILED


def _always(_parents: ParentCounts) -> Verdict:
    return Verdict.READY


_RULES: Mapping[TriggerRule, Callable[[ParentCounts], Verdict]] = {
    TriggerRule.ALL_SUCCESS: _all_success,
    TriggerRule.ALL_FAILED: _all_failed,
    TriggerRule.ALL_DONE: _all_done,
    TriggerRule.ALL_SKIPPED: _all_skipped,
    TriggerRule.ONE_SUCCESS: _one_success,
    TriggerRule.ONE_FAILED: _one_failed,
    TriggerRule.ONE_DONE: _one_done,
    TriggerRule.NONE_FAILED: _none_failed,
    TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS: _none_failed_min_one_success,
    TriggerRule.NONE_SKIPPED: _none_skipped,
    TriggerRule.ALL_DONE_MIN_ONE_SUCCESS: _min_one_success,
    TriggerRule.ALWAYS: _always,
}
