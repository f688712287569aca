"""Setups and teardowns: what waits for a setup, when a teardown runs, and what a run comes to."""

from datetime import timedelta
from itertools import product

import pytest
from planning_past import ask
from planning_sim import Leader, container, dag, played, started

from orchestrator.ids import RunKey
from orchestrator.planning.changes import Stop
from orchestrator.planning.reach import Reach
from orchestrator.planning.rows import RequestKind
from orchestrator.planning.rules import Verdict
from orchestrator.planning.setups import judge_setups, judge_teardown, scopes_of
from orchestrator.spec.dag import DagSpec, RetryPolicy, TaskSpec, Teardown
from orchestrator.states import ReasonCode, RunState, TaskState, TriggerRule

SUCCESS, FAILED, SKIPPED = TaskState.SUCCESS, TaskState.FAILED, TaskState.SKIPPED
UPSTREAM_FAILED = TaskState.UPSTREAM_FAILED


def down(*setups: str, **arguments: bool) -> Teardown:
    return Teardown(setups=setups, **arguments)


def database(*rest: TaskSpec, **arguments: object) -> DagSpec:
    """`up` makes a database, `load` and `export` use it, `drop` removes it."""
    return dag(
        container("up", setup=True),
        container("load", "up"),
        container("export", "load"),
        container("drop", "up", "export", teardown=down("up")),
        *rest,
        **arguments,
    )


def ran(spec: DagSpec, codes: dict[str, int]) -> tuple[RunState, dict[str, TaskState]]:
    leader = Leader()
    leader.parse(spec)
    key = leader.trigger()
    played(leader, {}, codes)
    return leader.run(key).state, leader.states(key)


def test_a_teardown_runs_after_success_and_the_run_is_one() -> None:
    assert ran(database(), {}) == (RunState.SUCCESS, dict.fromkeys(("up", "load", "export", "drop"), SUCCESS))


@pytest.mark.parametrize("broken", ["load", "export"])
def test_a_teardown_runs_after_a_failure_and_the_run_is_failed(broken: str) -> None:
    state, states = ran(database(), {broken: 1})
    assert state is RunState.FAILED
    assert states["drop"] is SUCCESS


def test_of_a_failed_setup_nothing_is_taken_down() -> None:
    state, states = ran(database(), {"up": 1})
    assert state is RunState.FAILED
    assert states == {"up": FAILED, "load": UPSTREAM_FAILED, "export": UPSTREAM_FAILED, "drop": UPSTREAM_FAILED}


def test_what_a_skipped_setup_would_have_set_up_is_skipped() -> None:
    spec = dag(
        container("up", setup=True, skip_on_exit_code=(99,)),
        container("load", "up"),
        container("drop", "up", "load", teardown=down("up")),
    )
    state, states = ran(spec, {"up": 99})
    assert (state, states) == (RunState.SUCCESS, dict.fromkeys(("up", "load", "drop"), SKIPPED))


@pytest.mark.parametrize(("fails_run", "state"), [(False, RunState.SUCCESS), (True, RunState.FAILED)])
def test_a_failed_teardown_fails_the_run_only_where_it_says_so(*, fails_run: bool, state: RunState) -> None:
    spec = dag(
        container("up", setup=True),
        container("work", "up"),
        container("drop", "up", "work", teardown=down("up", fails_run=fails_run)),
    )
    assert ran(spec, {"drop": 1})[0] is state
    assert ran(spec, {"work": 1})[0] is RunState.FAILED


def test_a_task_in_scope_waits_for_setups_that_are_not_its_parents() -> None:
    spec = dag(
        container("up", setup=True),
        container("user", setup=True),
        container("load", "up"),
        container("export", "load", "user", trigger_rule=TriggerRule.ALL_DONE),
        container("report", "export"),
        container("drop", "up", "user", "report", teardown=down("up", "user")),
    )
    leader = Leader()
    leader.parse(spec)
    key = leader.trigger()
    launches = {launch.attempt.key.task.task_id: launch for launch in leader.prepare_all()}
    leader.exit(launches["user"], 1)
    assert leader.task(key, "export").state is UPSTREAM_FAILED
    reason = leader.task(key, "export").reason
    assert reason is not None
    assert (reason.code, reason.text) == (
        ReasonCode.UPSTREAM,
        "a setup that it needs did not succeed (up, user)",
    )
    leader.exit(launches["up"])
    played(leader, {}, {})
    assert leader.task(key, "drop").state is SUCCESS
    assert leader.run(key).state is RunState.FAILED


