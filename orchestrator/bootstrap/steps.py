"""A step looks at one thing a machine needs, says in one line how it is, and may know how to repair it. Asking
before a repair, and showing the lines, is the caller's.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.errors import OrchestratorError
from orchestrator.spec.value import Value

#: Hears what a repair does, line by line.
Say = Callable[[str], None]


class Status(StrEnum):
    """A warning is worth reading and stops nothing; what was skipped could not be looked at."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class Finding(Value, frozen=True, kw_only=True):
    """How one thing is: a sentence, and what to do about it ("" where nothing needs to be done).
    `repairable` says that the step's repair can be tried here and now."""

    status: Status
    text: str
    fix: str = ""
    repairable: bool = False


class Check(Value, frozen=True, kw_only=True):
    """One line of `doctor`."""

    name: str
    status: Status
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to look at. `repair` makes it so, or raises `RepairError`; `needs` are names of steps that must
    not have failed, or been skipped, for this one to be looked at."""

    name: str
    look: Callable[[], Finding]
    repair: Callable[[Say], None] | None = None
    needs: tuple[str, ...] = ()


def ok(text: str) -> Finding:
    return Finding(status=Status.OK, text=text)


def warn(text: str, fix: str, *, repairable: bool = False) -> Finding:
    return Finding(status=Status.WARN, text=text, fix=fix, repairable=repairable)


def fail(text: str, fix: str, *, repairable: bool = False) -> Finding:
    return Finding(status=Status.FAIL, text=text, fix=fix, repairable=repairable)


def _skipped(needed: str) -> Finding:
    return Finding(status=Status.SKIP, text=f"not looked at: it needs {needed}")


def run_steps(
    steps: Iterable[Step], say: Say, allowed: Callable[[Check], bool] = lambda _: False
) -> Iterator[Check]:
    """Look at each thing in order; one that is not well and can be repaired is repaired if `allowed` says so
    of its line, and looked at again. Yields the last line of each step."""
    out: set[str] = set()
    for step in steps:
        missing = [name for name in step.needs if name in out]
        finding = _skipped(missing[0]) if missing else _look(step)
        check = _line(step, finding)
        if finding.repairable and step.repair and allowed(check):
            check = _line(step, _repaired(step, step.repair, say))
        if check.status in (Status.FAIL, Status.SKIP):
            out.add(step.name)
        yield check


def _look(step: Step) -> Finding:
    try:
        return step.look()
    except OrchestratorError as error:
        return fail(error.message, error.fix)


def _repaired(step: Step, repair: Callable[[Say], None], say: Say) -> Finding:
    try:
        repair(say)
    except OrchestratorError as error:
        return fail(error.message, error.fix)
    return _look(step)


def _line(step: Step, finding: Finding) -> Check:
    return Check(name=step.name, status=finding.status, text=finding.text, fix=finding.fix)
