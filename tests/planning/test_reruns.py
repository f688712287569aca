"""Clearing, marking and killing, in every state a task instance can be in; old tries stay as they are."""

from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest
from mapped_dags import mapped
from planning_past import Staged, ask
from planning_sim import SETTINGS, Leader, container, dag, empty, played

from orchestrator.ids import RunKey
from orchestrator.planning.changes import PinImages, Stop
from orchestrator.planning.rows import RequestKind
from orchestrator.spec.dag import BranchChoice, DagSpec, Teardown
from orchestrator.spec.mapping import Axis, FromResult, MapSpec
from orchestrator.states import ReasonCode, RunState, TaskState, TriggerRule

S = TaskState
#: Every state but `removed`, which nobody can mean (`TestRemoved`).
STATES = tuple(state for state in TaskState if state is not S.REMOVED)
OPEN_TRY = (S.STARTING, S.RUNNING)


def finish_stopped(stage: Staged, code: int = 143) -> None:
    """What was asked to stop, stops."""
    for stop in stage.leader.take(Stop):
        stage.leader.exit(stop.attempt, code)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("restart", [False, True])
class TestMatrix:
    def test_a_clear_has_it_run_again_with_fresh_budgets(self, state: TaskState, *, restart: bool) -> None:
        stage = Staged(state)
        leader, tries = stage.leader, dict(stage.leader.rows["tries"])
        before = leader.task(stage.run, "t")
        answer = ask(leader, RequestKind.CLEAR, selection=stage.selection(downstream=True))
        assert answer.ok, answer.error
        if restart:
            leader.restart()
        finish_stopped(stage)
        task = leader.task(stage.run, "t")
        if state is S.UPSTREAM_FAILED:
            assert task.state is S.UPSTREAM_FAILED  # what it waits for has not run again
        elif state is S.WAITING:
            assert task.state is S.WAITING
        else:
            assert task.state in (S.QUEUED, S.UPSTREAM_FAILED)
            assert (task.tries, task.failures, task.losses, task.reason is None) == (
                before.tries,
                0,
                0,
                task.state is S.QUEUED,
            )
        assert stage.key not in leader.rows["results"]
        for try_id, attempt in tries.items():
            kept = leader.rows["tries"][try_id]
            assert (kept.key, kept.spec, kept.intended_at) == (attempt.key, attempt.spec, attempt.intended_at)
            assert attempt.outcome is None or kept == attempt

    @pytest.mark.parametrize("target", ["success", "failed", "skipped"])
    def test_a_mark_is_what_it_becomes(self, state: TaskState, target: str, *, restart: bool) -> None:
        stage = Staged(state)
        answer = ask(stage.leader, RequestKind.MARK, selection=stage.selection(), state=target)
        assert answer.ok, answer.error
        if restart:
            stage.leader.restart()
        finish_stopped(stage, code=0)
        assert stage.state == target
        task = stage.leader.task(stage.run, "t")
        if target not in (state, "success"):
            assert task.reason is not None
            assert (task.reason.code, task.reason.text) == (ReasonCode.MARKED_BY, f"marked {target} by ann")

    def test_a_kill_fails_what_has_not_ended(self, state: TaskState, *, restart: bool) -> None:
        stage = Staged(state)
        over = stage.leader.run(stage.run).state.final
        assert ask(stage.leader, RequestKind.KILL, selection=stage.selection()).ok is not over
        if restart:
            stage.leader.restart()
        finish_stopped(stage)
        if state.final:
            assert stage.state is state
        else:
            assert stage.state is S.FAILED
            reason = stage.leader.task(stage.run, "t").reason
            assert reason is not None
            assert reason.code is ReasonCode.KILLED_BY