def test_a_rule_that_could_hold_earlier_still_waits_for_the_setup() -> None:
    spec = dag(
        container("first"),
        container("up", setup=True),
        container("second", "up"),
        container("work", "first", "second", trigger_rule=TriggerRule.ONE_SUCCESS),
        container("drop", "up", "work", teardown=down("up")),
    )
    leader = Leader()
    leader.parse(spec)
    key = leader.trigger()
    launches = {launch.attempt.key.task.task_id: launch for launch in leader.prepare_all()}
    leader.exit(launches["first"])
    assert leader.task(key, "work").state is TaskState.WAITING
    leader.exit(launches["up"])
    assert leader.task(key, "work").state is TaskState.QUEUED


class TestCutShort:
    def running(self, **arguments: object) -> tuple[Leader, RunKey]:
        """`load` runs, after `up`; `apart` has not started."""
        leader = Leader()
        leader.parse(database(container("apart", "load"), **arguments))
        key = leader.trigger()
        (up,) = leader.prepare_all()
        leader.exit(up)
        return leader, key

    def test_a_cancelled_run_takes_down_what_was_set_up(self) -> None:
        leader, key = self.running()
        (load,) = leader.prepare_all()
        leader.ask(RequestKind.CANCEL, dag_id="d", run_id=key.run_id)
        assert leader.task(key, "drop").state is TaskState.WAITING
        assert [stop.attempt.key.task.task_id for stop in leader.take(Stop)] == ["load"]
        leader.exit(load, 143)
        assert leader.task(key, "drop").state is TaskState.QUEUED
        played(leader, {}, {})
        assert leader.task(key, "drop").state is SUCCESS
        assert leader.run(key).state is RunState.FAILED
        run_reason = leader.run(key).reason
        assert run_reason is not None
        assert run_reason.code is ReasonCode.KILLED_BY

    def test_a_teardown_may_be_tried_again_in_a_cancelled_run(self) -> None:
        leader = Leader()
        leader.parse(
            dag(
                container("up", setup=True),
                container("work", "up", retry=RetryPolicy(retries=3)),
                container("drop", "up", "work", teardown=down("up"), retry=RetryPolicy(retries=1)),
            )
        )
        key = leader.trigger()
        (up,) = leader.prepare_all()
        leader.exit(up)
        (work,) = leader.prepare_all()
        leader.ask(RequestKind.CANCEL, dag_id="d", run_id=key.run_id)
        leader.exit(work, 143)
        (drop,) = leader.prepare_all()
        leader.exit(drop, 1)
        assert leader.task(key, "work").state is FAILED
        assert leader.task(key, "drop").state is TaskState.UP_FOR_RETRY
        leader.wait(301)
        played(leader, {}, {})
        assert leader.task(key, "drop").state is SUCCESS

    def test_nothing_is_taken_down_that_was_never_set_up(self) -> None:
        leader = Leader()
        leader.parse(database())
        key = leader.trigger()
        leader.ask(RequestKind.CANCEL, dag_id="d", run_id=key.run_id)
        assert leader.run(key).state is RunState.FAILED
        assert leader.task(key, "drop").state is UPSTREAM_FAILED

    def test_a_run_that_took_too_long_takes_down_what_was_set_up(self) -> None:
        leader, key = self.running(dagrun_timeout=timedelta(minutes=5))
        (load,) = leader.prepare_all()
        leader.wait(300)
        leader.exit(load, 143)
        played(leader, {}, {})
        assert leader.task(key, "drop").state is SUCCESS
        assert leader.run(key).state is RunState.FAILED

    def test_a_task_that_took_too_long_or_was_killed_is_followed_by_the_teardown(self) -> None:
        leader = Leader()
        leader.parse(
            dag(
                container("up", setup=True),
                container("work", "up", execution_timeout=timedelta(minutes=1)),
                container("drop", "up", "work", teardown=down("up")),
            )
        )
        key = leader.trigger()
        (up,) = leader.prepare_all()
        leader.exit(up)
        (work,) = leader.prepare_all()
        leader.turn(started(work.attempt))
        leader.wait(60)
        leader.exit(work, 143)
        played(leader, {}, {})
        assert leader.states(key) == {"up": SUCCESS, "work": FAILED, "drop": SUCCESS}

    @pytest.mark.parametrize("kind", [RequestKind.MARK, RequestKind.KILL])
    @pytest.mark.parametrize("state", [SUCCESS, FAILED, SKIPPED])
    def test_a_task_that_is_marked_or_killed_is_followed_by_the_teardown(
        self, kind: RequestKind, state: TaskState
    ) -> None:
        leader, key = self.running()
        (load,) = leader.prepare_all()
        selection = {"dag_id": "d", "run_ids": [key.run_id], "tasks": "load|export|apart"}
        assert ask(leader, kind, selection=selection, state=state).ok
        assert leader.task(key, "drop").state is TaskState.WAITING
        leader.exit(load, 143)
        played(leader, {}, {})
        assert leader.states(key) == {
            "up": SUCCESS,
            **dict.fromkeys(("load", "export", "apart"), state if kind is RequestKind.MARK else FAILED),
            "drop": SUCCESS,
        }

    @pytest.mark.parametrize("state", [SUCCESS, FAILED, SKIPPED])
    def test_a_run_that_is_marked_takes_down_what_was_set_up(self, state: TaskState) -> None:
        leader, key = self.running()
        (load,) = leader.prepare_all()
        selection = {"dag_id": "d", "run_ids": [key.run_id]}
        answer = ask(leader, RequestKind.MARK, selection=selection, state=state)
        assert answer.data["tasks"] == [f"{key.run_id}: {name}" for name in ("load", "export", "apart")]
        assert answer.data["warnings"] == [
            f"in {key.run_id} what was set up is still taken down, by drop: name that to mark it"
        ]
        leader.exit(load, 143)
        (drop,) = leader.prepare_all()
        assert drop.attempt.key.task.task_id == "drop"
        leader.exit(drop)
        marked = dict.fromkeys(("load", "export", "apart"), state)
        assert leader.states(key) == {"up": SUCCESS, **marked, "drop": SUCCESS}
        assert leader.run(key).state is (RunState.FAILED if state is FAILED else RunState.SUCCESS)
        again = ask(leader, RequestKind.MARK, selection=selection, state=state)
        assert (len(again.data["tasks"]), again.data["warnings"]) == (5, [])

    def test_a_teardown_that_is_named_is_marked(self) -> None:
        leader, key = self.running()
        (load,) = leader.prepare_all()
        ask(
            leader,
            RequestKind.MARK,
            selection={"dag_id": "d", "run_ids": [key.run_id], "tasks": ".*"},
            state="failed",
        )
        leader.exit(load, 143)
        assert not leader.prepare_all()
        assert leader.states(key) == dict.fromkeys(("up", "load", "export", "apart", "drop"), FAILED)

    def test_before_anything_was_set_up_a_whole_run_is_marked(self) -> None:
        leader = Leader()
        leader.parse(database())
        key = leader.trigger()
        ask(leader, RequestKind.MARK, selection={"dag_id": "d", "run_ids": [key.run_id]}, state="skipped")
        assert set(leader.states(key).values()) == {SKIPPED}

    def test_fail_fast_stops_the_rest_and_takes_down(self) -> None:
        leader = Leader()
        leader.parse(database(container("slow"), fail_fast=True))
        key = leader.trigger()
        launches = {launch.attempt.key.task.task_id: launch for launch in leader.prepare_all()}
        leader.exit(launches["up"])
        (load,) = leader.prepare_all()
        leader.exit(load, 1)
        assert [stop.attempt.key.task.task_id for stop in leader.take(Stop)] == ["slow"]
        leader.exit(launches["slow"], 143)
        played(leader, {}, {})
        assert leader.states(key) == {
            "up": SUCCESS,
            "load": FAILED,
            "export": UPSTREAM_FAILED,
            "slow": FAILED,
            "drop": SUCCESS,
        }
        reason = leader.run(key).reason
        assert reason is not None
        assert (reason.code, reason.text) == (ReasonCode.FAIL_FAST, "load failed, and the DAG says fail_fast")


