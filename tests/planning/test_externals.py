"""Tasks that wait for runs of other DAGs."""

from typing import Any

import pytest
from planning_past import ask, look_back
from planning_sim import Leader, container, control, dag, empty, played
from planning_waits import DAILY, HOUR, MIDNIGHT, RESTING, go_on, other, task, why

from orchestrator.ids import RunKey
from orchestrator.planning.changes import LookBack
from orchestrator.planning.rows import RequestKind
from orchestrator.spec.control import External
from orchestrator.spec.dag import CronSchedule, DagSpec, GroupSpec, RetryPolicy, ScheduleMode, TaskSpec
from orchestrator.states import ReasonCode, RunState, TaskState


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
