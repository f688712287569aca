"""Backfills: a plan that is what is then done, a few runs at a time, forwards or backwards, and never a second run
of an interval."""

from datetime import UTC, datetime

import msgspec
import pytest
from planning_past import ask, look_back
from planning_sim import SETTINGS, Leader, container, dag, empty, played

from orchestrator.ids import RunKey
from orchestrator.planning.backfills import Asked, StepKind, plan_of, wanted_by
from orchestrator.planning.changes import LookBack
from orchestrator.planning.history import PastRun
from orchestrator.planning.rows import Answer, RequestKind, Run
from orchestrator.spec.dag import CronSchedule, DagSpec, TaskSpec
from orchestrator.states import Reprocess, RunState, RunType, TaskState

DAILY = CronSchedule(expressions=("0 0 * * *",))


def daily(*tasks: TaskSpec, **arguments: object) -> DagSpec:
    given = {"start_date": datetime(2026, 11, 1, tzinfo=UTC), "catchup": False, "paused_on_creation": True}
    return dag(*tasks, schedule=DAILY, **{**given, **arguments})


def leading(*tasks: TaskSpec, **arguments: object) -> Leader:
    leader = Leader()
    leader.parse(daily(*(tasks or (container("a"),)), **arguments))
    return leader


def create(leader: Leader, start: str = "2026-11-02", end: str = "2026-11-05", **arguments: object) -> Answer:
    return ask(leader, RequestKind.BACKFILL, dag_id="d", start=start, end=end, **arguments)


def runs(leader: Leader) -> list[Run]:
    return sorted(leader.rows["runs"].values(), key=lambda run: run.interval.start)


def days(leader: Leader, *states: RunState) -> list[int]:
    return [run.interval.start.day for run in runs(leader) if not states or run.state in states]


def play_on(leader: Leader, codes: dict[str, int] | None = None) -> None:
    """Everything that can run, with what is asked of the past answered, until nothing more follows."""
    while leader.effects:
        before = list(leader.effects)
        look_back(leader)
        played(leader, {}, codes or {})
        if leader.effects == before:
            return


def test_it_fills_in_a_range_one_run_at_a_time() -> None:
    leader = leading()
    answer = create(leader)
    assert answer.data == {"id": 1, "dag_id": "d", "runs": 4, "left": 0, "warnings": []}
    seen = []
    while days(leader, RunState.RUNNING):
        seen.append(days(leader, RunState.RUNNING))
        played_once(leader)
    assert seen == [[2], [3], [4], [5]]
    assert {run.run_type for run in runs(leader)} == {RunType.BACKFILL}
    assert runs(leader)[0].key.run_id == "backfill__2026-11-02T00:00:00+00:00"
    assert leader.rows["backfills"][1].ended_at is not None


def played_once(leader: Leader) -> None:
    for launch in leader.prepare_all():
        leader.exit(launch)
    look_back(leader)


def test_a_paused_dag_is_filled_in_and_its_own_limit_counts_apart() -> None:
    leader = leading(max_active_runs=1, paused_on_creation=False)
    assert days(leader) == [19]  # the newest interval, by schedule
    create(leader, max_active_runs=3)
    assert days(leader, RunState.RUNNING) == [2, 3, 4, 19]
    play_on(leader)
    assert days(leader, RunState.SUCCESS) == [2, 3, 4, 5, 19]


def test_backwards_the_newest_comes_first() -> None:
    leader = leading()
    create(leader, backwards=True)
    assert days(leader) == [5]
    played_once(leader)
    assert days(leader) == [4, 5]


@pytest.mark.parametrize("waits", ["depends_on_past", "wait_for_downstream"])
def test_backwards_and_the_past_exclude_each_other(waits: str) -> None:
    leader = leading(container("a", **{waits: True}))
    assert "cannot be filled in backwards" in create(leader, backwards=True).error