@pytest.mark.parametrize("over", [True, False])
@pytest.mark.parametrize("kind", [RequestKind.CLEAR, RequestKind.MARK, RequestKind.KILL])
class TestRemoved:
    """One that is `removed` stands for nothing any more: nobody can mean it, and its tries stay as they were."""

    def check(self, leader: Leader, kind: RequestKind, key: RunKey, *, over: bool) -> None:
        if over:
            played(leader, {}, {})
            assert leader.run(key).state.final
        before, gone = dict(leader.rows["tries"]), leader.task(key, "t")
        for selection in (meant(key, tasks="t", map_indexes=[-1]), meant(key, tasks="t|gone")):
            state = {"state": "success"} if kind is RequestKind.MARK else {}
            ask(leader, kind, selection=selection, **state)
            assert leader.task(key, "t") == gone
        assert gone.state is S.REMOVED
        assert {try_id: leader.rows["tries"][try_id] for try_id in before} == before

    def test_one_that_its_dag_has_no_more(self, kind: RequestKind, *, over: bool) -> None:
        leader, key = ended(dag(container("a"), container("t", "a"), container("b", "t")), {"b": 1})
        leader.parse(dag(container("a"), container("b", "a")))
        assert ask(leader, RequestKind.CLEAR, selection=meant(key, tasks="a|b")).ok
        assert leader.task(key, "t").tries == 1
        self.check(leader, kind, key, over=over)

    def test_what_stood_for_a_mapped_task_until_it_was_expanded(self, kind: RequestKind, *, over: bool) -> None:
        leader = Leader()
        leader.parse(
            dag(
                container("source"),
                mapped("t", MapSpec(axes=(Axis(argument="n", source=FromResult(task_id="source", key="")),))),
                container("b", "t"),
            )
        )
        key = leader.trigger()
        (source,) = leader.prepare_all()
        leader.exit(source, result=b"[1, 2]")
        assert leader.task(key, "t").tries == 0
        self.check(leader, kind, key, over=over)


def ended(spec: DagSpec, codes: dict[str, int], results: dict[str, bytes] | None = None) -> tuple[Leader, RunKey]:
    leader = Leader()
    leader.parse(spec)
    key = leader.trigger()
    played(leader, results or {}, codes)
    assert leader.run(key).state.final
    return leader, key


def meant(key: RunKey, **arguments: object) -> dict[str, object]:
    return {"dag_id": key.dag_id, "run_ids": [key.run_id], **arguments}


