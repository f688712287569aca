"""Tasks that wait for a person; and what all tasks that the scheduler does itself have in common."""

from typing import Any

import msgspec
import pytest
from planning_past import ask, look_back
from planning_sim import SETTINGS, Leader, container, control, dag, empty
from planning_waits import HOUR, MIDNIGHT, QUEUED, RESTING, go_on, other, staged, task, why

from orchestrator.ids import UNMAPPED, RunKey
from orchestrator.planning.awaits import ApprovalWait, ExternalWait
from orchestrator.planning.changes import LookBack
from orchestrator.planning.rows import RequestKind
from orchestrator.spec.control import Approval, External, Trigger
from orchestrator.spec.dag import TaskSpec
from orchestrator.spec.params import ParamSpec
from orchestrator.states import RunState, TaskState


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
