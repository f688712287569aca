"""What people ask for at awkward moments: of runs that are held back, being ended, or expanded anew."""

from collections.abc import Iterable

import pytest
from mapped_dags import Exit, OneRun, each_of, mapped, mapped_group, over, result_of
from planning_past import ask, look_back, seen
from planning_sim import Leader, container, dag, empty, exited, played, prepared, started

from orchestrator.ids import RunKey
from orchestrator.planning.changes import Launch, LookBack, PinImages, Prepare, Stop
from orchestrator.planning.events import ImagesPinned
from orchestrator.planning.rows import RequestKind
from orchestrator.spec.container import ExitFacts
from orchestrator.spec.dag import DagSpec, RetryPolicy, SensorSpec, Teardown
from orchestrator.states import ReasonCode, RunState, TaskState

S = TaskState


def meaning(key: RunKey, tasks: str | None = None, **more: object) -> dict[str, object]:
    return {"dag_id": key.dag_id, "run_ids": [key.run_id], "tasks": tasks, **more}


def ended(spec: DagSpec) -> tuple[Leader, RunKey]:
    """A run that has succeeded."""
    leader = Leader()
    leader.parse(spec)
    key = leader.trigger()
    played(leader, {}, {})
    assert leader.run(key).state is RunState.SUCCESS
    return leader, key


def stop_all(leader: Leader) -> None:
    for stop in leader.take(Stop):
        leader.exit(stop.attempt, 143)


def indexes(run: OneRun, task_id: str) -> list[int]:
    return sorted(run.states[task_id])


class TestHeldBack:
    """A cleared run that waits for another one to end."""

    def held_back(self) -> tuple[Leader, RunKey, Launch]:
        leader, key = ended(dag(container("a"), container("b", "a"), max_active_runs=1))
        leader.trigger()
        (running,) = leader.prepare_all()
        assert ask(leader, RequestKind.CLEAR, selection=meaning(key)).ok
        assert leader.run(key).state is RunState.QUEUED
        return leader, key, running

    @pytest.mark.parametrize(
        ("kind", "more"),
        [
            (RequestKind.CLEAR, {}),
            (RequestKind.KILL, {}),
            (RequestKind.MARK, {"state": "success"}),
            (RequestKind.MARK, {"state": "failed"}),
        ],
    )
    def test_whatever_is_changed_nothing_begins(self, kind: RequestKind, more: dict[str, str]) -> None:
        leader, key, running = self.held_back()
        assert ask(leader, kind, selection=meaning(key, "a"), **more).ok
        assert leader.run(key).state is RunState.QUEUED
        assert leader.task(key, "b").state is S.WAITING
        assert leader.prepare_all() == []
        leader.exit(running, 1)
        assert leader.run(key).state is not RunState.QUEUED

    def test_it_ends_when_all_of_it_is_marked(self) -> None:
        leader, key, _ = self.held_back()
        ask(leader, RequestKind.MARK, selection=meaning(key), state="success")
        assert leader.run(key).state is RunState.SUCCESS

    def test_cancelled_it_has_nothing_waiting(self) -> None:
        leader, key, _ = self.held_back()
        leader.ask_cancel(key)
        assert leader.run(key).state is RunState.FAILED
        assert set(leader.states(key).values()) == {S.FAILED}