def test_a_setup_without_a_teardown_is_needed_by_all_after_it() -> None:
    tasks = (
        container("up", setup=True),
        container("a", "up"),
        container("b", "a"),
        container("apart"),
    )
    children = {"up": ("a",), "a": ("b",), "b": (), "apart": ()}
    assert scopes_of(dag(*tasks), Reach(tasks, children)) == {"up": ("a", "b")}


_STATES = (SUCCESS, FAILED, UPSTREAM_FAILED, SKIPPED, TaskState.RUNNING)


@pytest.mark.parametrize("setups", [states for size in (1, 2, 3) for states in product(_STATES, repeat=size)])
def test_what_setups_and_teardowns_become(setups: tuple[TaskState, ...]) -> None:
    bad = bool({FAILED, UPSTREAM_FAILED} & set(setups))
    hindered = judge_setups(setups)
    if bad:
        assert hindered is Verdict.UPSTREAM_FAILED
    elif SKIPPED in setups:
        assert hindered is Verdict.SKIPPED
    else:
        assert hindered is (Verdict.WAITING if TaskState.RUNNING in setups else Verdict.READY)
    done = TaskState.RUNNING not in setups
    for_down = judge_teardown(setups, users_done=done)
    if not done:
        assert for_down is Verdict.WAITING
    elif SUCCESS in setups:
        assert for_down is Verdict.READY
    else:
        assert for_down is (Verdict.UPSTREAM_FAILED if bad else Verdict.SKIPPED)
