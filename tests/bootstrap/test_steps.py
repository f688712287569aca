"""Steps are looked at in order, repaired where that is allowed, and looked at again."""

import pytest

from orchestrator.bootstrap.steps import Check, Finding, Say, Status, Step, fail, ok, run_steps, warn
from orchestrator.errors import RepairError


class Thing:
    """Something that may be broken, and counts what is done to it."""

    def __init__(self, broken: Finding, *, mendable: bool = True) -> None:
        self.looks = self.repairs = 0
        self._broken = broken
        self._mendable = mendable

    def look(self) -> Finding:
        self.looks += 1
        return ok("well") if self.repairs and self._mendable else self._broken

    def repair(self, say: Say) -> None:
        self.repairs += 1
        say("mending")

    def step(self, name: str = "thing", needs: tuple[str, ...] = ()) -> Step:
        return Step(name=name, look=self.look, repair=self.repair, needs=needs)


def always(_: Check) -> bool:
    return True


@pytest.mark.parametrize("make", [warn, fail])
def test_what_is_not_well_is_repaired_and_looked_at_again(make: object) -> None:
    thing = Thing(make("broken", "mend it", repairable=True))  # type: ignore[operator]  # either of the two makers
    said: list[str] = []
    assert list(run_steps([thing.step()], said.append, always)) == [
        Check(name="thing", status=Status.OK, text="well")
    ]
    assert (thing.looks, thing.repairs, said) == (2, 1, ["mending"])


def test_nothing_is_repaired_that_is_well_or_may_not_be_or_cannot_be() -> None:
    well, unasked, hopeless = Thing(ok("fine")), Thing(fail("a", "b", repairable=True)), Thing(fail("a", "b"))
    asked: list[str] = []

    def allowed(check: Check) -> bool:
        asked.append(check.name)
        return False

    steps = [well.step("well"), unasked.step("unasked"), hopeless.step("hopeless")]
    statuses = [check.status for check in run_steps(steps, lambda _: None, allowed)]
    assert statuses == [Status.OK, Status.FAIL, Status.FAIL]
    assert (well.repairs, unasked.repairs, hopeless.repairs) == (0, 0, 0)
    assert asked == ["unasked"]


def test_a_repair_that_did_not_help_leaves_the_line_as_it_is() -> None:
    thing = Thing(fail("broken", "mend it", repairable=True), mendable=False)
    (check,) = run_steps([thing.step()], lambda _: None, always)
    assert (check.status, check.text, check.fix, thing.repairs) == (Status.FAIL, "broken", "mend it", 1)


def test_errors_of_a_look_and_of_a_repair_become_the_line() -> None:
    def broken(*_: object) -> Finding:
        raise RepairError("no luck", fix="do it by hand")

    for step in (
        Step(name="x", look=broken),
        Step(name="x", look=lambda: fail("a", "", repairable=True), repair=broken),  # type: ignore[arg-type]  # it raises
    ):
        (check,) = run_steps([step], lambda _: None, always)
        assert (check.status, check.text, check.fix) == (Status.FAIL, "no luck", "do it by hand")


def test_a_step_is_not_looked_at_while_what_it_needs_has_failed() -> None:
    first, second, third = Thing(fail("a", "b")), Thing(ok("fine")), Thing(ok("fine"))
    steps = [first.step("first"), second.step("second", needs=("first",)), third.step("third", needs=("second",))]
    checks = list(run_steps(steps, lambda _: None))
    assert [check.text for check in checks[1:]] == [
        "not looked at: it needs first",
        "not looked at: it needs second",
    ]
    assert [check.status for check in checks] == [Status.FAIL, Status.SKIP, Status.SKIP]
    assert (second.looks, third.looks) == (0, 0)


def test_a_warning_stands_in_nobodys_way() -> None:
    first, second = Thing(warn("a", "b")), Thing(ok("fine"))
    checks = list(run_steps([first.step("first"), second.step("second", needs=("first",))], lambda _: None))
    assert [check.status for check in checks] == [Status.WARN, Status.OK]
