"""A try that an earlier one stands for: it ends at once, without a container, and all that follows from its result
follows."""

import msgspec
from planning_sim import Leader, container, dag, empty, prepared

from orchestrator.ids import RunKey, TaskKey, TryKey
from orchestrator.planning.changes import Collect, Launch, PinImages, Prepare
from orchestrator.planning.events import ImagesPinned
from orchestrator.planning.rows import CacheFacts, Reused, Try, TryOutcome
from orchestrator.spec.dag import BranchChoice, RetryPolicy
from orchestrator.states import ReasonCode, RunState, TaskState

EARLIER = TryKey(TaskKey("d", "manual__2026-11-19T12:00:00+00:00", "a"), 3)


def facts(result: object = None, *, hit: bool = True) -> CacheFacts:
    data = None if result is None else msgspec.json.encode(result)
    reused = Reused(attempt=EARLIER, result=data) if hit else None
    return CacheFacts(key="k", parts={"image": "1"}, note="cached: so" if hit else "not cached: so", reused=reused)


def played(leader: Leader, cache: CacheFacts) -> list[Launch]:
    """Prepare all, with this answer of the cache for task `a`."""
    for pin in leader.take(PinImages):
        leader.turn(ImagesPinned(run=pin.run, pins={name: f"{name}:1" for name in pin.images}))
    for effect in leader.take(Prepare):
        leader.turn(prepared(effect, cache=cache if effect.task.key.task_id == "a" else None))
    return leader.take(Launch)


def attempts(leader: Leader, key: RunKey) -> list[Try]:
    return [each for each in leader.rows["tries"].values() if each.key.task.run == key]


def test_it_ends_in_the_turn_in_which_it_is_prepared_and_needs_no_room() -> None:
    leader = Leader()
    leader.parse(dag(container("b"), container("a"), empty("c", "a"), max_active_tasks=1))
    key = leader.trigger()
    (only,) = played(leader, facts([1, 2]))
    assert only.attempt.key.task.task_id == "b"
    assert leader.states(key) == {"b": TaskState.STARTING, "a": TaskState.SUCCESS, "c": TaskState.SUCCESS}
    assert leader.rows["results"][TaskKey("d", key.run_id, "a")] == b"[1,2]"
    assert leader.take(Collect) == []


def test_its_try_says_that_and_why_it_did_not_run() -> None:
    leader = Leader()
    leader.parse(dag(container("a")))
    key = leader.trigger()
    played(leader, facts())
    (attempt,) = attempts(leader, key)
    assert (attempt.outcome, attempt.container_id, attempt.cache_key) == (TryOutcome.SUCCESS, None, "k")
    assert (attempt.removed_at, attempt.note) == (leader.now, "cached: so")
    reason = leader.task(key, "a").reason
    assert reason is not None
    assert (reason.code, reason.text) == (ReasonCode.CACHED, "cached: so")
    assert leader.rows["results"] == {}
    assert leader.run(key).state is RunState.SUCCESS


def test_a_try_that_has_to_run_keeps_what_it_depends_on_and_why() -> None:
    leader = Leader()
    leader.parse(dag(container("a"), max_active_tasks=1))
    key = leader.trigger()
    (launch,) = played(leader, facts(hit=False))
    leader.exit(launch)
    (attempt,) = attempts(leader, key)
    assert (attempt.cache_key, attempt.cache_parts, attempt.note) == ("k", {"image": "1"}, "not cached: so")
    assert leader.task(key, "a").reason is None


def test_a_choice_is_made_again_from_the_result_that_is_used_again() -> None:
    leader = Leader()
    leader.parse(dag(container("a", choice=BranchChoice()), empty("left", "a"), empty("right", "a")))
    key = leader.trigger()
    played(leader, facts("left"))
    assert leader.states(key) == {"a": TaskState.SUCCESS, "left": TaskState.SUCCESS, "right": TaskState.SKIPPED}


def test_a_choice_that_its_dag_does_not_know_any_more_fails() -> None:
    leader = Leader()
    leader.parse(dag(container("a", choice=BranchChoice(), retry=RetryPolicy()), empty("left", "a")))
    key = leader.trigger()
    played(leader, facts("gone"))
    assert leader.task(key, "a").state is TaskState.FAILED
    assert leader.rows["results"] == {}


def test_a_retry_may_be_one_that_need_not_run() -> None:
    leader = Leader()
    leader.parse(dag(container("a", retry=RetryPolicy(retries=1))))
    key = leader.trigger()
    (launch,) = played(leader, facts(hit=False))
    leader.exit(launch, 1)
    leader.wait(300)
    played(leader, facts())
    assert leader.task(key, "a").state is TaskState.SUCCESS
    assert sorted(each.key.number for each in attempts(leader, key)) == [1, 2]