class TestClear:
    chain = dag(container("a"), container("b", "a"), container("c", "b"))

    def test_a_failed_run_goes_on_where_it_failed(self) -> None:
        leader, key = ended(self.chain, {"b": 1})
        answer = ask(leader, RequestKind.CLEAR, selection=meant(key, only_failed=True))
        assert answer.data["tasks"] == [f"{key.run_id}: b", f"{key.run_id}: c"]
        played(leader, {}, {})
        assert set(leader.states(key).values()) == {S.SUCCESS}
        assert leader.run(key).state is RunState.SUCCESS
        assert (leader.task(key, "a").tries, leader.task(key, "b").tries) == (1, 2)

    def test_it_runs_with_the_newest_version_and_images(self) -> None:
        leader, key = ended(self.chain, {"b": 1})
        old = leader.run(key).version
        leader.parse(dag(container("a"), container("b", "a"), container("new", "b")))
        ask(leader, RequestKind.CLEAR, selection=meant(key, only_failed=True))
        assert [pin.run for pin in leader.effects if isinstance(pin, PinImages)] == [key]
        played(leader, {}, {})
        assert leader.run(key).version != old
        assert leader.states(key) == {"a": S.SUCCESS, "b": S.SUCCESS, "c": S.REMOVED, "new": S.SUCCESS}

    def test_as_run_it_keeps_its_version_and_images(self) -> None:
        leader, key = ended(self.chain, {"b": 1})
        run = leader.run(key)
        leader.parse(dag(container("a")))
        ask(leader, RequestKind.CLEAR, selection=meant(key, only_failed=True), as_run=True)
        leader.restart()
        played(leader, {}, {})
        assert (leader.run(key).version, leader.run(key).images) == (run.version, run.images)
        assert set(leader.states(key).values()) == {S.SUCCESS}

    @pytest.mark.parametrize(("wished", "version"), [(None, "recorded"), (True, "recorded"), (False, "newest")])
    def test_a_site_may_have_runs_keep_what_they_had(self, *, wished: bool | None, version: str) -> None:
        leader = Leader(msgspec.structs.replace(SETTINGS, rerun_recorded=True))
        leader.parse(self.chain)
        key = leader.trigger()
        played(leader, {}, {"b": 1})
        recorded = leader.run(key).version
        leader.parse(dag(container("a"), container("b", "a")))
        more = {} if wished is None else {"as_run": wished}
        ask(leader, RequestKind.CLEAR, selection=meant(key, only_failed=True), **more)
        assert (leader.run(key).version == recorded) is (version == "recorded")

    def test_upstream_and_downstream_are_added(self) -> None:
        leader, key = ended(self.chain, {})
        for more, names in (({"upstream": True}, "a b"), ({"downstream": True}, "b c"), ({}, "b")):
            answer = ask(leader, RequestKind.CLEAR, selection=meant(key, tasks="b", **more))
            assert [name.split(": ")[1] for name in answer.data["tasks"]] == names.split()
            played(leader, {}, {})
            assert leader.run(key).state is RunState.SUCCESS

    def test_setups_and_teardowns_go_with_their_tasks(self) -> None:
        spec = dag(
            container("up", setup=True),
            container("work", "up"),
            container("down", "up", "work", teardown=Teardown(setups=("up",))),
        )
        leader, key = ended(spec, {"work": 1})
        ask(leader, RequestKind.CLEAR, selection=meant(key, tasks="work"))
        played(leader, {}, {})
        assert {name: leader.task(key, name).tries for name in ("up", "work", "down")} == {
            "up": 2,
            "work": 2,
            "down": 2,
        }

    def test_a_branch_that_is_not_cleared_keeps_its_choice(self) -> None:
        spec = dag(
            container("b", choice=BranchChoice()),
            container("left", "b"),
            container("right", "b"),
            container("join", "left", "right", trigger_rule=TriggerRule.NONE_FAILED),
        )
        leader, key = ended(spec, {}, {"b": b'"left"'})
        ask(leader, RequestKind.CLEAR, selection=meant(key, tasks="left|right|join"))
        played(leader, {}, {})
        assert leader.states(key) == {"b": S.SUCCESS, "left": S.SUCCESS, "right": S.SKIPPED, "join": S.SUCCESS}

    def test_runs_of_a_range_are_cleared_together(self) -> None:
        leader, key = ended(self.chain, {"c": 1})
        date = leader.run(key).interval.start
        other = leader.trigger()
        played(leader, {}, {"c": 1})
        selection = {"dag_id": "d", "start": date.isoformat(), "end": date.isoformat(), "only_failed": True}
        assert ask(leader, RequestKind.CLEAR, selection=selection).data["runs"] == 2
        played(leader, {}, {})
        assert {leader.run(each).state for each in (key, other)} == {RunState.SUCCESS}

    def test_of_a_paused_dag_a_cleared_scheduled_run_runs(self) -> None:
        leader, key = ended(self.chain, {"c": 1})
        leader.ask(RequestKind.PAUSE, dag_id="d")
        ask(leader, RequestKind.CLEAR, selection=meant(key, only_failed=True))
        played(leader, {}, {})
        assert leader.run(key).state is RunState.SUCCESS

    def test_a_run_that_was_cancelled_before_it_began_can_be_cleared(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a"), container("b", "a"), max_active_runs=1))
        first, held = leader.trigger(), leader.trigger()
        leader.ask_cancel(held)
        assert leader.states(held) == {"a": S.FAILED, "b": S.FAILED}
        reason = leader.task(held, "a").reason
        assert reason is not None
        assert (reason.code, leader.run(held).started_at) == (ReasonCode.KILLED_BY, None)
        answer = ask(leader, RequestKind.CLEAR, selection=meant(held))
        assert len(answer.data["tasks"]) == 2
        played(leader, {}, {})
        assert {leader.run(key).state for key in (first, held)} == {RunState.SUCCESS}
        assert set(leader.states(held).values()) == {S.SUCCESS}

    def test_a_run_that_is_being_ended_cannot_be_cleared_yet(self) -> None:
        leader = Leader()
        leader.parse(self.chain)
        key = leader.trigger()
        leader.prepare_all()
        leader.ask_cancel(key)
        answer = ask(leader, RequestKind.CLEAR, selection=meant(key))
        assert answer.error == f"{key.run_id}: being ended; ask again once it has"


class TestMark:
    def test_a_mark_decides_how_an_ended_run_ended(self) -> None:
        leader, key = ended(dag(container("a"), container("b")), {"b": 1})
        ask(leader, RequestKind.MARK, selection=meant(key, tasks="b"), state="success")
        assert leader.run(key).state is RunState.SUCCESS
        ask(leader, RequestKind.MARK, selection=meant(key, tasks="a"), state="failed")
        assert leader.run(key).state is RunState.FAILED

    def test_an_ended_run_keeps_the_times_at_which_it_ran(self) -> None:
        leader, key = ended(dag(container("a"), container("b")), {"b": 1})
        before = leader.run(key)
        leader.now += timedelta(days=30)
        ask(leader, RequestKind.MARK, selection=meant(key, tasks="b"), state="success")
        after = leader.run(key)
        assert (after.state, after.started_at, after.ended_at) == (
            RunState.SUCCESS,
            before.started_at,
            before.ended_at,
        )
        assert after.cleared_at is None
        ask(leader, RequestKind.CLEAR, selection=meant(key, tasks="b"))
        played(leader, {}, {})
        assert leader.run(key).started_at == leader.run(key).ended_at == leader.now

    def test_one_that_never_began_ran_at_no_time(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a"), max_active_runs=1))
        _, held = leader.trigger(), leader.trigger()
        leader.ask_cancel(held)
        before = leader.run(held)
        leader.now += timedelta(days=30)
        ask(leader, RequestKind.MARK, selection=meant(held), state="success")
        assert (leader.run(held).state, leader.run(held).ended_at) == (RunState.SUCCESS, before.ended_at)

    def test_what_waits_goes_on(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a"), empty("b", "a")))
        key = leader.trigger()
        (launch,) = leader.prepare_all()
        ask(leader, RequestKind.MARK, selection=meant(key, tasks="a"), state="success")
        assert leader.task(key, "b").state is S.WAITING
        leader.exit(launch, 137)
        assert leader.states(key) == {"a": S.SUCCESS, "b": S.SUCCESS}


@pytest.mark.parametrize(
    ("kind", "payload", "error"),
    [
        (RequestKind.CLEAR, {"selection": {"dag_id": "x"}}, "no DAG 'x'"),
        (RequestKind.CLEAR, {"selection": {"dag_id": "d", "tasks": "("}}, "is no regular expression"),
        (RequestKind.CLEAR, {}, "this names no task instances"),
        (RequestKind.CLEAR, {"selection": {"dag_id": "d", "run_ids": ["r"]}}, "no task instance is meant"),
        (RequestKind.MARK, {"selection": {"dag_id": "d"}, "state": "running"}, "cannot be marked 'running'"),
    ],
)
def test_what_cannot_be_meant_is_refused(kind: RequestKind, payload: dict[str, object], error: str) -> None:
    leader = Leader()
    leader.parse(dag(container("a")))
    assert error in ask(leader, kind, **payload).error


def test_a_request_is_done_once_however_often_it_is_told_of() -> None:
    leader, key = ended(dag(container("a")), {"a": 1})
    leader.ask_later(RequestKind.CLEAR, selection=meant(key))
    assert leader.tell_again() == ()


def _all_pairs() -> Iterator[tuple[str, str]]:
    marks = ("success", "failed", "skipped")
    yield from ((one, other) for one in marks for other in marks)


@pytest.mark.parametrize(("one", "other"), list(_all_pairs()))
def test_marks_may_follow_each_other(one: str, other: str) -> None:
    leader, key = ended(dag(container("a")), {})
    for state in (one, other):
        assert ask(leader, RequestKind.MARK, selection=meant(key), state=state).ok
        assert leader.task(key, "a").state == state


class TestWhatIsTiedToIt:
    def told(self, leader: Leader, key: RunKey, **arguments: object) -> tuple[list[str], list[str], list[str]]:
        """What the answer names, what of it as added, and what then truly runs again."""
        answer = ask(leader, RequestKind.CLEAR, selection=meant(key, **arguments))
        again = [task_id for task_id, state in leader.states(key).items() if state is not S.SUCCESS]
        played(leader, {}, {})
        names = ([name.split(": ")[1] for name in answer.data[kind]] for kind in ("tasks", "added"))
        return *names, again

    def test_a_clear_tells_of_the_setups_and_teardowns_that_run_again(self) -> None:
        down = container("drop", "up", "load", teardown=Teardown(setups=("up",)))
        leader, key = ended(dag(container("up", setup=True), container("load", "up"), down, container("x")), {})
        assert self.told(leader, key, tasks="load") == (
            ["load", "up", "drop"],
            ["up", "drop"],
            ["up", "load", "drop"],
        )
        assert self.told(leader, key, tasks="x") == (["x"], [], ["x"])

    def test_nothing_is_added_by_a_mark(self) -> None:
        leader, key = ended(dag(container("up", setup=True), container("load", "up")), {})
        answer = ask(leader, RequestKind.MARK, selection=meant(key, tasks="load"), state="failed")
        assert answer.data["added"] == []


class TestNothingMeant:
    @pytest.mark.parametrize("kind", [RequestKind.CLEAR, RequestKind.KILL])
    def test_a_name_that_no_task_has_leads_to_the_nearest(self, kind: RequestKind) -> None:
        leader, key = ended(dag(container("load"), container("total", "load")), {})
        error = ask(leader, kind, selection=meant(key, tasks="totall")).error
        assert error == "no task instance is meant: no task is named 'totall'; did you mean 'total'?"

    def test_one_that_is_there_is_not_called_a_slip(self) -> None:
        leader, key = ended(dag(container("total")), {})
        for arguments in ({"tasks": "total", "only_failed": True}, {"tasks": "quite_different"}):
            assert "did you mean" not in ask(leader, RequestKind.CLEAR, selection=meant(key, **arguments)).error