class TestDoomed:
    def test_what_was_cleared_while_it_ran_does_not_run_again(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a")))
        key = leader.trigger()
        leader.prepare_all()
        ask(leader, RequestKind.CLEAR, selection=meaning(key))
        leader.ask_cancel(key)
        stop_all(leader)
        assert leader.run(key).state is RunState.FAILED
        task = leader.task(key, "a")
        assert (task.state, task.reason and task.reason.code) == (S.FAILED, ReasonCode.KILLED_BY)

    def test_a_sensor_that_had_found_nothing_looks_no_more(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a", sensor=SensorSpec())))
        key = leader.trigger()
        (look,) = leader.prepare_all()
        leader.turn(started(look.attempt))
        over = ExitFacts(exit_code=75, finished_at=leader.now)
        leader.wait(1)
        leader.ask_cancel(key)
        leader.turn(exited(look.attempt, exit=over))
        assert (leader.task(key, "a").state, leader.run(key).state) == (S.FAILED, RunState.FAILED)

    def test_a_teardown_that_nobody_wants_is_not_tried_again(self) -> None:
        leader = Leader()
        retry = RetryPolicy(retries=3)
        leader.parse(
            dag(
                container("up", setup=True),
                container("use", "up"),
                container("down", "use", teardown=Teardown(setups=("up",)), retry=retry),
                fail_fast=True,
            )
        )
        key = leader.trigger()
        (up,) = leader.prepare_all()
        leader.exit(up)
        (use,) = leader.prepare_all()
        leader.exit(use, 1)
        leader.prepare_all()
        assert leader.run(key).state is RunState.RUNNING
        assert leader.ask(RequestKind.CANCEL, dag_id="d", run_id=key.run_id, teardowns=False).ok
        stop_all(leader)
        assert (leader.task(key, "down").state, leader.run(key).state) == (S.FAILED, RunState.FAILED)

    def test_tasks_that_its_dag_has_no_more_do_not_matter(self) -> None:
        leader, key = ended(dag(container("a"), container("gone")))
        leader.parse(dag(container("a")))
        ask(leader, RequestKind.CLEAR, selection=meaning(key, "a"))
        leader.prepare_all()
        leader.ask_cancel(key)
        stop_all(leader)
        assert leader.states(key) == {"a": S.FAILED, "gone": S.REMOVED}


class TestFailFast:
    def opened(self, *others: str, **arguments: object) -> tuple[Leader, RunKey]:
        leader = Leader()
        leader.parse(dag(container("a", **arguments), *(container(other) for other in others), fail_fast=True))
        return leader, leader.trigger()

    @pytest.mark.parametrize("kind", [RequestKind.KILL, RequestKind.MARK])
    def test_a_task_that_people_fail_ends_its_run(self, kind: RequestKind) -> None:
        leader, key = self.opened("b")
        leader.prepare_all()
        ask(leader, kind, selection=meaning(key, "a"), state="failed")
        stop_all(leader)
        stop_all(leader)
        assert set(leader.states(key).values()) == {S.FAILED}

    def test_a_task_that_no_limit_lets_through_ends_its_run(self) -> None:
        leader, key = self.opened("b", pool="nowhere")
        leader.prepare_all()
        stop_all(leader)
        assert (leader.run(key).state, leader.task(key, "b").state) == (RunState.FAILED, S.FAILED)

    def test_a_map_that_cannot_be_ends_its_run(self) -> None:
        run = OneRun(container("b"), mapped("m", over(each_of(1, 2, 3), max_length=2)), fail_fast=True)
        run.leader.prepare_all()
        stop_all(run.leader)
        assert run.of("b") == ["failed"]


class TestExpandedAnew:
    def change(self, run: OneRun, kind: RequestKind, tasks: str, **more: object) -> None:
        assert ask(run.leader, kind, selection=meaning(run.key, tasks), **more).ok

    def test_what_was_said_of_a_task_of_a_group_counts_for_all_its_instances(self) -> None:
        group, inside = mapped_group("g", over(result_of("a")), container("x"), container("y", "x"))
        run = OneRun(container("a"), *inside, groups=(group,))
        self.change(run, RequestKind.MARK, "x", state="success")
        run.end(a=[1, 2])
        assert (run.of("x"), run.running()) == (["success", "success"], ["y[0]", "y[1]"])
        run.end(y=None)
        assert run.leader.run(run.key).state is RunState.SUCCESS

    def test_so_is_what_is_mapped_over_what_is_expanded_anew(self) -> None:
        run = OneRun(container("a"), mapped("m", over(result_of("a"))), mapped("n", over(result_of("m"))))
        run.end(a=[1, 2, 3])
        run.end(m=7)
        run.end(n=Exit(1))
        self.change(run, RequestKind.CLEAR, "a")
        run.end(a=[1, 2])
        run.end(m=7)
        assert indexes(run, "n") == [0, 1]

    @pytest.mark.parametrize("kind", [RequestKind.MARK, RequestKind.KILL, RequestKind.CLEAR])
    def test_an_instance_that_is_about_to_go_goes(self, kind: RequestKind) -> None:
        run = OneRun(container("a"), mapped("m", over(result_of("a"))))
        run.end(a=[1, 2])
        assert run.running() == ["m[0]", "m[1]"]
        self.change(run, RequestKind.CLEAR, "a")
        assert ask(run.leader, kind, selection=meaning(run.key, "m", map_indexes=[0]), state="success").ok
        stop_all(run.leader)
        run.end(a=[1])
        run.running()
        assert (indexes(run, "m"), run.of("m")) == ([0], ["starting"])

    def test_clearing_one_instance_clears_the_setup_of_its_own_index_only(self) -> None:
        group, inside = mapped_group(
            "g",
            over(each_of(1, 2)),
            container("up", setup=True),
            container("use", "up"),
            container("down", "use", teardown=Teardown(setups=("up",))),
        )
        run = OneRun(*inside, container("last"), groups=(group,))
        run.end(up=None)
        run.end(use=None)
        run.end(down=None)
        assert ask(run.leader, RequestKind.CLEAR, selection=meaning(run.key, "use", map_indexes=[1])).ok
        assert [run.of(name) for name in ("up", "use", "down")] == [
            ["success", "queued"],
            ["success", "waiting"],
            ["success", "waiting"],
        ]

    def test_what_cannot_run_once_it_is_cleared_ends_the_run(self) -> None:
        run = OneRun(container("a"), container("b", "a", retry=RetryPolicy(retries=1)))
        run.end(a=None)
        run.end(b=Exit(1))
        self.change(run, RequestKind.MARK, "a", state="failed")
        self.change(run, RequestKind.CLEAR, "b")
        assert (run.of("b"), run.leader.run(run.key).state) == (["upstream_failed"], RunState.FAILED)


class TestAnotherVersion:
    def cleared(self, before: DagSpec, after: DagSpec, tasks: str | None = None) -> tuple[Leader, RunKey]:
        leader, key = ended(before)
        leader.parse(after)
        assert ask(leader, RequestKind.CLEAR, selection=meaning(key, tasks)).ok
        played(leader, {}, {})
        assert leader.run(key).state is RunState.SUCCESS
        return leader, key

    def of(self, leader: Leader, key: RunKey, task_id: str) -> dict[int, S]:
        tasks = [(each, task) for each, task in leader.rows["tasks"].items() if each.run == key]
        return {each.map_index: task.state for each, task in tasks if each.task_id == task_id}

    def group(self, *names: str) -> DagSpec:
        group, inside = mapped_group("g", over(each_of(1, 2)), *(container(name) for name in names))
        return dag(*inside, groups=(group,))

    def test_a_group_with_another_task_is_expanded_anew(self) -> None:
        leader, key = self.cleared(self.group("x"), self.group("x", "y"), "x")
        assert self.of(leader, key, "y") == {-1: S.REMOVED, 0: S.SUCCESS, 1: S.SUCCESS}

    @pytest.mark.parametrize(("tasks", "left"), [("m", 2), ("b", 3)])
    def test_another_list_counts_once_something_of_it_runs_again(self, tasks: str, left: int) -> None:
        one = dag(mapped("m", over(each_of(1, 2, 3))), container("b"))
        other = dag(mapped("m", over(each_of(1, 2))), container("b"))
        leader, key = self.cleared(one, other, tasks)
        assert list(self.of(leader, key, "m").values()).count(S.SUCCESS) == left

    def test_a_task_that_is_mapped_no_more_runs_once(self) -> None:
        leader, key = self.cleared(dag(mapped("m", over(each_of(1, 2)))), dag(container("m")))
        assert self.of(leader, key, "m") == {-1: S.SUCCESS, 0: S.REMOVED, 1: S.REMOVED}

    def test_a_task_that_comes_back_runs(self) -> None:
        leader, key = self.cleared(dag(empty("a"), container("b")), dag(empty("a")), "a")
        leader.parse(dag(empty("a"), container("b")))
        ask(leader, RequestKind.CLEAR, selection=meaning(key, "a"))
        played(leader, {}, {})
        assert (leader.task(key, "b").state, leader.task(key, "b").tries) == (S.SUCCESS, 2)


def test_of_two_marks_at_once_the_second_counts() -> None:
    leader, key = ended(dag(container("a")))
    looks = []
    for state in ("failed", "skipped"):
        leader.ask_later(RequestKind.MARK, selection=meaning(key), state=state)
        looks += leader.take(LookBack)
    answers: Iterable[object] = [seen(leader, look) for look in looks]
    for answer in answers:
        leader.turn(answer)
    assert 3 not in leader.answers
    look_back(leader)
    assert leader.answers[3].ok
    assert leader.task(key, "a").state is S.SKIPPED


def test_what_was_rendered_for_an_earlier_life_is_not_run() -> None:
    leader = Leader()
    leader.parse(dag(container("a"), container("b", "a")))
    key = leader.trigger()
    (first,) = leader.prepare_all()
    leader.exit(first, result=b"1")
    (stale,) = leader.take(Prepare)
    leader.wait(1)
    ask(leader, RequestKind.CLEAR, selection=meaning(key))
    (again,) = leader.prepare_all()
    leader.exit(again, result=b"2")
    leader.turn(prepared(stale))
    assert (leader.task(key, "b").state, leader.take(Launch)) == (S.QUEUED, [])
    assert [launch.attempt.key.task.task_id for launch in leader.prepare_all()] == ["b"]


def test_a_run_that_ended_before_its_images_were_known_can_run_again() -> None:
    leader = Leader()
    leader.parse(dag(container("a")))
    key = leader.trigger()
    (pin,) = leader.take(PinImages)
    ask(leader, RequestKind.MARK, selection=meaning(key), state="success")
    leader.turn(ImagesPinned(run=key, pins={"tools": "tools:1"}))
    assert leader.run(key).state is RunState.SUCCESS
    ask(leader, RequestKind.CLEAR, selection=meaning(key), as_run=True)
    assert leader.take(PinImages) == [pin]
    assert leader.take(Prepare) == []
