"""Staged situations, and the first thing that each is explained by: here of the planner's world, and in
`test_explained_by_the_command` as a person asks, on a real engine."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from planning_sim import NOW, SETTINGS, Leader, container, dag, empty, started

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.changes import Launch, PinImages
from orchestrator.planning.events import FileGone, ImagesPinned, PrepareDelayed, PrepareFailed
from orchestrator.planning.explain import Explained, Question, explain
from orchestrator.planning.rows import Pool, Reason, RequestKind
from orchestrator.spec.dag import CronSchedule, ManualSchedule, RetryPolicy, SensorSpec
from orchestrator.states import ReasonCode as Code
from orchestrator.states import RunState, TaskState

HOURLY = CronSchedule(expressions=("0 * * * *",))


def asked(leader: Leader, key: RunKey | None = None, task_id: str | None = None, **present: Any) -> Explained:
    question = Question(dag_id="d", run_id=None if key is None else key.run_id, task_id=task_id)
    return explain(leader.world, question, msgspec.structs.replace(leader.present, **present))


def code(leader: Leader, key: RunKey | None = None, task_id: str | None = None, **present: Any) -> Code | None:
    reason = asked(leader, key, task_id, **present).reason
    return None if reason is None else reason.code


def text(leader: Leader, key: RunKey | None = None, task_id: str | None = None) -> str:
    reason = asked(leader, key, task_id).reason
    assert reason is not None
    return reason.text


def running(
    *tasks: Any, pools: tuple[Pool, ...] = (), parallelism: int = 32, **about: Any
) -> tuple[Leader, RunKey]:
    """A run whose ready tasks are prepared, and launched as far as limits allow."""
    leader = Leader(msgspec.structs.replace(SETTINGS, parallelism=parallelism), pools)
    leader.parse(dag(*tasks, **about))
    key = leader.trigger()
    leader.prepare_all()
    return leader, key


# --- DAGs ---------------------------------------------------------------------------------------------


class TestADagWithoutRuns:
    def scheduled(self, **about: Any) -> Leader:
        leader = Leader()
        leader.parse(dag(empty("a"), **{"schedule": HOURLY, **about}))
        return leader

    def test_that_is_paused(self) -> None:
        assert code(self.scheduled(paused_on_creation=True)) is Code.PAUSED

    def test_whose_file_is_gone_even_if_it_is_paused(self) -> None:
        leader = self.scheduled(paused_on_creation=True)
        leader.turn(FileGone(file="d.py"))
        assert code(leader) is Code.DAG_INACTIVE
        assert "d.py" in text(leader)

    def test_before_its_first_interval(self) -> None:
        leader = self.scheduled(start_date=datetime(2026, 11, 30, tzinfo=UTC))
        assert code(leader) is Code.NOT_DUE
        assert text(leader) == "its first run is due 30 Nov 01:00, stands for 30 Nov 00:00 to 01:00"

    def test_between_two_intervals(self) -> None:
        leader = self.scheduled(start_date=datetime(2026, 11, 20, 10, tzinfo=UTC))
        assert text(leader) == "its next run is due 20 Nov 13:00, stands for 20 Nov 12:00 to 13:00"

    def test_after_its_end_date(self) -> None:
        end = datetime(2026, 11, 20, 10, tzinfo=UTC)
        leader = self.scheduled(start_date=end - timedelta(hours=1), end_date=end)
        assert code(leader) is Code.OUTSIDE_SCHEDULE
        assert "its end_date is 2026-11-20T10:00:00+00:00" in text(leader)

    def test_that_has_no_schedule(self) -> None:
        assert code(self.scheduled(schedule=ManualSchedule())) is Code.UNSCHEDULED

    def test_whose_turn_is_now(self) -> None:
        leader = self.scheduled(start_date=datetime(2026, 11, 20, 10, tzinfo=UTC))
        assert asked(leader, now=leader.now + timedelta(hours=1)) == Explained()

    def test_that_nobody_knows(self) -> None:
        assert asked(Leader()) == Explained()


def test_a_run_that_max_active_runs_holds_back_is_told_which_run_it_waits_for() -> None:
    leader, first = running(container("a"), max_active_runs=1)
    second = leader.trigger()
    for told in (text(leader, second), text(leader, second, "a")):
        assert told == f"1 of max_active_runs=1 are running: {first.run_id}"


def test_a_scheduled_run_of_a_paused_dag_waits_for_that() -> None:
    leader = Leader()
    leader.parse(
        dag(container("a"), schedule=HOURLY, max_active_runs=1, start_date=leader.now - timedelta(hours=3))
    )
    leader.wait(3600)
    leader.ask(RequestKind.PAUSE, dag_id="d")
    held = next(key for key, run in leader.rows["runs"].items() if run.state is RunState.QUEUED)
    assert code(leader, held) is Code.PAUSED


# --- task instances that wait -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "expected", "words"),
    [
        ({"max_active_tasks": 1}, Code.MAX_ACTIVE_TASKS, "max_active_tasks d: 1 of 1 taken"),
        ({"parallelism": 1}, Code.PARALLELISM, "parallelism: 1 of 1 taken"),
    ],
)
def test_a_task_that_a_limit_of_all_holds_back(limit: dict[str, Any], expected: Code, words: str) -> None:
    leader, key = running(container("a"), container("b"), **limit)
    assert (code(leader, key, "a"), code(leader, key, "b")) == (None, expected)
    assert text(leader, key, "b") == words


def test_a_task_that_its_pool_holds_back() -> None:
    pooled = [container(name, pool="etl", pool_slots=2) for name in "ab"]
    leader, key = running(*pooled, pools=(Pool(name="etl", slots=3),))
    assert code(leader, key, "b") is Code.POOL_FULL
    assert text(leader, key, "b") == "pool etl: 2 of 3 taken, 2 needed"


def test_a_task_that_its_own_cap_over_runs_holds_back() -> None:
    leader, _ = running(container("a", max_active_tis_per_dag=1))
    second = leader.trigger()
    leader.prepare_all()
    assert code(leader, second, "a") is Code.MAX_ACTIVE_TIS


def test_of_two_limits_that_bind_the_first_is_told() -> None:
    leader, key = running(container("a", max_active_tis_per_dag=1), max_active_tasks=1)
    second = leader.trigger()
    leader.prepare_all()
    assert code(leader, second, "a") is Code.MAX_ACTIVE_TASKS
    assert leader.states(key) == {"a": TaskState.STARTING}


def test_a_task_waits_for_its_parents_and_behind_them_for_what_hinders_the_first() -> None:
    other, *chain = container("x", priority_weight=9), container("a"), container("b", "a"), container("c", "b")
    leader, key = running(other, *chain, parallelism=1)
    found = asked(leader, key, "c")
    assert found.reason == Reason(code=Code.UPSTREAM, text="its rule all_success waits for b")
    assert found.behind is not None
    assert (found.behind.task_id, found.behind.reason.code) == ("a", Code.PARALLELISM)


def test_of_many_parents_some_are_named_and_the_others_counted() -> None:
    leader, key = running(*(container(f"p{n}") for n in range(5)), container("z", *(f"p{n}" for n in range(5))))
    leader.exit(next(iter(leader.world.open_tries())), 0)
    assert text(leader, key, "z") == "its rule all_success waits for p1, p2, p3 and 1 more"


def test_of_a_run_of_thousands_the_answer_tells_of_some_and_takes_a_moment() -> None:
    leader, key = running(*(container(f"t{n}") for n in range(1000)))
    assert len(asked(leader, key).tasks) == 200


def test_a_task_whose_first_parent_runs_waits_for_nothing_else() -> None:
    leader, key = running(container("a"), container("b", "a"), container("c", "b"))
    assert asked(leader, key, "c").behind is None


def test_a_task_in_its_retry_delay_is_told_until_when_and_why() -> None:
    leader, key = running(container("a", retry=RetryPolicy(retries=1, delay=timedelta(minutes=5))))
    (attempt,) = leader.world.open_tries()
    leader.exit(attempt, 1)
    assert code(leader, key, "a") is Code.RETRY_DELAY
    assert text(leader, key, "a").startswith(
        "its next try comes at 2026-11-20T12:05:00+00:00; the last try: it exited"
    )


def test_a_sensor_between_two_looks_is_told_when_the_next_comes() -> None:
    leader, key = running(container("a", sensor=SensorSpec(poke_interval=timedelta(minutes=5))))
    (attempt,) = leader.world.open_tries()
    leader.exit(attempt, 75)
    assert code(leader, key, "a") is Code.NOT_READY
    assert text(leader, key, "a").startswith(
        "it waits between two looks: look 2 comes at 2026-11-20T12:05:00+00:00; the last one: not yet"
    )


@pytest.mark.parametrize("waits", [Code.IMAGE_BUILDING, Code.IMAGE_PULLING, Code.ENGINE_DOWN])
def test_a_task_whose_preparation_waits_is_told_for_what(waits: Code) -> None:
    leader = Leader()
    leader.parse(dag(container("a")))
    key = leader.trigger()
    assert text(leader, key, "a") == "the images of its run are being looked up"
    (pin,) = leader.take(PinImages)
    leader.turn(ImagesPinned(run=pin.run, pins={}))
    assert code(leader, key, "a") is Code.PREPARING
    leader.turn(PrepareDelayed(task=task(key, "a"), reason=Reason(code=waits, text="so")))
    assert (code(leader, key, "a"), text(leader, key, "a")) == (waits, "so")
    assert text(leader, key) == "a: so", "the run waits for the same"


def test_while_the_engine_is_away_what_is_to_start_or_runs_is_told_so() -> None:
    leader, key = running(container("a"), container("b"))
    first, _ = leader.world.open_tries()
    leader.turn(started(first))
    for name, words in (("a", "it may run on, unseen"), ("b", "its container cannot be started")):
        found = asked(leader, key, name, engine_away="connection refused").reason
        assert found == Reason(code=Code.ENGINE_DOWN, text=f"{words}: the engine is away (connection refused)")
        assert asked(leader, key, name) == Explained()


# --- task instances that ended ------------------------------------------------------------------------


def test_what_follows_from_a_failure_is_explained_by_the_first_that_failed() -> None:
    leader, key = running(container("z"), container("a"), container("b", "a"), container("c", "b"))
    attempt = next(each for each in leader.world.open_tries() if each.key.task.task_id == "a")
    leader.exit(attempt, 7)
    found = asked(leader, key, "c")
    assert found.reason is not None
    assert found.reason.code is Code.UPSTREAM
    assert found.behind is not None
    assert (found.behind.task_id, found.behind.reason.text) == ("a", "it exited with 7")


def test_what_is_skipped_after_a_skip_is_explained_by_the_task_that_asked_for_it() -> None:
    leader, key = running(container("z"), container("a", skip_on_exit_code=(99,)), container("b", "a"))
    attempt = next(each for each in leader.world.open_tries() if each.key.task.task_id == "a")
    leader.exit(attempt, 99)
    found = asked(leader, key, "b").behind
    assert found is not None
    assert (found.task_id, found.reason.code) == ("a", Code.SKIP_EXIT_CODE)


@pytest.mark.parametrize("why", [Code.IMAGE_MISSING, Code.IMAGE_BUILD_FAILED, Code.POLICY, Code.RENDER_ERROR])
def test_what_cannot_be_prepared_is_explained_by_that(why: Code) -> None:
    leader = Leader()
    leader.parse(dag(container("a"), container("z")))
    key = leader.trigger()
    leader.turn(ImagesPinned(run=key, pins={}))
    leader.turn(PrepareFailed(task=task(key, "a"), number=1, queued_at=NOW, reason=Reason(code=why, text="so")))
    assert code(leader, key, "a") is why


def test_a_pool_that_is_not_there_is_named() -> None:
    leader, key = running(container("a", pool="nowhere"), container("z"))
    assert code(leader, key, "a") is Code.POOL_MISSING
    assert "'nowhere'" in text(leader, key, "a")


def test_a_task_that_is_being_stopped_is_explained_by_who_asked_for_it() -> None:
    leader, key = running(container("a"), container("b", "a"))
    leader.ask(RequestKind.CANCEL, dag_id="d", run_id=key.run_id)
    for told in (text(leader, key), text(leader, key, "a"), text(leader, key, "b")):
        assert told == "cancelled by ann"


@pytest.mark.parametrize(
    ("limit", "why"), [("start_timeout", Code.START_TIMEOUT), ("execution_timeout", Code.TIMEOUT)]
)
def test_a_task_that_took_too_long_is_explained_by_its_limit_while_it_is_being_stopped(
    limit: str, why: Code
) -> None:
    leader, key = running(container("a", **{limit: timedelta(minutes=1)}))
    (attempt,) = leader.world.open_tries()
    if why is Code.TIMEOUT:
        leader.turn(started(attempt, leader.now))
    leader.wait(61)
    assert code(leader, key, "a") is why
    assert limit in text(leader, key, "a")
    leader.take(Launch)


def task(key: RunKey, task_id: str) -> TaskKey:
    return TaskKey(key.dag_id, key.run_id, task_id)
