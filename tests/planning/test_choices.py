"""Branches, short circuits and latest-only tasks: what they rule out, whatever the rules below say."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from planning_sim import Leader, container, dag, empty, played

from orchestrator.planning.rows import RequestKind
from orchestrator.spec.dag import (
    BranchChoice,
    CronSchedule,
    DagSpec,
    GroupSpec,
    ShortCircuitChoice,
    TaskKind,
    TaskSpec,
)
from orchestrator.states import ReasonCode, RunState, RunType, TaskState, TriggerRule

SUCCESS, FAILED, SKIPPED = TaskState.SUCCESS, TaskState.FAILED, TaskState.SKIPPED


def branch(*rest: TaskSpec, groups: tuple[GroupSpec, ...] = ()) -> DagSpec:
    """`b` chooses between `old` and `new`; both lead to `join`."""
    pick = container("b", choice=BranchChoice())
    return dag(
        pick, container("old", "b", group="g" if groups else None), container("new", "b"), *rest, groups=groups
    )


def ran(spec: DagSpec, results: dict[str, object], codes: dict[str, int] | None = None) -> dict[str, TaskState]:
    leader = Leader()
    leader.parse(spec)
    key = leader.trigger()
    played(leader, {name: msgspec.json.encode(value) for name, value in results.items()}, codes or {})
    assert leader.run(key).state.final
    return leader.states(key)


@pytest.mark.parametrize(
    ("rule", "join"),
    [
        (TriggerRule.ALL_SUCCESS, SKIPPED),
        (TriggerRule.NONE_FAILED, SUCCESS),
        (TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS, SUCCESS),
        (TriggerRule.ONE_SUCCESS, SUCCESS),
        (TriggerRule.ALL_DONE, SUCCESS),
        (TriggerRule.NONE_SKIPPED, SKIPPED),
    ],
)
def test_a_join_below_a_branch_follows_its_rule(rule: TriggerRule, join: TaskState) -> None:
    states = ran(branch(container("join", "old", "new", trigger_rule=rule)), {"b": "new"})
    assert states == {"b": SUCCESS, "old": SKIPPED, "new": SUCCESS, "join": join}


@pytest.mark.parametrize(
    ("result", "skipped"),
    [
        ("old", {"new"}),
        (["old", "new"], set()),
        ([], {"old", "new"}),
        (None, {"old", "new"}),
        ('["old"]', {"new"}),  # as a line on stdout says it
    ],
)
def test_a_branch_names_one_several_or_none(result: object, skipped: set[str]) -> None:
    states = ran(branch(), {"b": result})
    assert {name for name, state in states.items() if state is SKIPPED} == skipped


def test_a_branch_without_a_result_chooses_none() -> None:
    assert ran(branch(), {}) == {"b": SUCCESS, "old": SKIPPED, "new": SKIPPED}


def test_a_branch_may_choose_a_group() -> None:
    spec = branch(groups=(GroupSpec(group_id="g"),))
    assert ran(spec, {"b": "g"}) == {"b": SUCCESS, "old": SUCCESS, "new": SKIPPED}


def test_a_child_that_is_also_below_the_chosen_one_is_not_skipped() -> None:
    spec = dag(
        container("b", choice=BranchChoice()),
        container("work", "b"),
        container("report", "b", "work"),
        container("other", "b"),
    )
    assert ran(spec, {"b": "work"}) == {"b": SUCCESS, "work": SUCCESS, "report": SUCCESS, "other": SKIPPED}


@pytest.mark.parametrize("result", ["nothing", ["new", "later"], {"new": 1}, 7])
def test_a_choice_that_is_none_fails_the_branch_and_names_what_there_is(result: object) -> None:
    leader = Leader()
    leader.parse(branch(container("later", "new")))
    key = leader.trigger()
    played(leader, {"b": msgspec.json.encode(result)}, {})
    assert leader.states(key) == {
        "b": FAILED,
        **dict.fromkeys(("old", "new", "later"), TaskState.UPSTREAM_FAILED),
    }
    reason = leader.task(key, "b").reason
    assert reason is not None
    assert reason.code is ReasonCode.CHOICE_INVALID
    assert "old, new" in reason.text or "a list of them, or null" in reason.text


def test_what_was_ruled_out_says_by_whom() -> None:
    leader = Leader()
    leader.parse(branch())
    key = leader.trigger()
    played(leader, {"b": b'"new"'}, {})
    reason = leader.task(key, "old").reason
    assert reason is not None
    assert (reason.code, reason.text) == (ReasonCode.BRANCH, "the branch b chose another way")


def circuit(*, every: bool = True) -> DagSpec:
    choice = ShortCircuitChoice(ignore_downstream_trigger_rules=every)
    return dag(
        container("check", choice=choice),
        container("work", "check"),
        container("report", "work", trigger_rule=TriggerRule.ALL_DONE),
        container("apart"),
    )


@pytest.mark.parametrize("result", [False, 0, "", None, [], {}, "false", "0", "null"])
def test_a_short_circuit_with_nothing_to_go_on_skips_all_that_follows(result: object) -> None:
    states = ran(circuit(), {"check": result})
    assert states == {"check": SUCCESS, "work": SKIPPED, "report": SKIPPED, "apart": SUCCESS}


def test_a_short_circuit_may_leave_the_rules_further_down_alone() -> None:
    states = ran(circuit(every=False), {"check": False})
    assert states == {"check": SUCCESS, "work": SKIPPED, "report": SUCCESS, "apart": SUCCESS}


@pytest.mark.parametrize("result", [True, 1, "yes", "true", ["x"]])
def test_a_short_circuit_that_goes_on_skips_nothing(result: object) -> None:
    assert set(ran(circuit(), {"check": result}).values()) == {SUCCESS}


def test_a_short_circuit_that_skips_itself_skips_what_follows() -> None:
    choice = ShortCircuitChoice()
    spec = dag(
        container("check", choice=choice, skip_on_exit_code=(99,)),
        container("work", "check", trigger_rule=TriggerRule.ALL_DONE),
    )
    assert ran(spec, {}, {"check": 99}) == {"check": SKIPPED, "work": SKIPPED}


def test_a_choice_outlives_a_restart() -> None:
    leader = Leader()
    leader.parse(
        dag(
            container("check", choice=ShortCircuitChoice()),
            container("slow"),
            container("late", "check", "slow", trigger_rule=TriggerRule.ALL_DONE),
            container("after", "late", trigger_rule=TriggerRule.ALWAYS),
        )
    )
    key = leader.trigger()
    launches = {launch.attempt.key.task.task_id: launch for launch in leader.prepare_all()}
    leader.exit(launches["check"], result=b"false")
    leader.restart()
    assert leader.task(key, "late").state is SKIPPED
    assert leader.task(key, "after").state is SKIPPED
    leader.exit(launches["slow"])
    assert leader.run(key).state is RunState.SUCCESS


@pytest.mark.parametrize("rule", list(TriggerRule))
@pytest.mark.parametrize("other", [0, 1])
@pytest.mark.parametrize(
    ("choice", "result"),
    [
        (BranchChoice(), b'"left"'),
        (BranchChoice(), b'"n"'),
        (ShortCircuitChoice(), b"0"),
        (ShortCircuitChoice(), b"1"),
    ],
)
def test_who_ends_first_decides_nothing_below_a_choice(
    rule: TriggerRule, other: int, choice: BranchChoice | ShortCircuitChoice, result: bytes
) -> None:
    spec = dag(
        container("b", choice=choice),
        container("left", "b"),
        container("o"),
        container("n", "b", "o", trigger_rule=rule),
        container("m", "left", "o", trigger_rule=rule),
    )
    ends = []
    for first, second in (("b", "o"), ("o", "b")):
        leader = Leader()
        leader.parse(spec)
        key = leader.trigger()
        launches = {launch.attempt.key.task.task_id: launch for launch in leader.prepare_all()}
        for name in (first, second):
            leader.exit(launches[name], 0 if name == "b" else other, result=result if name == "b" else None)
            launches |= {launch.attempt.key.task.task_id: launch for launch in leader.prepare_all()}
        for name in set(launches) - {"b", "o"}:
            leader.exit(launches[name])
        played(leader, {}, {})
        assert leader.run(key).state.final
        ends.append(leader.states(key))
    assert ends[0] == ends[1]


def test_a_task_that_would_run_at_once_waits_for_who_may_rule_it_out() -> None:
    leader = Leader()
    leader.parse(
        dag(
            container("check", choice=ShortCircuitChoice()),
            container("late", "check", trigger_rule=TriggerRule.ALWAYS),
        )
    )
    key = leader.trigger()
    (check,) = leader.prepare_all()
    assert leader.task(key, "late").state is TaskState.WAITING
    leader.exit(check, result=b"true")
    played(leader, {}, {})
    assert leader.task(key, "late").state is SUCCESS


class TestLatestOnly:
    spec = dag(
        TaskSpec(task_id="latest", kind=TaskKind.LATEST_ONLY),
        empty("deploy", "latest"),
        empty("told", "deploy", trigger_rule=TriggerRule.ALL_DONE),
        empty("train"),
        schedule=CronSchedule(expressions=("0 0 * * *",)),
        start_date=datetime(2026, 11, 17, tzinfo=UTC),
        catchup=True,
    )

    def test_of_a_catch_up_only_the_newest_interval_passes(self) -> None:
        leader = Leader()
        leader.parse(self.spec)
        runs = sorted(leader.rows["runs"])
        deploys = [leader.task(key, "deploy").state for key in runs]
        assert deploys == [SKIPPED, SKIPPED, SUCCESS]
        assert [leader.task(key, "train").state for key in runs] == [SUCCESS] * 3
        assert [leader.task(key, "told").state for key in runs] == [SUCCESS] * 3
        reason = leader.task(runs[0], "deploy").reason
        assert reason is not None
        assert reason.code is ReasonCode.NOT_LATEST

    def test_a_run_by_hand_always_passes(self) -> None:
        leader = Leader()
        leader.parse(self.spec)
        leader.ask(RequestKind.PAUSE, dag_id="d")
        old = (leader.now - timedelta(days=100)).isoformat()
        key = leader.trigger(logical_date=old)
        assert leader.run(key).run_type is RunType.MANUAL
        assert leader.task(key, "deploy").state is SUCCESS
