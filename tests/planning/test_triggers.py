"""Tasks that make runs of other DAGs."""

from typing import Any

import msgspec
import pytest
from planning_past import seen
from planning_sim import SETTINGS, Leader, container, control, dag, empty, played
from planning_waits import DAILY, HOUR, go_on, other, runs_of, staged, task, why

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.awaits import RunWait
from orchestrator.planning.changes import LookBack
from orchestrator.planning.events import Seen
from orchestrator.spec.control import Approval, Trigger
from orchestrator.spec.dag import RetryPolicy
from orchestrator.spec.params import ParamSpec
from orchestrator.states import ReasonCode, RunState, TaskState


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

    @pytest.mark.parametrize("recorded", [True, False])
    def test_a_reset_takes_the_version_that_the_site_has_for_what_is_cleared(self, *, recorded: bool) -> None:
        leader = Leader(msgspec.structs.replace(SETTINGS, rerun_recorded=recorded))
        leader.parse(other(empty("e")), file="other.py")
        leader.parse(dag(control("t", Trigger(dag_id="other", run_id="mine", reset=True))))
        leader.trigger()
        go_on(leader)
        leader.parse(other(empty("e"), empty("new")), file="other.py")
        leader.trigger()
        go_on(leader)
        assert ("new" in leader.states(RunKey("other", "mine"))) is not recorded

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


class TestTwoThatMakeTheSameRun:
    def asking(self, **arguments: Any) -> tuple[Leader, RunKey, RunKey, list[Seen]]:
        """Two tasks that are to make one run, and what the database says to both before either has."""
        leader = Leader()
        leader.parse(other(empty("e")), file="other.py")
        leader.parse(dag(control("t", Trigger(dag_id="other", **arguments))))
        first, second = leader.trigger(), leader.trigger()
        leader.prepare_all()
        return leader, first, second, [seen(leader, effect) for effect in leader.take(LookBack)]

    @pytest.mark.parametrize(
        ("arguments", "state"),
        [
            ({"run_id": "mine"}, TaskState.FAILED),
            ({"run_id": "mine", "skip_when_exists": True}, TaskState.SKIPPED),
            ({"run_id": "mine", "reset": True}, TaskState.SUCCESS),
            ({"logical_date": "2026-11-03", "skip_when_exists": True}, TaskState.SKIPPED),
        ],
    )
    def test_the_second_hears_of_a_run_that_was_made_and_ended_since_it_asked(
        self, arguments: dict[str, Any], state: TaskState
    ) -> None:
        leader, first, second, answers = self.asking(**arguments)
        leader.turn(answers[0])
        (made,) = runs_of(leader, "other")
        assert leader.run(made).state is RunState.SUCCESS
        leader.turn(answers[1])
        go_on(leader)
        assert (task(leader, first).state, task(leader, second).state) == (TaskState.SUCCESS, state)
        assert len(runs_of(leader, "other")) == 1

    def test_both_answers_in_one_turn_make_one_run(self) -> None:
        leader, first, second, answers = self.asking(run_id="mine")
        leader.turn(*answers)
        go_on(leader)
        assert sorted(task(leader, each).state for each in (first, second)) == [TaskState.FAILED, TaskState.SUCCESS]

    def test_after_a_restart_both_ask_again(self) -> None:
        leader, first, second, _ = self.asking(run_id="mine", reset=True)
        leader.restart()
        go_on(leader)
        assert {task(leader, each).state for each in (first, second)} == {TaskState.SUCCESS}
        assert runs_of(leader, "other") == [RunKey("other", "mine")]