@pytest.mark.parametrize(("reprocess", "again"), [("none", []), ("failed", [3]), ("all", [2, 3])])
def test_what_has_a_run_is_left_or_cleared_and_never_gets_a_second(reprocess: str, again: list[int]) -> None:
    leader = leading()
    create(leader, end="2026-11-03")
    (first,) = leader.prepare_all()
    leader.exit(first)
    look_back(leader)
    (second,) = leader.prepare_all()
    leader.exit(second, 1)
    answer = create(leader, reprocess=reprocess)
    play_on(leader)
    assert (answer.data["runs"], answer.data["left"]) == (2 + len(again), 2 - len(again))
    assert days(leader) == [2, 3, 4, 5]
    tried = [run.interval.start.day for run in runs(leader) if leader.task(run.key, "a").tries == 2]
    assert tried == again


def test_a_scheduled_run_counts_as_the_run_of_its_interval() -> None:
    leader = leading(paused_on_creation=False)
    create(leader, start="2026-11-18", end="2026-11-19")
    play_on(leader)
    assert [run.run_type for run in runs(leader)] == [RunType.BACKFILL, RunType.SCHEDULED]


def test_what_lies_outside_start_and_end_is_not_filled_in_and_said() -> None:
    leader = leading(end_date=datetime(2026, 11, 3, tzinfo=UTC))
    answer = create(leader, start="2026-10-01", end="2026-12-31")
    assert answer.data["runs"] == 3
    assert answer.data["warnings"] == [
        "nothing before the DAG's start_date, 2026-11-01T00:00:00+00:00, is filled in",
        "nothing after the DAG's end_date, 2026-11-03T00:00:00+00:00, is filled in",
    ]


def test_a_run_by_hand_does_not() -> None:
    leader = leading()
    leader.trigger(logical_date="2026-11-02T00:00:00+00:00")
    assert create(leader, end="2026-11-02").data["runs"] == 1


def test_two_that_overlap_make_one_run_of_an_interval() -> None:
    leader = leading()
    asked = {"dag_id": "d", "start": "2026-11-02", "end": "2026-11-05"}
    leader.ask_later(RequestKind.BACKFILL, **asked)
    leader.ask_later(RequestKind.BACKFILL, **asked, max_active_runs=2)
    play_on(leader)
    assert days(leader, RunState.SUCCESS) == [2, 3, 4, 5]
    assert all(each.ended_at for each in leader.rows["backfills"].values())


def test_a_run_that_the_schedule_made_since_is_left_alone() -> None:
    leader = leading(catchup=True)
    create(leader, start="2026-11-01", end="2026-11-03")
    leader.ask(RequestKind.UNPAUSE, dag_id="d")
    play_on(leader)
    made = {run.run_type for run in runs(leader) if run.interval.start.day in (2, 3)}
    assert made == {RunType.SCHEDULED}
    assert leader.rows["backfills"][1].ended_at is not None


def test_after_a_restart_no_more_runs_are_active_than_before() -> None:
    leader = leading()
    create(leader, end="2026-11-03")
    play_on(leader)
    create(leader, reprocess="all")
    leader.restart()
    look_back(leader)
    assert days(leader, RunState.RUNNING) == [2]


def test_conf_goes_to_every_run() -> None:
    leader = leading()
    create(leader, conf={"top": 5})
    play_on(leader)
    assert {msgspec.json.encode(run.conf) for run in runs(leader)} == {b'{"top":5}'}


def test_only_the_first_run_is_free_of_the_past() -> None:
    leader = leading()
    create(leader)
    play_on(leader)
    assert [run.free_of_past for run in runs(leader)] == [True, False, False, False]


