"""Tasks that the scheduler does itself: they take no slot, and go on when what they wait for has come."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from planning_past import ask, look_back
from planning_sim import NOW, SETTINGS, Leader, container, control, dag, empty, played, prepared

from orchestrator.ids import UNMAPPED, RunKey, TaskKey
from orchestrator.planning.awaits import ApprovalWait, ExternalWait, RunWait
from orchestrator.planning.changes import LookBack, PinImages, Prepare
from orchestrator.planning.events import ImagesPinned
from orchestrator.planning.explain import Question, explain
from orchestrator.planning.rows import RequestKind, TaskInstance
from orchestrator.spec.control import Approval, External, Trigger
from orchestrator.spec.dag import CronSchedule, DagSpec, GroupSpec, RetryPolicy, ScheduleMode, TaskSpec
from orchestrator.spec.params import ParamSpec
from orchestrator.states import ReasonCode, RunState, TaskState

HOUR = timedelta(hours=1)
MIDNIGHT = NOW - 12 * HOUR
QUEUED, RESTING = TaskState.QUEUED, TaskState.UP_FOR_RESCHEDULE
DAILY = CronSchedule(expressions=("0 0 * * *",), mode=ScheduleMode.INTERVAL)


def other(*tasks: TaskSpec, **arguments: Any) -> DagSpec:
    return dag(*(tasks or (container("load"),)), dag_id="other", file="other.py", **arguments)


def staged(*tasks: TaskSpec, others: DagSpec | None = None, **arguments: Any) -> tuple[Leader, RunKey]:
    leader = Leader()
    leader.parse(others or other(), file="other.py")
    leader.parse(dag(*tasks, **arguments))
    key = leader.trigger()
    go_on(leader)
    return leader, key


def go_on(leader: Leader) -> None:
    """Let what needs no container go as far as it goes."""
    while True:
        leader.turn(*(ImagesPinned(run=pin.run, pins={"tools": "tools:1"}) for pin in leader.take(PinImages)))
        asked = leader.take(Prepare)
        controls = [each for each in asked if each.spec.control is not None]
        leader.effects += [each for each in asked if each.spec.control is None]
        if not controls and not any(isinstance(each, LookBack) for each in leader.effects):
            return
        leader.turn(*map(prepared, controls))
        look_back(leader)


def runs_of(leader: Leader, dag_id: str) -> list[RunKey]:
    return [key for key in leader.rows["runs"] if key.dag_id == dag_id]


def task(leader: Leader, run: RunKey, task_id: str = "t") -> TaskInstance:
    return leader.task(run, task_id)


def why(leader: Leader, run: RunKey, task_id: str = "t") -> str:
    told = explain(leader.world, Question(dag_id=run.dag_id, run_id=run.run_id, task_id=task_id), leader.present)
    assert told.reason is not None
    return f"{told.reason.code}: {told.reason.text}"


class TestTriggering:
    def test_it_makes_a_run_and_both_know_of_each_other(self) -> None:
        leader, key = staged(control("t", Trigger(dag_id="other", conf={"n": 1})), empty("after", "t"))
        (made,) = runs_of(leader, "other")
        assert leader.states(key) == {"t": TaskState.SUCCESS, "after": TaskState.SUCCESS}
        assert leader.run(key).state is RunState.SUCCESS
        run = leader.run(made)
        assert (run.conf, run.actor) == ({"n": 1}, "d.t")
        assert run.triggered_by == TaskKey("d", key.run_id, "t")
        assert task(leader, key).awaits == RunWait(
            run=made, allowed_states=(RunState.SUCCESS,), failed_states=(RunState.FAILED,)
        )
        assert leader.rows["results"][run.triggered_by] == f'{{"dag_id":"other","run_id":"{made.run_id}"}}'.encode()

    def test_the_run_and_the_end_of_the_task_are_one_turn(self) -> None:
        leader = Leader()
        leader.parse(other(), file="other.py")
        leader.parse(dag(control("t", Trigger(dag_id="other"))))
        key = leader.trigger()
        before = len(runs_of(leader, "other"))
        leader.prepare_all()
        assert (before, len(runs_of(leader, "other"))) == (0, 1)
        assert task(leader, key).state is TaskState.SUCCESS

    def test_it_takes_no_slot(self) -> None:
        tasks = [control(f"t{number}", Approval()) for number in range(40)]
        leader, key = staged(*tasks, container("work"), max_active_tasks=1)
        assert leader.task(key, "work").state is TaskState.QUEUED
        played(leader, {}, {})
        assert leader.task(key, "work").state is TaskState.SUCCESS

    def test_with_wait_it_ends_with_the_run(self) -> None:
        leader, key = staged(control("t", Trigger(dag_id="other", wait=True)), empty("after", "t"))
        assert task(leader, key).state is TaskState.UP_FOR_RESCHEDULE
        assert why(leader, key).startswith("triggered_run: it waits for the run manual__")
        leader.restart()
        go_on(leader)
        played(leader, {}, {})
        go_on(leader)
        assert leader.states(key) == {"t": TaskState.SUCCESS, "after": TaskState.SUCCESS}

    def test_a_run_that_failed_spends_a_retry_and_the_next_try_makes_another(self) -> None:
        trigger = Trigger(dag_id="other", wait=True)
        leader, key = staged(control("t", trigger, retry=RetryPolicy(retries=1, delay=HOUR)))
        played(leader, {}, {"load": 1})
        go_on(leader)
        assert task(leader, key).state is TaskState.UP_FOR_RETRY
        leader.wait(3600)
        go_on(leader)
        assert len(runs_of(leader, "other")) == 2
        played(leader, {}, {"load": 1})
        go_on(leader)
        found = task(leader, key)
        assert (found.state, found.tries) == (TaskState.FAILED, 2)
        assert found.reason is not None
        assert found.reason.code is ReasonCode.TRIGGERED_RUN
        assert found.reason.text.endswith("which it made, ended as failed: load: it exited with 1")

    @pytest.mark.parametrize(
        ("trigger", "code", "words"),
        [
            (Trigger(dag_id="nowhere"), ReasonCode.DAG_MISSING, "there is no DAG 'nowhere' to trigger"),
            (Trigger(dag_id="other", conf=[1]), ReasonCode.RUN_REFUSED, "conf must be an object, and comes to [1]"),
            (Trigger(dag_id="other", conf={"n": "x"}), ReasonCode.RUN_REFUSED, "conf does not fit the params"),
            (Trigger(dag_id="other", logical_date="soon"), ReasonCode.RUN_REFUSED, "'soon' is no date"),
            (Trigger(dag_id="other", run_id="a b"), ReasonCode.RUN_REFUSED, "cannot be a run_id"),
            (Trigger(dag_id="other", run_id="scheduled__1"), ReasonCode.RUN_REFUSED, "given by the scheduler"),
        ],
    )
    def test_what_cannot_be_triggered_fails_it(self, trigger: Trigger, code: ReasonCode, words: str) -> None:
        params = {"n": ParamSpec(default=1, schema={"type": "integer"})}
        leader, key = staged(control("t", trigger), others=other(params=params))
        found = task(leader, key)
        assert found.state is TaskState.FAILED
        assert found.reason is not None
        assert found.reason.code is code
        assert words in found.reason.text
        assert runs_of(leader, "other") == []

    def test_a_date_names_an_interval_of_the_other_dag(self) -> None:
        leader, _ = staged(
            control("t", Trigger(dag_id="other", logical_date="2026-11-03T05:00:00+00:00")),
            others=other(schedule=DAILY, paused_on_creation=True),
        )
        (made,) = runs_of(leader, "other")
        assert leader.run(made).interval.start.isoformat() == "2026-11-03T00:00:00+00:00"

    def test_a_paused_dag_is_triggered_all_the_same(self) -> None:
        leader, key = staged(
            control("t", Trigger(dag_id="other", wait=True)), others=other(empty("e"), paused_on_creation=True)
        )
        assert task(leader, key).state is TaskState.SUCCESS


class TestARunThatIsThere:
    @pytest.mark.parametrize("ended", [True, False])
    @pytest.mark.parametrize(
        ("arguments", "state"),
        [
            ({}, TaskState.FAILED),
            ({"skip_when_exists": True}, TaskState.SKIPPED),
            ({"reset": True}, TaskState.SUCCESS),
        ],
    )
    def test_by_its_id(self, *, ended: bool, arguments: dict[str, bool], state: TaskState) -> None:
        leader, first = staged(control("t", Trigger(dag_id="other", run_id="mine", conf={"n": 1})))
        assert task(leader, first).state is TaskState.SUCCESS
        if ended:
            played(leader, {}, {})
            assert leader.run(RunKey("other", "mine")).state is RunState.SUCCESS
        leader.parse(dag(control("t", Trigger(dag_id="other", run_id="mine", conf={"n": 2}, **arguments))))
        second = leader.trigger()
        go_on(leader)
        assert task(leader, second).state is state
        assert runs_of(leader, "other") == [RunKey("other", "mine")]
        reset = state is TaskState.SUCCESS
        run = leader.run(RunKey("other", "mine"))
        assert run.conf == {"n": 2 if reset else 1}
        assert run.triggered_by == TaskKey("d", (second if reset else first).run_id, "t")
        played(leader, {}, {})
        assert leader.task(run.key, "load").tries == 1 + (reset and ended)

    def test_by_its_logical_date_where_that_matters(self) -> None:
        trigger = Trigger(dag_id="other", logical_date="2026-11-03T00:00:00+00:00", skip_when_exists=True)
        leader, first = staged(control("t", trigger))
        second = leader.trigger()
        go_on(leader)
        assert (task(leader, first).state, task(leader, second).state) == (TaskState.SUCCESS, TaskState.SKIPPED)

    def test_a_restart_while_it_is_looked_for_forgets_nothing(self) -> None:
        leader = Leader()
        leader.parse(other(), file="other.py")
        leader.parse(dag(control("t", Trigger(dag_id="other", run_id="mine"))))
        key = leader.trigger()
        leader.prepare_all()
        assert task(leader, key).state is TaskState.UP_FOR_RESCHEDULE
        leader.restart()
        go_on(leader)
        assert task(leader, key).state is TaskState.SUCCESS
        assert runs_of(leader, "other") == [RunKey("other", "mine")]


class TestWaitingForAnother:
    def wait(self, **arguments: Any) -> TaskSpec:
        return control("t", External(dag_id="other", **arguments))

    def both(self, *tasks: TaskSpec, others: DagSpec | None = None) -> tuple[Leader, RunKey, RunKey]:
        """A run of each DAG for the same day."""
        leader = Leader()
        leader.parse(others or other(), file="other.py")
        leader.parse(dag(*tasks))
        theirs = leader.trigger("other", logical_date=MIDNIGHT.isoformat())
        mine = leader.trigger(logical_date=MIDNIGHT.isoformat())
        go_on(leader)
        return leader, mine, theirs

    @pytest.mark.parametrize("task_ids", [(), ("load",)])
    def test_it_goes_on_in_the_turn_after_what_it_waits_for(self, task_ids: tuple[str, ...]) -> None:
        leader, mine, _ = self.both(self.wait(task_ids=task_ids), empty("after", "t"))
        assert task(leader, mine).state is TaskState.UP_FOR_RESCHEDULE
        (launch,) = leader.prepare_all()
        leader.exit(launch)
        assert len(leader.take(LookBack)) == 1, "and nothing is asked in between"
        leader.restart()
        look_back(leader)
        assert leader.states(mine) == {"t": TaskState.SUCCESS, "after": TaskState.SUCCESS}

    def test_what_is_there_already_is_found(self) -> None:
        leader = Leader()
        leader.parse(other(empty("load")), file="other.py")
        leader.parse(dag(self.wait()))
        leader.trigger("other", logical_date=MIDNIGHT.isoformat())
        mine = leader.trigger(logical_date=MIDNIGHT.isoformat())
        go_on(leader)
        assert leader.run(mine).state is RunState.SUCCESS

    def test_all_of_its_tasks_must_have_come_to_it(self) -> None:
        leader, mine, _ = self.both(
            self.wait(task_ids=("a", "b")), others=other(container("a"), container("b"), container("c"))
        )
        launches = {launch.attempt.key.task.task_id: launch for launch in leader.prepare_all()}
        for name, state in (("c", RESTING), ("b", RESTING), ("a", TaskState.SUCCESS)):
            leader.exit(launches[name])
            look_back(leader)
            assert task(leader, mine).state is state

    def test_a_group_stands_for_the_tasks_in_it(self) -> None:
        tasks = (container("a", group="g"), container("b", group="inner"), container("c"))
        groups = (GroupSpec(group_id="g"), GroupSpec(group_id="inner", parent="g"))
        leader, mine, _ = self.both(self.wait(group="g"), others=other(*tasks, groups=groups))
        launches = {launch.attempt.key.task.task_id: launch for launch in leader.prepare_all()}
        for name, state in (("a", RESTING), ("b", TaskState.SUCCESS)):
            leader.exit(launches[name])
            look_back(leader)
            assert task(leader, mine).state is state

    @pytest.mark.parametrize(
        ("arguments", "state"),
        [
            ({}, TaskState.UP_FOR_RESCHEDULE),
            ({"failed_states": ("failed",)}, TaskState.FAILED),
            ({"failed_states": ("failed",), "soft_fail": True}, TaskState.SKIPPED),
            ({"skipped_states": ("failed",)}, TaskState.SKIPPED),
            ({"allowed_states": ("success", "failed")}, TaskState.SUCCESS),
        ],
    )
    def test_how_the_other_failed_counts_as_it_is_told(self, arguments: dict[str, Any], state: TaskState) -> None:
        leader, mine, _ = self.both(self.wait(**arguments))
        (launch,) = leader.prepare_all()
        leader.exit(launch, 1)
        look_back(leader)
        assert task(leader, mine).state is state

    def test_a_failed_run_that_is_cleared_and_succeeds_lets_it_pass(self) -> None:
        leader, mine, theirs = self.both(self.wait())
        played(leader, {}, {"load": 1})
        look_back(leader)
        selection = {"dag_id": "other", "run_ids": [theirs.run_id]}
        assert ask(leader, RequestKind.CLEAR, selection=selection).ok
        played(leader, {}, {})
        look_back(leader)
        assert task(leader, mine).state is TaskState.SUCCESS

    def test_a_second_run_of_the_date_may_bring_it(self) -> None:
        leader, mine, _ = self.both(self.wait(failed_states=()))
        played(leader, {}, {"load": 1})
        leader.trigger("other", logical_date=MIDNIGHT.isoformat())
        played(leader, {}, {})
        look_back(leader)
        assert task(leader, mine).state is TaskState.SUCCESS

    def test_its_date_may_be_another(self) -> None:
        for arguments in ({"delta": 24 * HOUR}, {"date": (MIDNIGHT - 24 * HOUR).isoformat()}):
            leader = Leader()
            leader.parse(other(empty("e")), file="other.py")
            leader.parse(dag(self.wait(**arguments)))
            mine = leader.trigger(logical_date=MIDNIGHT.isoformat())
            go_on(leader)
            assert task(leader, mine).state is TaskState.UP_FOR_RESCHEDULE
            leader.trigger("other", logical_date=(MIDNIGHT - 24 * HOUR).isoformat())
            look_back(leader)
            assert task(leader, mine).state is TaskState.SUCCESS

    def test_schedules_that_never_meet_are_told_at_once(self) -> None:
        leader = Leader()
        leader.parse(other(schedule=DAILY, paused_on_creation=True), file="other.py")
        leader.parse(dag(self.wait()))
        mine = leader.trigger(logical_date=(MIDNIGHT + HOUR).isoformat())
        go_on(leader)
        found = task(leader, mine)
        assert (found.state, found.reason.code) == (TaskState.FAILED, ReasonCode.NEVER_MEETS)
        assert found.reason.text == (
            "no run of other can ever have the logical date 2026-11-20T01:00:00+00:00: its schedule has none there"
        )

    def test_a_changed_schedule_is_judged_anew(self) -> None:
        leader = Leader()
        leader.parse(other(schedule=DAILY, paused_on_creation=True), file="other.py")
        leader.parse(dag(self.wait()))
        mine = leader.trigger(logical_date=MIDNIGHT.isoformat())
        go_on(leader)
        assert task(leader, mine).state is TaskState.UP_FOR_RESCHEDULE
        noon = CronSchedule(expressions=("0 12 * * *",), mode=ScheduleMode.INTERVAL)
        leader.parse(other(schedule=noon), file="other.py")
        look_back(leader)
        assert task(leader, mine).state is TaskState.FAILED

    @pytest.mark.parametrize("arguments", [{"task_ids": ("nothing",)}, {"group": "nothing"}])
    def test_a_task_that_is_not_there(self, arguments: dict[str, Any]) -> None:
        leader, mine, _ = self.both(self.wait(check_existence=True, **arguments))
        assert task(leader, mine).reason.text == "the DAG 'other' has no nothing"
        leader, mine, _ = self.both(self.wait(**arguments))
        assert "the DAG 'other' has no nothing" in why(leader, mine)
        played(leader, {}, {})
        look_back(leader)
        assert task(leader, mine).reason.code is ReasonCode.NEVER_MEETS

    def test_a_dag_that_is_not_there_may_come_yet(self) -> None:
        leader = Leader()
        leader.parse(dag(self.wait(), control("sure", External(dag_id="other", check_existence=True))))
        mine = leader.trigger(logical_date=MIDNIGHT.isoformat())
        go_on(leader)
        assert leader.task(mine, "sure").state is TaskState.FAILED
        assert why(leader, mine).endswith("there is no DAG 'other'")
        leader.parse(other(empty("e")), file="other.py")
        leader.trigger("other", logical_date=MIDNIGHT.isoformat())
        look_back(leader)
        assert task(leader, mine).state is TaskState.SUCCESS

    @pytest.mark.parametrize(("soft", "state"), [(False, TaskState.FAILED), (True, TaskState.SKIPPED)])
    def test_its_time_ends(self, *, soft: bool, state: TaskState) -> None:
        spec = control(
            "t", External(dag_id="other", timeout=HOUR, soft_fail=soft), retry=RetryPolicy(retries=3, delay=HOUR)
        )
        leader, mine, _ = self.both(spec)
        leader.restart()
        leader.wait(3600)
        found = task(leader, mine)
        assert (found.state, found.reason.code) == (state, ReasonCode.WAIT_TIMEOUT)


class TestApproval:
    def waiting(self, *tasks: TaskSpec, **arguments: Any) -> tuple[Leader, RunKey]:
        return staged(control("t", Approval(prompt="Ship it?", **arguments)), *tasks)

    def decide(self, leader: Leader, key: RunKey, decision: str, **more: Any) -> Any:
        return leader.ask(
            RequestKind.APPROVE, dag_id="d", run_id=key.run_id, task_id="t", decision=decision, **more
        )

    def test_approved_it_goes_on_and_who_did_is_kept(self) -> None:
        leader, key = self.waiting(empty("after", "t"), params={"n": ParamSpec(default=1)})
        assert why(leader, key) == "approval: it waits for somebody to approve or reject it: Ship it?"
        leader.restart()
        assert self.decide(leader, key, "approve", note="well", params={"n": 2}).ok
        assert leader.states(key) == {"t": TaskState.SUCCESS, "after": TaskState.SUCCESS}
        found = task(leader, key)
        assert isinstance(found.awaits, ApprovalWait)
        decision = found.awaits.decision
        assert decision is not None
        assert (decision.approved, decision.actor, decision.note) == (True, "ann", "well")
        assert leader.rows["results"][found.key] == b'{"n":2}'

    def test_rejected_it_is_skipped_with_what_follows(self) -> None:
        leader, key = self.waiting(empty("after", "t"))
        assert self.decide(leader, key, "reject", note="too soon").ok
        assert leader.states(key) == {"t": TaskState.SKIPPED, "after": TaskState.SKIPPED}
        assert task(leader, key).reason.text == "rejected by ann: too soon"

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            ({"decision": "maybe"}, "a decision is approve or reject"),
            ({"params": {"m": 1}}, "it takes no param 'm'; those it takes: n"),
            ({"params": {"n": "x"}}, "params.n"),
            ({"params": [1]}, "params must be a JSON object"),
            ({"task_id": "u"}, "waits for no approval: it is in no open run"),
            ({"task_id": "work"}, "waits for no approval: it is queued"),
            ({"map_index": "x"}, "map_index must be a number"),
        ],
    )
    def test_what_decides_nothing_is_refused(self, more: dict[str, Any], words: str) -> None:
        params = {"n": ParamSpec(default=1, schema={"type": "integer"})}
        leader, key = self.waiting(container("work"), params=params)
        asked = {"dag_id": "d", "run_id": key.run_id, "task_id": "t", "decision": "approve"} | more
        answer = leader.ask(RequestKind.APPROVE, **asked)
        assert not answer.ok
        assert words in answer.error
        assert task(leader, key).state is TaskState.UP_FOR_RESCHEDULE

    def test_it_is_decided_once(self) -> None:
        leader, key = self.waiting(container("work"))
        assert self.decide(leader, key, "approve").ok
        assert "it is success" in self.decide(leader, key, "reject").error

    def test_its_time_ends(self) -> None:
        leader, key = self.waiting(timeout=HOUR)
        leader.wait(3600)
        assert task(leader, key).reason.text == "nobody decided within its timeout of 1:00:00"

    def test_where_nobody_can_be_asked_it_fails(self) -> None:
        leader = Leader(msgspec.structs.replace(SETTINGS, unattended=True))
        leader.parse(dag(control("t", Approval(prompt="Ship it?"))))
        key = leader.trigger()
        go_on(leader)
        assert task(leader, key).reason.text == "nobody can be asked here: Ship it?"


CONTROLS = {
    "trigger": Trigger(dag_id="other", wait=True),
    "external": External(dag_id="other"),
    "approval": Approval(),
}


class TestChangingWhatItIs:
    """Between two turns such a task is queued, or rests."""

    def stage(self, kind: str, state: TaskState) -> tuple[Leader, RunKey]:
        leader = Leader()
        leader.parse(other(), file="other.py")
        leader.parse(dag(control("t", CONTROLS[kind]), container("work"), empty("after", "t")))
        key = leader.trigger(logical_date=MIDNIGHT.isoformat())
        if state is RESTING:
            go_on(leader)
            leader.prepare_all()
            look_back(leader)
        assert task(leader, key).state is state
        return leader, key

    @pytest.mark.parametrize("kind", CONTROLS)
    @pytest.mark.parametrize("state", [QUEUED, RESTING])
    @pytest.mark.parametrize("restarted", [False, True])
    def test_killed_marked_and_cleared(self, kind: str, state: TaskState, *, restarted: bool) -> None:
        for request, more, becomes in (
            (RequestKind.KILL, {}, TaskState.FAILED),
            (RequestKind.MARK, {"state": "success"}, TaskState.SUCCESS),
            (RequestKind.MARK, {"state": "skipped"}, TaskState.SKIPPED),
            (RequestKind.CLEAR, {}, TaskState.QUEUED),
        ):
            leader, key = self.stage(kind, state)
            if restarted:
                leader.restart()
            selection = {"dag_id": "d", "run_ids": [key.run_id], "tasks": "t"}
            assert ask(leader, request, selection=selection, **more).ok
            assert task(leader, key).state is becomes
            if request is RequestKind.CLEAR:
                assert task(leader, key).awaits is None
                go_on(leader)
                assert task(leader, key).state is RESTING

    @pytest.mark.parametrize("kind", CONTROLS)
    @pytest.mark.parametrize("state", [QUEUED, RESTING])
    def test_a_cancelled_run_ends_it(self, kind: str, state: TaskState) -> None:
        leader, key = self.stage(kind, state)
        leader.ask_cancel(key)
        assert task(leader, key).state is TaskState.FAILED
        look_back(leader)
        leader.wait(1)

    @pytest.mark.parametrize("kind", CONTROLS)
    def test_on_hold_it_does_not_begin(self, kind: str) -> None:
        leader, key = self.stage(kind, QUEUED)
        assert leader.ask(RequestKind.PAUSE, dag_id="d", hold=True).ok
        leader.prepare_all()
        assert task(leader, key).state is QUEUED
        assert why(leader, key).startswith("held: ")
        assert leader.ask(RequestKind.UNPAUSE, dag_id="d").ok
        go_on(leader)
        assert task(leader, key).state is RESTING


def test_an_answer_that_nobody_waits_for_any_more_changes_nothing() -> None:
    leader = Leader()
    leader.parse(other(), file="other.py")
    leader.parse(dag(control("t", External(dag_id="other")), container("work")))
    key = leader.trigger()
    leader.prepare_all()
    asked = leader.take(LookBack)
    assert len(list(leader.world.watchers.groups())) == 1
    assert ask(leader, RequestKind.KILL, selection={"dag_id": "d", "run_ids": [key.run_id], "tasks": "t"}).ok
    leader.effects += asked
    look_back(leader)
    assert task(leader, key).state is TaskState.FAILED
    assert list(leader.world.watchers.groups()) == []


def test_a_test_of_one_dag_neither_waits_for_others_nor_makes_their_runs() -> None:
    leader = Leader(msgspec.structs.replace(SETTINGS, alone=True))
    leader.parse(dag(control("t", Trigger(dag_id="other")), control("u", External(dag_id="other"))))
    key = leader.trigger()
    go_on(leader)
    assert leader.run(key).state is RunState.SUCCESS
    assert isinstance(leader.task(key, "u").awaits, ExternalWait)
    assert task(leader, key).key.map_index == UNMAPPED