class TestChanged:
    def test_a_paused_one_makes_no_more_until_it_goes_on(self) -> None:
        leader = leading()
        create(leader)
        assert leader.ask(RequestKind.CHANGE_BACKFILL, id=1, to="paused").ok
        play_on(leader)
        assert days(leader) == [2]
        leader.ask(RequestKind.CHANGE_BACKFILL, id=1, to="running")
        play_on(leader)
        assert days(leader, RunState.SUCCESS) == [2, 3, 4, 5]

    def test_a_cancelled_one_ends_with_what_runs(self) -> None:
        leader = leading()
        create(leader)
        assert leader.ask(RequestKind.CHANGE_BACKFILL, id=1, to="cancelled").ok
        assert leader.rows["backfills"][1].ended_at is None
        play_on(leader)
        assert days(leader) == [2]
        ended = leader.rows["backfills"][1]
        assert (ended.ended_at, ended.cancelled_by) == (leader.now, "ann")

    def test_what_has_ended_or_cannot_be_is_refused(self) -> None:
        leader = leading()
        create(leader)
        assert "no open backfill 7" in leader.ask(RequestKind.CHANGE_BACKFILL, id=7, to="paused").error
        assert "cannot be 'faster'" in leader.ask(RequestKind.CHANGE_BACKFILL, id=1, to="faster").error


@pytest.mark.parametrize("reprocess", list(Reprocess))
@pytest.mark.parametrize("backwards", [False, True])
def test_a_restart_at_any_turn_loses_and_doubles_nothing(reprocess: Reprocess, *, backwards: bool) -> None:
    leader = leading(container("a"), empty("b", "a"))
    create(leader, end="2026-11-03")
    play_on(leader, {"a": 1})
    create(leader, reprocess=reprocess, backwards=backwards, max_active_runs=2)
    while leader.effects:
        before = list(leader.effects)
        leader.restart()
        look_back(leader)
        leader.restart()
        played(leader, {}, {})
        if leader.effects == before:
            break
    assert days(leader) == [2, 3, 4, 5]
    assert all(run.state.final for run in runs(leader))
    again = [run.interval.start.day for run in runs(leader) if run.state is RunState.SUCCESS]
    assert again == ([4, 5] if reprocess is Reprocess.NONE else [2, 3, 4, 5])
    assert all(each.ended_at for each in leader.rows["backfills"].values())


def test_the_dry_run_is_the_plan() -> None:
    leader = leading()
    create(leader, end="2026-11-03")
    play_on(leader, {"a": 1})
    asked = Asked(dag_id="d", start="2026-11-01", end="2026-11-04", reprocess=Reprocess.FAILED)
    blueprint = leader.world.current("d")
    past = [PastRun(run=run, tasks=(), version=leader.rows["versions"]["d", run.version]) for run in runs(leader)]
    steps = plan_of(asked, blueprint, past)
    assert [(step.interval.start.day, step.kind) for step in steps] == [
        (1, StepKind.MAKE),
        (2, StepKind.CLEAR),
        (3, StepKind.CLEAR),
        (4, StepKind.MAKE),
    ]
    assert wanted_by(asked, blueprint).start == datetime(2026, 11, 1, tzinfo=UTC)
    ask(leader, RequestKind.BACKFILL, **msgspec.to_builtins(asked))
    play_on(leader)
    made = [step.interval.start.day for step in steps if step.kind is StepKind.MAKE]
    cleared = [step.interval.start.day for step in steps if step.kind is StepKind.CLEAR]
    tries = {run.interval.start.day: leader.task(run.key, "a").tries for run in runs(leader)}
    assert tries == {**dict.fromkeys(made, 1), **dict.fromkeys(cleared, 2)}


@pytest.mark.parametrize(
    ("asked", "site", "kept"),
    [(True, False, True), (False, True, False), (None, True, True), (None, False, False)],
)
def test_what_is_cleared_takes_the_version_and_images_that_the_dry_run_names(
    *, asked: bool | None, site: bool, kept: bool
) -> None:
    leader = Leader(msgspec.structs.replace(SETTINGS, rerun_recorded=site))
    leader.parse(daily(container("a")))
    create(leader, end="2026-11-03")
    play_on(leader, {"a": 1})
    (old,) = {(run.version, run.images["tools"]) for run in runs(leader)}
    leader.parse(daily(container("a"), container("b", "a")))
    newest = leader.world.current("d")
    past = [PastRun(run=run, tasks=(), version=leader.rows["versions"]["d", run.version]) for run in runs(leader)]
    wanted = Asked(dag_id="d", start="2026-11-03", end="2026-11-04", reprocess=Reprocess.ALL, as_run=kept)
    cleared, made = plan_of(wanted, newest, past)
    assert (cleared.version, cleared.images["tools"]) == (old if kept else (newest.version.version, None))
    assert (made.version, made.images) == (newest.version.version, {"tools": None})
    payload = msgspec.to_builtins(wanted) | {"as_run": asked}
    assert ask(leader, RequestKind.BACKFILL, **payload).ok
    leader.restart()
    play_on(leader)
    ran = {run.interval.start.day: run for run in runs(leader)}
    assert (ran[3].version, ran[4].version) == (cleared.version, made.version)
    assert set(leader.states(ran[3].key)) == ({"a"} if kept else {"a", "b"})


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"start": "nonsense"}, "nonsense"),
        ({"start": "2026-11-09"}, "ends (2026-11-05) before it starts (2026-11-09)"),
        ({"max_active_runs": 0}, "at least one run"),
        ({"reprocess": "some"}, "this is no backfill"),
        ({"dag_id": "x"}, "no active DAG 'x'"),
        ({"start": "2026-10-01", "end": "2026-10-05"}, "nothing to do: 0 intervals"),
    ],
)
def test_what_can_be_no_backfill_is_refused(arguments: dict[str, object], error: str) -> None:
    leader = leading()
    asked = {"dag_id": "d", "start": "2026-11-02", "end": "2026-11-05", **arguments}
    assert error in ask(leader, RequestKind.BACKFILL, **asked).error
    assert leader.take(LookBack) == []


def test_a_run_cleared_by_hand_is_the_backfills_no_more() -> None:
    leader = leading()
    create(leader, end="2026-11-02")
    play_on(leader)
    key = RunKey("d", "backfill__2026-11-02T00:00:00+00:00")
    ask(leader, RequestKind.CLEAR, selection={"dag_id": "d", "run_ids": [key.run_id]})
    play_on(leader)
    assert (leader.run(key).backfill, leader.task(key, "a").tries) == (None, 2)
    assert leader.task(key, "a").state is TaskState.SUCCESS


class TestBesideTheSchedule:
    """An interval that a backfill came to first gets no second run by the schedule, before and after a restart."""

    @pytest.mark.parametrize("restart", [False, True])
    def test_a_catch_up_goes_on_around_what_is_filled_in(self, *, restart: bool) -> None:
        leader = leading(catchup=True, end_date=datetime(2026, 11, 6, tzinfo=UTC))
        create(leader, start="2026-11-02", end="2026-11-03")
        play_on(leader)
        if restart:
            leader.restart()
        leader.ask(RequestKind.UNPAUSE, dag_id="d")
        play_on(leader)
        assert days(leader) == [1, 2, 3, 4, 5, 6]
        kinds = {run.interval.start.day: run.run_type for run in runs(leader)}
        assert [day for day, kind in kinds.items() if kind is RunType.BACKFILL] == [2, 3]
        assert leader.rows["dags"]["d"].filled == ()

    def test_without_catchup_the_newest_interval_is_left_to_the_backfill(self) -> None:
        leader = leading()
        create(leader, start="2026-11-18", end="2026-11-19")
        play_on(leader)
        leader.ask(RequestKind.UNPAUSE, dag_id="d")
        play_on(leader)
        assert days(leader) == [18, 19]
        leader.wait(24 * 3600)
        assert days(leader) == [18, 19, 20]

    def test_what_the_schedule_has_passed_is_not_remembered(self) -> None:
        leader = leading(paused_on_creation=False)
        create(leader)
        play_on(leader)
        assert leader.rows["dags"]["d"].filled == ()
